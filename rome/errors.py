"""Every error that ROME raises: PEP 249's hierarchy, and beneath it the errors of ROME's own.

Messages that stem from SQLite keep SQLite's text word for word, because services match on it.
"""

from __future__ import annotations

from collections.abc import Sequence


class Warning(Exception):  # noqa: A001 - the name is PEP 249's
    """Something worth knowing that is no error."""


class Error(Exception):
    """The root of all errors of ROME."""


class InterfaceError(Error):
    """The driver was used wrongly: a closed cursor, a malformed URL, an unknown option."""


class DatabaseError(Error):
    """The database answered with an error."""


class DataError(DatabaseError):
    """A value that can't be stored or read: out of range, or bytes that do not decode."""


class OperationalError(DatabaseError):
    """Something outside the program's control: connection, conflict, a missing table."""


class IntegrityError(DatabaseError):
    """A constraint failed: UNIQUE, NOT NULL, CHECK, FOREIGN KEY.

    SQLite's text says little; what else is known stands beside it: the `table` that has the constraint, its `columns`
    (of a CHECK: none), the name of the `constraint` (a FOREIGN KEY's or CHECK's, if it has one), and the `parent` table
    of a FOREIGN KEY. That is the same whether a child has no parent, or a parent goes that has children.
    """

    def __init__(
        self,
        message: str,
        table: str | None = None,
        columns: Sequence[str] = (),
        constraint: str | None = None,
        parent: str | None = None,
    ) -> None:
        super().__init__(message)
        self.table = table
        self.columns = tuple(columns)
        self.constraint = constraint
        self.parent = parent


class InternalError(DatabaseError):
    """The store holds something that ROME did not write."""


class ProgrammingError(DatabaseError):
    """The statement or its parameters are wrong."""


class NotSupportedError(DatabaseError):
    """A feature of SQL that ROME does not have."""


class Conflict(OperationalError):
    """Another commit wrote a key that this transaction depends on; nothing was applied. Run it again.

    `space` is where the key lies, and `key` is what it is, when a store says so.
    """

    def __init__(self, message: str, space: bytes | None = None, key: bytes | None = None) -> None:
        super().__init__(message)
        self.space = space
        self.key = key


class SnapshotTooOld(OperationalError):
    """The log does not reach back to this transaction's read version any more. Run it again."""


class HistoryLost(SnapshotTooOld):
    """What this transaction has read is not in the database's past: the server lost commits that it had acknowledged,
    or the database was dropped. Nothing was written; run it again.
    """


class LockTimeout(OperationalError):
    """A lock did not become free in time. The message names it."""


class LockLost(OperationalError):
    """A lock is not held any more by who believed so: its TTL passed without a renewal, or another holder has it.

    To run the same again under the same lock does not help: take the lock again first.
    """


class StoreUnavailable(OperationalError):
    """The store can't be reached, or refuses us. The message names the server."""


class FormatError(InternalError):
    """The store's data was written by a newer ROME, or a key or row does not decode."""
