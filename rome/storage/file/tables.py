"""The tables of a database file, and how it is opened.

    state      one row: version, horizon (oldest version that can be read), log_bytes, catalog (the last version that
               wrote to it), incarnation, catalog_digest, digest
    pairs      space, key → value; b'' for an index entry
    written    space → last version that wrote to it
    counters   name → last allocated number
    log        version → token; undos (msgpack: space, key, old value, space, …); drops (msgpack: spaces); size;
               catalog, catalog_digest and digest of the version before
    digests    version → digest, of the last 131,072 versions
    locks      name → owner, deadline, ttl (seconds of `rome.storage.lock_table.now`)

SQLite's `application_id` marks a file of ROME, and its `user_version` has the number of the format.
"""

from __future__ import annotations

import apsw

from rome.storage.file.failures import foreign, other_format
from rome.storage.store import FORMAT

_APPLICATION = int.from_bytes(b"ROME", "big")

_BUSY_MILLISECONDS = 10_000
"""How long SQLite waits if another program locks the file, or while a crashed process's log is recovered."""

_CREATE = f"""
    CREATE TABLE state (
        id INTEGER PRIMARY KEY, version INTEGER, horizon INTEGER, log_bytes INTEGER, catalog INTEGER,
        incarnation BLOB, catalog_digest BLOB, digest BLOB
    );
    CREATE TABLE pairs (space BLOB, key BLOB, value BLOB, PRIMARY KEY (space, key)) WITHOUT ROWID;
    CREATE TABLE written (space BLOB PRIMARY KEY, version INTEGER) WITHOUT ROWID;
    CREATE TABLE counters (name BLOB PRIMARY KEY, value INTEGER) WITHOUT ROWID;
    CREATE TABLE log (
        version INTEGER PRIMARY KEY, token BLOB, undos BLOB, drops BLOB, size INTEGER,
        catalog INTEGER, catalog_digest BLOB, digest BLOB
    );
    CREATE INDEX log_tokens ON log (token);
    CREATE TABLE digests (version INTEGER PRIMARY KEY, digest BLOB);
    CREATE TABLE locks (name BLOB PRIMARY KEY, owner BLOB, deadline REAL, ttl REAL) WITHOUT ROWID;
    INSERT INTO state VALUES (1, 0, 0, 0, 0, x'', x'', x'');
    INSERT INTO digests VALUES (0, x'');
    PRAGMA application_id = {_APPLICATION};
    PRAGMA user_version = {FORMAT};
"""

CLEAR = """
    DELETE FROM pairs; DELETE FROM written; DELETE FROM counters; DELETE FROM log; DELETE FROM digests;
    DELETE FROM locks; DELETE FROM state;
    INSERT INTO state VALUES (1, 0, 0, 0, 0, x'', x'', x'');
    INSERT INTO digests VALUES (0, x'');
"""
"""The statements that make a database a new one."""


def connect(path: str) -> apsw.Connection:
    """Open a file that exists. Raise FormatError for a file that ROME did not write; apsw.Error."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        application, number = _marks(connection)
        if application != _APPLICATION:
            raise foreign(path)
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
    finally:
        connection.close()


def _marks(connection: apsw.Connection) -> tuple[int, int]:
    """Return the application and the format that a file is marked with."""
    return connection.pragma("application_id"), connection.pragma("user_version")
