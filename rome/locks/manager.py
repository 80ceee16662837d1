"""Named locks: the lock manager of a database, and the lock as an application holds it.

Taking a lock is a loop of attempts (`LockManager.take`): ask the lock table, and if another owner holds the name, wait
for its release or the end of its TTL. A lock that was not released by its former holder is fenced before it is returned
(`rome.locks.fences`). SELECT … FOR UPDATE takes its row locks by the same loop.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rome import events, waits
from rome.database.database import Database
from rome.database.registry import open_database, release_database
from rome.errors import InterfaceError, LockLost, LockTimeout, OperationalError
from rome.forks import new_lock
from rome.locks import fences
from rome.locks.holds import Hold, Renewer
from rome.storage.lock_table import LockState, now
from rome.storage.store import Check, Store
from rome.url import URL, parse_url

TTL = 10.0
"""Seconds that a lock outlives its holder by default."""

_SHORTEST_TTL = 0.05


class LockManager:
    """The locks of one database in this process. Threads share it.

    >>> manager = LockManager("rome+memory:///locks")
    >>> with manager.lock("resize", ttl=10, timeout=5) as lock:
    ...     lock.held
    True
    >>> manager.close()
    """

    def __init__(self, database: str | URL | Database | Store) -> None:
        """Open the database if it is given by a URL. Raise InterfaceError for a wrong URL, StoreUnavailable."""
        self._opened: Database | None = None
        if isinstance(database, str | URL):
            url = parse_url(database) if isinstance(database, str) else database
            database = self._opened = open_database(url)
        self.store: Store = database.store if isinstance(database, Database) else database
        self._table = self.store.lock_table()
        self._renewer = Renewer(self._table)
        self._of_thread = threading.local()
        self._of_tasks: weakref.WeakKeyDictionary[Any, dict[str, tuple[Hold, int]]] = weakref.WeakKeyDictionary()

    def lock(self, name: str, ttl: float = TTL, timeout: float | None = None) -> Lock:
        """Return the lock of a name, not yet taken: for a `with` or `async with` statement, or to use its methods.

        `ttl`: seconds after which others may take it if this process does not renew it any more, because it is dead or
        paused. `timeout`: seconds to wait for it; 0 to try once, None to wait without limit.
        """
        if not name or not isinstance(name, str):
            raise InterfaceError(f"a lock's name must be a string that is not empty, not {name!r}")
        if ttl < _SHORTEST_TTL or (timeout is not None and timeout < 0):
            raise InterfaceError(
                f"lock {name!r}: ttl must be at least {_SHORTEST_TTL} s and timeout at least 0, not {ttl} and {timeout}"
            )
        return Lock(self, name, ttl, timeout)

    def close(self) -> None:
        """Close the database if this manager has opened it. Locks that are held are not released."""
        if self._opened is not None:
            release_database(self._opened)
            self._opened = None

    # ── for Lock and for row locks ────────────────────────────────────────────────────────────────────────────────

    def take(self, hold: Hold, names: Sequence[bytes], timeout: float | None, skip: bool = False) -> list[LockState]:
        """Add names to a hold, in order, and return the state of each. The hold is renewed from the first one on.

        With `skip`, leave out names that another owner holds. Raise LockTimeout after giving back the names that this
        call took; OperationalError if it is interrupted.
        """
        hold.is_interrupted = False
        began = now()
        before = len(hold.names)
        states: list[LockState] = []
        try:
            while True:
                sent = now()
                attempt = self._table.acquire(names[len(states) :], hold.owner, hold.ttl, skip)
                self._note(hold, names[len(states) :], attempt.states, sent)
                hold.token = max(hold.token, attempt.token)
                hold.version = max(hold.version, attempt.version)
                states += attempt.states if skip else [state for state in attempt.states if state is not LockState.HELD]
                if len(states) == len(names):
                    return states
                pause = attempt.left
                if timeout is not None:
                    pause = min(pause, began + timeout - now())
                    if pause <= 0:
                        raise LockTimeout(
                            f"{hold.what} did not become free within {timeout:g} s: another owner holds it"
                        )
                self._wait(hold, names[len(states)], attempt.ticket, pause)
        except BaseException:
            # The last request may have arrived: so release everything that was asked for.
            self._give_back(hold, [*names])
            del hold.names[before:]
            if not hold.names:
                self._renewer.forget(hold)
            raise

    def _wait(self, hold: Hold, name: bytes, ticket: Any, seconds: float) -> None:
        hold.waits_for, began = name, time.perf_counter()
        try:
            if not hold.is_interrupted:
                self._table.wait(name, ticket, seconds)
            if hold.is_interrupted:
                raise OperationalError(f"interrupted while waiting for {hold.what}")
        finally:
            hold.waits_for = None
            events.report(events.LockWaited(time.perf_counter() - began))

    def interrupt(self, hold: Hold) -> None:
        """Let `take`, if another thread waits in it for this hold, raise OperationalError. Raise StoreUnavailable."""
        hold.is_interrupted = True
        name = hold.waits_for
        if name is not None:
            self._table.wake(name)

    def _note(self, hold: Hold, names: Sequence[bytes], states: Sequence[LockState], sent: float) -> None:
        taken = [name for name, state in zip(names, states, strict=False) if state is not LockState.HELD]
        if taken:
            if not hold.names:
                hold.confirmed(sent)
            hold.names.extend(taken)
            self._renewer.watch(hold)

    def _give_back(self, hold: Hold, names: Sequence[bytes]) -> None:
        # If this fails too, the TTL releases them. The error that is being raised says more.
        with contextlib.suppress(Exception):
            self._table.release(names, hold.owner)

    def give_up(self, hold: Hold) -> bool:
        """Release a hold; return True if it was held until now. Raise StoreUnavailable: then the TTL releases it."""
        self._renewer.forget(hold)
        if not hold.is_ours:
            return False
        return self._table.release(hold.names, hold.owner)

    # ── re-entrance ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def entered(self) -> dict[str, tuple[Hold, int]]:
        """By name: the hold of the present thread or task, and how many times it has taken it."""
        task = waits.current_task()
        if task is not None:
            return self._of_tasks.setdefault(task, {})
        entered: dict[str, tuple[Hold, int]] | None = getattr(self._of_thread, "entered", None)
        if entered is None:
            entered = self._of_thread.entered = {}
        return entered


class Lock:
    """A named lock. The thread or task that holds it may take it again, also by another Lock of the same manager."""

    def __init__(self, manager: LockManager, name: str, ttl: float, timeout: float | None) -> None:
        """Use `LockManager.lock`, which checks the arguments."""
        self.name = name
        self._manager = manager
        self._ttl = ttl
        self._timeout = timeout
        self._hold: Hold | None = None
        self._entered = 0

    def acquire(self) -> Lock:
        """Take the lock, in one round trip if it is free, and return it. Raise LockTimeout, StoreUnavailable.

        If the thread or task holds it already, only count: `release` must be called as often. Raise LockLost if it was
        lost since it was taken first.
        """
        entered = self._manager.entered
        hold, times = entered.get(self.name, (None, 0))
        if hold is not None and (hold.is_released or not hold.is_ours):
            hold, times = None, 0  # another thread has released it, or a child of fork asks
        if hold is None:
            hold = self._take()
        else:
            hold.check()
        entered[self.name] = hold, times + 1
        self._hold = hold
        self._entered += 1
        return self

    def _take(self) -> Hold:
        hold = Hold(f"lock {self.name!r}", self._ttl)
        key = b"a" + self.name.encode()
        (state,) = self._manager.take(hold, [key], self._timeout)
        if state is LockState.OVERTOOK:
            try:
                hold.version = fences.overtake(self._manager.store, self.name, hold.token)
            except BaseException:
                self._manager._give_back(hold, [key])
                raise
        return hold

    def release(self) -> None:
        """Release the lock, in one round trip. Raise LockLost if it was lost, InterfaceError if it is not taken."""
        hold, self._entered = self._hold, max(0, self._entered - 1)
        if hold is None:
            raise InterfaceError(f"lock {self.name!r} can't be released: it is not taken")
        if not self._entered:
            self._hold = None
        entered = self._manager.entered
        known, times = entered.get(self.name, (hold, 1))
        if known is hold and times > 1:
            entered[self.name] = hold, times - 1
            return
        if known is hold:
            entered.pop(self.name, None)
        reason = hold.lost
        held = self._manager.give_up(hold)
        hold.lose("it was released")
        hold.is_released = True
        if reason is not None or not held:
            raise LockLost(f"{hold.what} is lost: {reason or 'another holder had taken it before it was released'}")

    @property
    def held(self) -> bool:
        """True if the lock is taken, and not lost as far as this process can know."""
        return self._hold is not None and self._hold.lost is None

    def check(self) -> None:
        """Raise LockLost if the lock is not held any more."""
        self._taken().check()

    @property
    def token(self) -> int:
        """The fencing token: greater than that of every holder before. Raise LockLost if the lock is not taken."""
        return self._taken().token

    def guard(self) -> Guard:
        """Return the guard by which this lock guards the commit of a transaction. Raise LockLost."""
        hold = self._taken()
        hold.check()
        return Guard(self.name, hold, self._manager.store)

    def _taken(self) -> Hold:
        if self._hold is None:
            raise LockLost(f"lock {self.name!r} is not taken")
        return self._hold

    def __enter__(self) -> Lock:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Release the lock. A LockLost does not replace an error that is being raised; it becomes a note of it."""
        try:
            self.release()
        except Exception as trouble:
            if error is None:
                raise
            error.add_note(f"in addition: {trouble}")

    async def __aenter__(self) -> Lock:
        """Take the lock as `acquire` does; other tasks run meanwhile."""
        return await waits.spawn(self.acquire)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release the lock as the end of a `with` block does; other tasks run meanwhile."""
        await waits.spawn(self.__exit__, kind, error, traceback)

    def __repr__(self) -> str:
        return f"<Lock {self.name!r}, {'held' if self.held else 'not held'}>"


@dataclass(frozen=True)
class Guard:
    """One hold of a lock, as a transaction knows it: a lock that is released and taken again makes another guard."""

    name: str
    hold: Hold
    store: Store

    @property
    def version(self) -> int:
        """The version of the database that has all commits of former holders."""
        return self.hold.version

    def check(self) -> Check:
        """Return the check that a guarded commit needs. Raise LockLost if the lock is known to be lost."""
        self.hold.check()
        return fences.check(self.name, self.hold.token)

    def guards(self, store: Store) -> bool:
        """Return True if it is a lock of this store's database."""
        return store is self.store or store.fetch([]).incarnation == self.store.fetch([]).incarnation


_managers: weakref.WeakKeyDictionary[Database, LockManager] = weakref.WeakKeyDictionary()
_managers_lock = new_lock()


def manager_of(database: Database) -> LockManager:
    """Return the manager of an open database that this process shares."""
    with _managers_lock:
        manager = _managers.get(database)
        if manager is None:
            manager = _managers[database] = LockManager(database)
        return manager
