"""Errors of SQLite as ROME's errors. Messages name the file."""

from __future__ import annotations

import apsw

from rome.errors import DatabaseError, FormatError, InternalError, StoreUnavailable
from rome.storage.store import FORMAT, OLDEST_FORMAT

_UNAVAILABLE: dict[type[apsw.Error], str] = {
    apsw.FullError: "the disk is full",
    apsw.IOError: "the file can't be read or written",
    apsw.ReadOnlyError: "the file is read-only",
    apsw.CantOpenError: "the file can't be opened",
    apsw.PermissionsError: "the file can't be opened",
    apsw.BusyError: "another program has locked the file",
    apsw.LockedError: "another program has locked the file",
    apsw.ProtocolError: "another process was stopped, or hangs, while it opens or closes the file",
}
"""By the class of SQLite's error: the reason for which a store can't be used now."""


def error_of(path: str, error: apsw.Error) -> DatabaseError:
    """Return the error for one of SQLite's."""
    if isinstance(error, apsw.NotADBError):
        return foreign(path)
    if isinstance(error, apsw.CorruptError):
        return FormatError(f"the file {path} is damaged: {error}; restore a backup")
    for kind, reason in _UNAVAILABLE.items():
        if isinstance(error, kind):
            return StoreUnavailable(f"{reason}: {path}: {error}")
    return InternalError(f"unexpected error of SQLite in {path}: {error}")


def foreign(path: str) -> FormatError:
    """Return the error for a file of another program."""
    return FormatError(f"the file {path} is not a ROME database; name another file")


def other_format(path: str, number: int) -> FormatError:
    """Return the error for a file of another format."""
    can_upgrade = OLDEST_FORMAT <= number < FORMAT
    advice = ": run `rome upgrade URL` once, after all older clients were stopped" if can_upgrade else ""
    return FormatError(f"the database {path} has format {number}, and this ROME reads format {FORMAT} only{advice}")
