"""Taking locks: the manager of a database's locks, and the lock as an application holds it."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from rome.database.database import Database
from rome.database.registry import open_database, release_database
from rome.errors import InterfaceError, LockLost, LockTimeout
from rome.locks import fences
from rome.locks.holds import Hold, Renewer
from rome.storage.lock_table import LockState, now
from rome.storage.store import Check, Store
from rome.url import URL, parse_url

TTL = 10.0
"""Seconds that a lock outlives its holder, unless told otherwise."""

_SHORTEST_TTL = 0.05


class LockManager:
    """The locks of one database, as one process uses them. Threads share it.

    >>> manager = LockManager("rome+memory:///locks")
    >>> with manager.lock("resize", ttl=10, timeout=5) as lock:
    ...     lock.held
    True
    >>> manager.close()
    """

    def __init__(self, database: str | URL | Database | Store) -> None:
        """Raises InterfaceError for a wrong URL, StoreUnavailable."""
        self._opened: Database | None = None
        if isinstance(database, str | URL):
            url = parse_url(database) if isinstance(database, str) else database
            database = self._opened = open_database(url)
        self.store: Store = database.store if isinstance(database, Database) else database
        self._table = self.store.lock_table()
        self._renewer = Renewer(self._table)
        self._of_thread = threading.local()

    def lock(self, name: str, ttl: float = TTL, timeout: float | None = None) -> Lock:
        """The lock of that name, not yet taken; to be used in a `with` statement, or by its methods.

        `ttl`: seconds after which others may take it when this process renews it no more, because it is dead or
        paused. `timeout`: seconds to wait for it; 0 to try once, None to wait for as long as it takes.
        """
        if not name or not isinstance(name, str):
            raise InterfaceError(f"a lock's name is a text that is not empty, not {name!r}")
        if ttl < _SHORTEST_TTL or (timeout is not None and timeout < 0):
            raise InterfaceError(
                f"lock {name!r}: ttl={ttl} is at least {_SHORTEST_TTL} s, timeout={timeout} at least 0"
            )
        return Lock(self, name, ttl, timeout)

    def close(self) -> None:
        """Close what this manager has opened. Locks that are held are not released by it."""
        if self._opened is not None:
            release_database(self._opened)
            self._opened = None

    # ── for Lock and for row locks ────────────────────────────────────────────────────────────────────────────────

    def take(self, hold: Hold, names: Sequence[bytes], timeout: float | None, skip: bool = False) -> list[LockState]:
        """Add names to a hold, in their order; the state of each. It is renewed from the first one on.

        With `skip`, names that somebody else holds are passed over. Raises LockTimeout; the names that this call took
        have been given back then.
        """
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
                            f"{hold.what} did not become free within {timeout:g} s: somebody else holds it"
                        )
                self._table.wait(names[len(states)], attempt.ticket, pause)
        except BaseException:
            # Whether the last request arrived may be unknown: so everything that was asked for is given back.
            self._give_back(hold, [*names])
            del hold.names[before:]
            if not hold.names:
                self._renewer.forget(hold)
            raise

    def _note(self, hold: Hold, names: Sequence[bytes], states: Sequence[LockState], sent: float) -> None:
        taken = [name for name, state in zip(names, states, strict=False) if state is not LockState.HELD]
        if taken:
            if not hold.names:
                hold.confirmed(sent)
            hold.names.extend(taken)
            self._renewer.watch(hold)

    def _give_back(self, hold: Hold, names: Sequence[bytes]) -> None:
        # If this fails, too, the TTL does it; and the error that is under way tells more.
        with contextlib.suppress(Exception):
            self._table.release(names, hold.owner)

    def give_up(self, hold: Hold) -> bool:
        """Release all of a hold; whether it was held until now. Raises StoreUnavailable: the TTL will free it then."""
        self._renewer.forget(hold)
        if not hold.is_ours:
            return False
        return self._table.release(hold.names, hold.owner)

    # ── re-entrance ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def entered(self) -> dict[str, tuple[Hold, int]]:
        """What the present thread holds, and how many times it has entered it."""
        entered: dict[str, tuple[Hold, int]] | None = getattr(self._of_thread, "entered", None)
        if entered is None:
            entered = self._of_thread.entered = {}
        return entered


class Lock:
    """A lock by its name. A thread that holds it may take it again, also through another Lock of the same manager."""

    def __init__(self, manager: LockManager, name: str, ttl: float, timeout: float | None) -> None:
        """`LockManager.lock` makes it."""
        self.name = name
        self._manager = manager
        self._ttl = ttl
        self._timeout = timeout
        self._hold: Hold | None = None
        self._entered = 0

    def acquire(self) -> Lock:
        """Take it; one round trip if it is free. Answers itself. Raises LockTimeout, StoreUnavailable.

        Taken again by its thread, it only counts: `release` must be called as often. Raises LockLost if it has been
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
        """Give it back; one round trip. Raises LockLost if it was lost before, InterfaceError if it was not taken."""
        hold, self._entered = self._hold, max(0, self._entered - 1)
        if hold is None:
            raise InterfaceError(f"lock {self.name!r} is released but was not taken")
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
        """Whether it is taken, and not lost as far as this process can know."""
        return self._hold is not None and self._hold.lost is None

    def check(self) -> None:
        """Raise LockLost if it is not held any more."""
        self._taken().check()

    @property
    def token(self) -> int:
        """The fencing token: greater than that of every holder before. Raises LockLost if it was not taken."""
        return self._taken().token

    def guard(self) -> Guard:
        """What a transaction needs to let this lock guard its commit. Raises LockLost."""
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
        """Release it. That it was lost does not hide an error that is under way; it becomes a note of it."""
        try:
            self.release()
        except Exception as trouble:
            if error is None:
                raise
            error.add_note(f"moreover: {trouble}")

    def __repr__(self) -> str:
        return f"<Lock {self.name!r}, {'held' if self.held else 'not held'}>"


@dataclass(frozen=True)
class Guard:
    """One taking of a lock, as a transaction knows it: a lock that was released and taken again is another one."""

    name: str
    hold: Hold
    store: Store

    @property
    def version(self) -> int:
        """What former holders committed is at this version of the database or before."""
        return self.hold.version

    def check(self) -> Check:
        """What a commit must demand. Raises LockLost if it is known to be lost already."""
        self.hold.check()
        return fences.check(self.name, self.hold.token)

    def guards(self, store: Store) -> bool:
        """Whether it is a lock of the database behind this store."""
        return store is self.store or store.fetch([]).incarnation == self.store.fetch([]).incarnation


_managers: weakref.WeakKeyDictionary[Database, LockManager] = weakref.WeakKeyDictionary()
_managers_lock = threading.Lock()


def manager_of(database: Database) -> LockManager:
    """The manager that all of this process shares for an open database."""
    with _managers_lock:
        manager = _managers.get(database)
        if manager is None:
            manager = _managers[database] = LockManager(database)
        return manager
