"""ROME's errors as those of oslo.db, which services catch. Importing this module registers the filters.

oslo.db asks the filters of a dialect, in the order of their registration, before those for every dialect; a filter
that raises nothing passes. What none of these takes becomes a DBError, or, an OperationalError, stays what it is.
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
    """A taken key. An index on expressions has no columns to name, only itself."""
    raise exception.DBDuplicateEntry([*_of(error).columns] or [match["index"]], error)


@filters("rome", exc.IntegrityError, r".*FOREIGN KEY constraint failed")
def _reference(error: exc.IntegrityError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """A missing parent, or children that are left behind: in both cases told as MySQL does, by the child's key."""
    failed = _of(error)
    key = ", ".join(failed.columns) or None
    raise exception.DBReferenceError(failed.table, failed.constraint, key, failed.parent, error)


@filters("rome", exc.IntegrityError, r".*CHECK constraint failed: (?P<name>.+)$")
def _check(error: exc.IntegrityError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """A row that a CHECK refuses: its name, or its expression if it has none."""
    raise exception.DBConstraintError(_of(error).table, match["name"], error)


def _of(error: exc.IntegrityError) -> IntegrityError:
    """ROME's own error, which tells what failed."""
    return cast("IntegrityError", error.orig)


@filters("rome", exc.IntegrityError, r".*datatype mismatch")
@filters("rome", exc.DataError, r".*")
def _data(error: Any, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """A value that can't be stored: too large an integer, a text for an integer key, bytes that do not decode."""
    raise exception.DBDataError(error)


@filters("rome", exc.OperationalError, r".*no such table: (main\.)?(?P<table>.+)$")
def _no_such_table(error: exc.OperationalError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    raise exception.DBNonExistentTable(match["table"], error)


@filters("rome", exc.OperationalError, r".*no such constraint: (?P<constraint>.+)$")
def _no_such_constraint(error: exc.OperationalError, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """ALTER TABLE … DROP CONSTRAINT. SQLite does not name the table, but the statement does."""
    change = classify(error.statement or "").change
    raise exception.DBNonExistentConstraint(change.name if change else None, match["constraint"], error)


@filters("rome", exc.OperationalError, r".*")
def _try_again(error: Any, match: re.Match[str], dialect: str, is_disconnect: bool) -> None:
    """What passes if it is tried again: a deadlock to oslo.db, whose retry decorators look for that."""
    if isinstance(error.orig, (Conflict, SnapshotTooOld)):
        raise exception.DBDeadlock(error)
    if isinstance(error.orig, StoreUnavailable):
        raise exception.DBConnectionError(error)
