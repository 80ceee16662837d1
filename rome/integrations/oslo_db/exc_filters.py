"""Translate ROME's errors to oslo.db's, which services catch. Importing this module registers the filters.

oslo.db calls the filters of a dialect in the order of their registration, before the filters for all dialects. A filter
that does not raise passes the error on. An error that no filter translates becomes DBError; an OperationalError stays
as it is.

    UNIQUE constraint failed: servers.name      DBDuplicateEntry(columns=["name"])
    FOREIGN KEY constraint failed               DBReferenceError
    CHECK constraint failed: positive           DBConstraintError
    Conflict, SnapshotTooOld                    DBDeadlock, which oslo.db's retry decorators catch
    StoreUnavailable                            DBConnectionError
"""

from __future__ import annotations

import re
from typing import Any, cast

from oslo_db import exception
from oslo_db.sqlalchemy.exc_filters import filters
from sqlalchemy import exc

from rome.errors import Conflict, IntegrityError, SnapshotTooOld, StoreUnavailable
from rome.sql.syntax.statement import classify


@filters("rome", exc.IntegrityError, r".*UNIQUE constraint failed: (?P<index>.+)$")
def _duplicate_entry(error: exc.IntegrityError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """Raise DBDuplicateEntry with the columns of the key, or the name of an index on expressions."""
    raise exception.DBDuplicateEntry([*_rome_error(error).columns] or [match["index"]], error)


@filters("rome", exc.IntegrityError, r".*FOREIGN KEY constraint failed")
def _reference(error: exc.IntegrityError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """Raise DBReferenceError with the child's key, as for MySQL, whether the parent is missing or has children."""
    violation = _rome_error(error)
    key = ", ".join(violation.columns) or None
    raise exception.DBReferenceError(violation.table, violation.constraint, key, violation.parent, error)


@filters("rome", exc.IntegrityError, r".*CHECK constraint failed: (?P<name>.+)$")
def _check(error: exc.IntegrityError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """Raise DBConstraintError with the name of the CHECK, or its expression if it has no name."""
    raise exception.DBConstraintError(_rome_error(error).table, match["name"], error)


def _rome_error(error: exc.IntegrityError) -> IntegrityError:
    """Return ROME's error, which has the table, the columns and the constraint."""
    return cast("IntegrityError", error.orig)


@filters("rome", exc.IntegrityError, r".*datatype mismatch")
@filters("rome", exc.DataError, r".*")
def _data(error: Any, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """Raise DBDataError: an integer out of range, a text for an integer key, or bytes that are not valid UTF-8."""
    raise exception.DBDataError(error)


@filters("rome", exc.OperationalError, r".*no such table: (main\.)?(?P<table>.+)$")
def _no_such_table(error: exc.OperationalError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """Raise DBNonExistentTable."""
    raise exception.DBNonExistentTable(match["table"], error)


@filters("rome", exc.OperationalError, r".*no such constraint: (?P<constraint>.+)$")
def _no_such_constraint(error: exc.OperationalError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """Raise DBNonExistentConstraint for ALTER TABLE … DROP CONSTRAINT, with the table of the statement."""
    change = classify(error.statement or "").change
    raise exception.DBNonExistentConstraint(change.name if change else None, match["constraint"], error)


@filters("rome", exc.OperationalError, r".*")
def _retryable(error: Any, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """Raise DBDeadlock for a conflict and DBConnectionError if the store can't be reached."""
    if isinstance(error.orig, (Conflict, SnapshotTooOld)):
        raise exception.DBDeadlock(error)
    if isinstance(error.orig, StoreUnavailable):
        raise exception.DBConnectionError(error)
