"""Translation of SQLite's errors into PEP 249's, with the same texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from rome import errors

SQLITE_ERRORS = (apsw.Error, TypeError, OverflowError, UnicodeError)
"""The exceptions of apsw's methods."""

_TRANSLATIONS: tuple[tuple[type[Exception], type[errors.Error]], ...] = (
    (apsw.ConstraintError, errors.IntegrityError),
    (apsw.MismatchError, errors.IntegrityError),
    (apsw.TooBigError, errors.DataError),
    (apsw.RangeError, errors.ProgrammingError),
    (apsw.MisuseError, errors.ProgrammingError),
    (apsw.BindingsError, errors.ProgrammingError),
    (apsw.InternalError, errors.InternalError),
    (apsw.CorruptError, errors.DatabaseError),
    (apsw.Error, errors.OperationalError),
)

_COLUMNS = re.compile(r"(?:UNIQUE|NOT NULL) constraint failed: (?P<table>[^.]+)\.(?P<columns>.+)")


def translate(error: Exception) -> errors.Error:
    """Return the PEP 249 error for an error of apsw, with the same text."""
    for apsw_class, own_class in _TRANSLATIONS:
        if isinstance(error, apsw_class):
            return _integrity_error(str(error)) if own_class is errors.IntegrityError else own_class(str(error))
    if isinstance(error, OverflowError):
        return errors.DataError("a Python int is too large for an SQL INTEGER (64 bits)")
    if isinstance(error, UnicodeEncodeError):
        return errors.DataError(f"a text can't be encoded as UTF-8: {error}")
    if isinstance(error, UnicodeDecodeError):
        return errors.DataError(f"a text can't be decoded as UTF-8: {error}")
    return errors.ProgrammingError(str(error))


def _integrity_error(text: str) -> errors.IntegrityError:
    """Return the error of a failed constraint, with the table and columns that SQLite names.

    It names them for NOT NULL and UNIQUE, but not for a unique index on expressions.
    """
    found = _COLUMNS.fullmatch(text)
    if found is None:
        return errors.IntegrityError(text)
    table = found["table"]
    return errors.IntegrityError(text, table, found["columns"].split(f", {table}."))


@contextmanager
def translated() -> Iterator[None]:
    """Raise apsw's errors of the block as PEP 249 errors; ROME's own pass unchanged."""
    try:
        yield
    except errors.Error:
        raise
    except SQLITE_ERRORS as error:
        raise translate(error) from error
