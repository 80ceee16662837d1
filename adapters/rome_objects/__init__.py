"""Versioned domain objects: the same code directly on the database or by RPC, in two releases at once.

    base.Object, lists.ObjectList    objects with rows: create, get, list, save, destroy, relationships
    versioned, fields, registry      classes of objects, their strict fields and their versions
    rows                             columns, filters, relationships and soft deletion
    changes                          what changed since an object was read
    remoting, database               where a call runs, and its transaction
    serializer, codec                objects as primitives, JSON and msgpack, and in messages
    conductor                        the process that runs the methods of others
    schema                           schema changes while two releases run: rome-schema
    process, options                 the configuration of a process
    programs                         the start of the commands
    implementations, memory          other classes for the same objects, and an example in memory
    testing                          helpers for tests, and a suite for implementations

`docs/objects.rst` explains how to write, change and upgrade objects, `docs/upgrades.rst` how to change the schema. This
package itself imports nothing: the options are defined without oslo.versionedobjects and oslo.messaging.
"""
