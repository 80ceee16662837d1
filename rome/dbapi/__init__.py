"""ROME as a PEP 249 module.

    >>> from rome import dbapi
    >>> connection = dbapi.connect("rome+memory:///demo")
    >>> cursor = connection.cursor()
    >>> _ = cursor.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a TEXT)")

A transaction begins with the first statement, also with DDL; `commit` or `rollback` ends it. Parameters are those of
SQLite: `?` (the declared style), `?1`, `:name` with a mapping.
"""

from __future__ import annotations

import datetime as dt
import time

import apsw

from rome.dbapi.connection import Connection, Cursor, connect, connect_to_server
from rome.errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004 - the name is PEP 249's
)

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"

sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(int(part) for part in sqlite_version.split("."))

Date = dt.date
Time = dt.time
Timestamp = dt.datetime


def Binary(data: bytes | bytearray | memoryview) -> bytes:  # noqa: N802 - PEP 249's name
    """The value for a BLOB. As bytes, because those are bound without a conversion."""
    return data if type(data) is bytes else bytes(memoryview(data))


def DateFromTicks(ticks: float) -> dt.date:  # noqa: N802 - PEP 249's name
    """The local date of seconds since the epoch."""
    return Date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> dt.time:  # noqa: N802 - PEP 249's name
    """The local time of day of seconds since the epoch."""
    return Time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> dt.datetime:  # noqa: N802 - PEP 249's name
    """The local date and time of seconds since the epoch."""
    return Timestamp(*time.localtime(ticks)[:6])


# SQL columns have no fixed type here: a description's type code is always None, as in the sqlite3 module.
STRING = str
BINARY = bytes
NUMBER = float
DATETIME = dt.datetime
ROWID = int

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "connect_to_server",
    "paramstyle",
    "sqlite_version",
    "sqlite_version_info",
    "threadsafety",
]
