"""The errors that ROME raises: PEP 249's hierarchy, with errors of ROME's own as subclasses.

    Error
        InterfaceError
        DatabaseError
            DataError · IntegrityError · ProgrammingError · NotSupportedError
            OperationalError
                Conflict                        run the transaction again
                SnapshotTooOld, HistoryLost     run the transaction again
                LockTimeout                     try again later
                LockLost                        take the lock again first
                StoreUnavailable
            NotReplicated                       the transaction is committed: do not run it again
            InternalError
                FormatError

A message that comes from SQLite has SQLite's text word for word, because applications match on it (`UNIQUE constraint
failed: t.c`). Other messages name the thing that failed, and say what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class Warning(Exception):  # noqa: A001 - the name is PEP 249's
    """A warning. ROME does not raise it; PEP 249 requires the name."""


class Error(Exception):
    """The base class of all errors of ROME."""


class InterfaceError(Error):
    """The driver is used in a wrong way: a closed cursor, a malformed URL, an unknown option."""


class DatabaseError(Error):
    """The base class of the errors of statements, transactions and stores."""


class DataError(DatabaseError):
    """A value can't be stored: it is out of range, of a wrong type, or too long."""


class OperationalError(DatabaseError):
    """A failure outside of the program's control: a lost connection, a conflict, a missing table."""


class IntegrityError(DatabaseError):
    """A constraint failed: UNIQUE, NOT NULL, CHECK, FOREIGN KEY.

    Attributes say more than SQLite's message: the `table` that has the constraint, its `columns` (none for a CHECK),
    the name of the `constraint` (of a FOREIGN KEY or CHECK, if it has one), and the `parent` table of a FOREIGN KEY.
    They are the same if a child lacks its parent and if a parent with children is deleted.

    `is_race`: the statement had succeeded, and COMMIT raises the error because another transaction has committed since.
    To run the transaction again helps as after a Conflict: it then sees what the other one wrote.
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
        self.is_race = False


class InternalError(DatabaseError):
    """The store contains something that ROME did not write."""


class ProgrammingError(DatabaseError):
    """The statement or its parameters are wrong: a syntax error, a missing parameter."""


class NotSupportedError(DatabaseError):
    """The statement uses a feature of SQL that ROME does not support."""


class Conflict(OperationalError):
    """Another transaction wrote a key that this one depends on. Nothing was applied; run the transaction again.

    `space` and `key` are those of the store, if it tells them.
    """

    def __init__(self, message: str, space: bytes | None = None, key: bytes | None = None) -> None:
        super().__init__(message)
        self.space = space
        self.key = key


class KeysLocked(Conflict):
    """Another owner holds row locks of keys that a commit writes. Nothing was applied.

    Stores raise it with the `names` of these locks. ROME waits for them, so applications do not see it.
    """

    def __init__(self, names: Sequence[bytes]) -> None:
        super().__init__("conflict: another transaction has locked rows that this one writes; run it again")
        self.names = names


class NumbersTaken(Conflict):
    """Numbers of a `counter` that a commit was to take have been taken by others. Nothing was applied."""

    def __init__(self, counter: bytes) -> None:
        super().__init__(
            "conflict: ids that this transaction has used were given to others in the meantime; nothing was written, "
            "run the transaction again"
        )
        self.counter = counter


class SnapshotTooOld(OperationalError):
    """The log does not reach back to this transaction's read version any more. Run the transaction again."""


class HistoryLost(SnapshotTooOld):
    """A version that this transaction has read is not in the database's past. Nothing was written; run it again.

    The server has lost commits that it had acknowledged, or the database was dropped.
    """


class CounterUsedUp(OperationalError):
    """A counter has given its last number, 2^63-1. The message begins with SQLite's."""

    def __init__(self, counter: str) -> None:
        """`counter`: its name, or where it is."""
        super().__init__(f"database or disk is full: {counter} has given its last number")


class LockTimeout(OperationalError):
    """A lock did not become free within the timeout. The message names the lock."""


class LockLost(OperationalError):
    """The lock is not held any more: its TTL passed without a renewal, or another holder has overtaken it.

    To run the transaction again under the same lock does not help: take the lock again first.
    """


class StoreUnavailable(OperationalError):
    """The store can't be reached, or refuses the connection or the request. The message names the server."""


class NotReplicated(DatabaseError):
    """The commit is applied, but fewer replicas than `replicas=N` in the URL have it; a failover may lose it.

    It is no OperationalError, because programs run a transaction again after one, and this one would be applied twice.
    `version` is that of the commit; `replicas` is the number of replicas that have it.
    """

    def __init__(self, message: str, version: int, replicas: int) -> None:
        super().__init__(message)
        self.version = version
        self.replicas = replicas


class FormatError(InternalError):
    """The database has another format, or a key, a row or a catalog entry does not decode."""
