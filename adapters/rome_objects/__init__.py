"""Versioned domain objects: the same code directly on the database or by RPC, in two releases at once.

What an application imports:

    base.Object, lists.ObjectList    objects with rows: create, get, list, save, destroy, relationships
    versioned, fields, registry      classes of objects, their strict fields and their versions
    remoting, database               where a call runs, and its transaction
    serializer                       objects as JSON and msgpack, and in messages
    services                         managers, drivers and state reports: rome-service
    schema                           schema changes while two releases run: rome-schema
    process, options                 the configuration of a process
    implementations, memory          other classes for the same objects, and an example in memory
    errors                           the errors of all of them
    testing                          helpers for tests, and a suite for implementations

The rest:

    values                           types, changes and primitives of the values of fields
    rows                             columns, filters, relationships and soft deletion
    messages                         calls of other processes through a broker
    conductor                        the process that runs the methods of others: rome-conductor
    places, programs                 modules and classes that options name; the start of the commands

`docs/objects.rst` explains how to write, change and upgrade objects, `docs/upgrades.rst` how to change the schema. This
package itself imports nothing: the options are defined without oslo.versionedobjects and oslo.messaging.
"""
