"""Schema changes while two releases of a program run on one database.

A release declares its changes in a revision script of Alembic, in three steps:

    expand      before the new code: add columns, tables and indexes
    migrate     copy data to them, in batches, and row by row when the new code loads them
    contract    after the old code: drop what only the old code used

Between expand and contract the database has both forms of each change. A mirror keeps them equal, whichever release
writes.

    mirrors     what a mirror is: columns that replace others, a table that replaces another
    triggers    the triggers of a mirror
    releases    the revision scripts
    state       which releases a database has, and how far a migration is
    steps       expand, migrate, contract, status
    background  the migration in batches
    on_load     the migration of rows that the new release loads
    reports     services of an old release that still run
    program     the command `rome-schema`

`docs/upgrades.rst` describes how to make a release, and how to upgrade to it.
"""
