"""Services: processes that run a manager's methods for others, and report that they are up.

    manager     business logic; its declared methods are the RPC interface
    drivers     what executes, chosen by configuration
    client      how other processes call a manager
    state       the rows in which services report, and the rule by which they are up
    reporter    the periodic report
    service     an RPC server and its reporter
    program     the command `rome-service`

`docs/objects.rst` has an example. A state report goes where the methods of objects go: to the database, or through a
conductor.
"""
