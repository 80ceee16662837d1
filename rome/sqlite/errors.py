"""SQLite's errors as PEP 249's, texts unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from rome import errors

_CLASSES: tuple[tuple[type[Exception], type[errors.Error]], ...] = (
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
    """The PEP 249 error that stands for an error of apsw's, with the same text."""
    for theirs, ours in _CLASSES:
        if isinstance(error, theirs):
            return _of_columns(str(error)) if ours is errors.IntegrityError else ours(str(error))
    if isinstance(error, OverflowError):
        return errors.DataError("a Python int is too large for an SQL INTEGER (64 bits)")
    if isinstance(error, UnicodeEncodeError):
        return errors.DataError(f"a text can't be encoded as UTF-8: {error}")
    return errors.ProgrammingError(str(error))


def _of_columns(text: str) -> errors.IntegrityError:
    """A constraint that failed; the text names the columns of UNIQUE (not an index's on expressions) and NOT NULL."""
    found = _COLUMNS.fullmatch(text)
    if found is None:
        return errors.IntegrityError(text)
    table = found["table"]
    return errors.IntegrityError(text, table, found["columns"].split(f", {table}."))


@contextmanager
def translated() -> Iterator[None]:
    """Raise what apsw raises inside as PEP 249 errors. Errors of ROME's own pass."""
    try:
        yield
    except errors.Error:
        raise
    except (apsw.Error, TypeError, OverflowError, UnicodeEncodeError) as error:
        raise translate(error) from error
