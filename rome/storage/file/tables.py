"""The tables of a database file, and how it is opened.

    pairs      space, key → value; b'' for an index entry
    log        version → catalog (the last version that wrote to it), written (bytes of all changes so far),
               incarnation, catalog_digest, digest; token; drops (msgpack: spaces); changes (msgpack: space, its
               changes, space, …; the changes of a space are msgpack by themselves: keys, old values, new values)
    counters   name → the greatest number that may have been drawn (see `numbers`)
    written    space → last version that wrote to it, of the commits that have left the log
    digests    version → digest, of the last 131,072 versions that have left the log
    locks      name → owner, deadline, ttl (seconds of `rome.storage.lock_table.now`)

The newest row of the log is the state of the database. Its oldest row is the horizon: the oldest version that can be
read, for which no changes are needed; a new database has the row of version 0. So a commit changes one page of the file
besides those of its keys: the end of the log. There is no index of the tokens: a token is looked for in the commits
after the versions that its batch depends on, and mostly there are none.

SQLite's `application_id` marks a file of ROME, and its `user_version` has the number of the format.
"""

from __future__ import annotations

import os
from contextlib import suppress

import apsw

from rome.storage.file.failures import foreign, other_format
from rome.storage.store import FORMAT

APPLICATION_ID = int.from_bytes(b"ROME", "big")

_BUSY_MILLISECONDS = 10_000
"""How long SQLite waits if another program locks the file, or while a crashed process's log is recovered."""

_CREATE = f"""
    CREATE TABLE pairs (space BLOB, key BLOB, value BLOB, PRIMARY KEY (space, key)) WITHOUT ROWID;
    CREATE TABLE written (space BLOB PRIMARY KEY, version INTEGER) WITHOUT ROWID;
    CREATE TABLE counters (name BLOB PRIMARY KEY, value INTEGER) WITHOUT ROWID;
    CREATE TABLE log (
        version INTEGER PRIMARY KEY, catalog INTEGER, written INTEGER, incarnation BLOB, catalog_digest BLOB,
        digest BLOB, token BLOB, drops BLOB, changes BLOB
    );
    CREATE TABLE digests (version INTEGER PRIMARY KEY, digest BLOB);
    CREATE TABLE locks (name BLOB PRIMARY KEY, owner BLOB, deadline REAL, ttl REAL) WITHOUT ROWID;
    INSERT INTO log VALUES (0, 0, 0, x'', x'', x'', NULL, NULL, NULL);
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {FORMAT};
"""

CLEAR = """
    DELETE FROM pairs; DELETE FROM written; DELETE FROM counters; DELETE FROM log; DELETE FROM digests;
    DELETE FROM locks;
    INSERT INTO log VALUES (0, 0, 0, x'', x'', x'', NULL, NULL, NULL);
"""
"""The statements that make a database a new one."""


def connect(path: str) -> apsw.Connection:
    """Open a file that exists. Raise FormatError for a file that ROME did not write; apsw.Error."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        # Otherwise SQLite plans a query of a range again for each execution: this takes longer than the search.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.execute("PRAGMA synchronous = NORMAL")  # `log_sync` syncs commits
        number = read_format(path, connection)
        if number != FORMAT:
            raise other_format(path, number)
    except BaseException:
        connection.close()
        raise
    return connection


def create(path: str) -> None:
    """Create a file or, if it is there, check that it is a database. The caller holds the lock of writers.

    Raise FormatError, apsw.Error.
    """
    connection = apsw.Connection(path)
    try:
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        if connection.execute("SELECT count(*) FROM sqlite_schema").get or any(_marks(connection)):
            return
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            connection.execute(_CREATE)
        with suppress(FileNotFoundError):
            os.truncate(f"{path}-ids", 0)  # of a database that was removed
    finally:
        connection.close()


def read_format(path: str, connection: apsw.Connection) -> int:
    """Return the format of a file. Raise FormatError for a file that ROME did not write."""
    application, number = _marks(connection)
    if application != APPLICATION_ID:
        raise foreign(path)
    return number


def _marks(connection: apsw.Connection) -> tuple[int, int]:
    """Return the application and the format that a file is marked with."""
    return connection.pragma("application_id"), connection.pragma("user_version")
