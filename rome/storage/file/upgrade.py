"""A file of format 2 as one of format 3: the log begins anew, with the newest version."""

from __future__ import annotations

import fcntl
import os
from typing import Any

import apsw
import msgpack

from rome.storage.file.failures import error_of, other_format
from rome.storage.file.tables import read_format
from rome.storage.file.writes import free, shorten
from rome.storage.store import FORMAT, OLDEST_FORMAT

_RENAME = """
    UPDATE log SET undos = NULL, drops = NULL;
    ALTER TABLE log RENAME COLUMN undos TO changes;
"""


def upgrade(path: str) -> int:
    """Bring a file to this format; return the format that it had. Nobody else may have it open.

    Raise FormatError for a file of another program or of a format that is too old or too new, StoreUnavailable.
    """
    lock = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            number = read_format(path, connection)
            if number != FORMAT:
                if number != OLDEST_FORMAT:
                    raise other_format(path, number)
                with connection:
                    _change(connection)
            return number
        finally:
            connection.close()
    except apsw.Error as error:
        raise error_of(path, error) from error
    finally:
        os.close(lock)


def _change(connection: apsw.Connection) -> None:
    """Keep of each commit in the log its digest, and what it says about its spaces."""
    rows: list[Any] = connection.execute("SELECT version, digest, drops, undos FROM log ORDER BY version").fetchall()
    newest = rows[-1][0]
    written: dict[bytes, int] = {}
    for version, _, _, undos in rows:
        written.update(dict.fromkeys(msgpack.unpackb(undos)[::3] if undos else (), version))
    shorten(connection, newest, [(version, digest) for version, digest, *_ in rows[:-1]], written)
    for _, _, drops, _ in rows:
        if drops:
            free(connection, msgpack.unpackb(drops))
    connection.execute(_RENAME).fetchall()
    connection.execute(f"PRAGMA user_version = {FORMAT}")
