"""The row locks that a transaction holds, taken by SELECT … FOR UPDATE (`rome.session.for_update`) or by its commit."""

from __future__ import annotations

from collections.abc import Iterable

from rome.database.database import Database
from rome.errors import Conflict, LockTimeout, OperationalError
from rome.locks.holds import Hold
from rome.locks.manager import TTL, manager_of
from rome.sql.syntax.statement import LockWaitPolicy
from rome.storage.lock_table import LockState
from rome.storage.store import row_lock_name, rows_space
from rome.transaction.reads.row_cache import CachedRow

RowKey = tuple[int, bytes]
"""Table id and row key."""

LOCK_TIMEOUT = 30.0
"""The default of the option `lock_timeout`: seconds to wait for a row lock."""


class RowLocks:
    """The row locks of one transaction. They are taken in key order, so that two transactions cannot deadlock."""

    def __init__(self, database: Database, timeout: float) -> None:
        """`timeout`: seconds to wait for a row that another transaction has locked."""
        self._timeout = timeout
        self._manager = manager_of(database)
        self._hold = _new_hold()
        self.rows: dict[RowKey, CachedRow | None] = {}
        """The locked rows as they were read under the lock; None: not read under the lock yet."""

    @property
    def owner(self) -> bytes:
        """The owner of the locks in the lock table."""
        return self._hold.owner

    @property
    def version(self) -> int:
        """The newest version of the database at the time of the last lock request."""
        return self._hold.version

    def lock(self, rows: Iterable[RowKey], wait: LockWaitPolicy, tables: str) -> bool:
        """Lock the rows that are not locked yet, in key order. Return False if all were locked already.

        With SKIP, leave out rows that another transaction has locked. `tables`: their names, for messages.
        Raise LockTimeout if a row does not become free in time, Conflict if waiting for it might be a deadlock,
        OperationalError if it is interrupted.
        """
        new = sorted(set(rows).difference(self.rows))
        if not new:
            return False
        if self.rows and self._hold.lost is not None:
            raise Conflict(f"conflict: the row locks are lost: {self._hold.lost}; run the transaction again")
        in_order = not self.rows or new[0] > max(self.rows)
        timeout = self._timeout if wait is LockWaitPolicy.WAIT and in_order else 0.0
        try:
            states = self._manager.take(self._hold, [_name(row) for row in new], timeout, wait is LockWaitPolicy.SKIP)
        except LockTimeout as error:
            if wait is LockWaitPolicy.NOWAIT:
                raise LockTimeout(f"could not lock a row of {tables}: another transaction has locked it") from error
            if in_order:
                raise LockTimeout(
                    f"could not lock a row of {tables} within {self._timeout:g} s: another transaction has locked it"
                ) from error
            raise Conflict(
                f"conflict on {tables}: another transaction has locked a row that lies before rows which this one has "
                "locked, so waiting for it might be a deadlock; run the transaction again"
            ) from error
        self.rows.update((row, None) for row, state in zip(new, states, strict=True) if state is not LockState.HELD)
        return True

    def lock_in_any_order(self, rows: Iterable[RowKey], tables: str) -> None:
        """Lock more rows of a transaction that depends on none of its locks: so that its commit waits for others'.

        If a row sorts before one that is locked already, give up all of them and take them again in order.
        Raise LockTimeout.
        """
        wanted = set(rows)
        if self.rows and min(wanted) < max(self.rows):
            wanted.update(self.rows)
            self.release()
            self._hold, self.rows = _new_hold(), {}
        self.lock(wanted, LockWaitPolicy.WAIT, tables)

    def interrupt(self) -> None:
        """Let `lock`, if another thread waits in it, raise OperationalError. Raise StoreUnavailable."""
        self._manager.interrupt(self._hold)

    def release(self) -> None:
        """Release all row locks. If the store can't be reached, this is tried again later, or their TTL passes."""
        if self._hold.names:
            try:
                self._manager.give_up(self._hold)
            except OperationalError:
                return
            self._hold.names.clear()  # so that nobody releases them again


def _new_hold() -> Hold:
    return Hold("row locks", TTL, is_released_when_dropped=True)


def _name(row: RowKey) -> bytes:
    table, key = row
    return row_lock_name(rows_space(table), key)


def row_of(name: bytes) -> RowKey | None:
    """Return the row that a name of the lock table locks; None if it is the name of another lock."""
    table, colon, key = name.removeprefix(b"r").partition(b":")
    return (int(table), key) if name.startswith(b"r") and colon and table.isdigit() else None
