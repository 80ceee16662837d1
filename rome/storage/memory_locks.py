"""The lock table of a database in this process: a dictionary and a condition variable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rome import waits
from rome.forks import new_rlock, tell_in_child
from rome.storage.lock_table import Attempt, Holder, LockState, now


class _Hold(NamedTuple):
    owner: bytes
    deadline: float


class MemoryLocks:
    """The lock table that all stores of one memory database share."""

    def __init__(self, next_token: Callable[[], tuple[int, int]]) -> None:
        """`next_token` returns a new fencing token and the database's version."""
        self._next_token = next_token
        self._holders: dict[bytes, _Hold] = {}
        self.mutex = new_rlock()
        """Taken before the database's lock, because an attempt asks the database for a token."""
        self._changed = threading.Condition(self.mutex)
        self._releases = 0
        tell_in_child(self)

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """Take names in order, up to the first that another owner holds; with `skip`, leave those out."""
        states = []
        left = 0.0
        with self.mutex:
            for name in names:
                holder = self._holders.get(name)
                if holder is not None and holder.owner != owner and holder.deadline > now():
                    states.append(LockState.HELD)
                    left = holder.deadline - now()
                    if not skip:
                        break
                    continue
                states.append(LockState.GRANTED if holder is None or holder.owner == owner else LockState.OVERTOOK)
                self._holders[name] = _Hold(owner, now() + ttl)
            token, version = self._next_token()
            return Attempt(tuple(states), token, version, left, self._releases)

    def renew(self, names: Sequence[bytes], owner: bytes, ttl: float) -> bool:
        """Begin the TTL anew. Return False if `owner` does not hold all of the names any more."""
        with self.mutex:
            if not self._holds(names, owner):
                return False
            self._holders.update(dict.fromkeys(names, _Hold(owner, now() + ttl)))
            return True

    def release(self, names: Sequence[bytes], owner: bytes) -> bool:
        """Give names back and wake waiters. Return False if `owner` did not hold all of them any more."""
        with self.mutex:
            held = self._holds(names, owner)
            for name in names:
                holder = self._holders.get(name)
                if holder is not None and holder.owner == owner:
                    del self._holders[name]
            self._releases += 1
            self._changed.notify_all()
            return held

    def wait(self, name: bytes, ticket: Any, seconds: float) -> None:
        """Return when anything was released since the attempt that gave the ticket, at the latest after `seconds`."""
        if waits.in_task():
            waits.poll(lambda: self._releases != ticket, seconds)
            return
        with self.mutex:
            self._changed.wait_for(lambda: self._releases != ticket, seconds)

    def held_by_others(self, names: Sequence[bytes], owner: bytes) -> list[bytes]:
        """Return those of the names that another owner has not released. The caller holds `mutex`."""
        holders = [(name, self._holders.get(name)) for name in names]
        return [name for name, each in holders if each is not None and each.owner != owner]

    def holders(self) -> list[Holder]:
        """Return the names whose TTL has not passed, in the order of names."""
        with self.mutex:
            held = [Holder(name, hold.owner, hold.deadline - now()) for name, hold in self._holders.items()]
        return sorted(holder for holder in held if holder.left > 0)

    @property
    def is_empty(self) -> bool:
        """True if no name is held."""
        return not self._holders

    def wake(self, name: bytes) -> None:
        """Let all waits return."""
        with self.mutex:
            self._releases += 1
            self._changed.notify_all()

    def _holds(self, names: Sequence[bytes], owner: bytes) -> bool:
        holders = [self._holders.get(name) for name in names]
        return all(holder is not None and holder.owner == owner for holder in holders)

    def begin_child(self) -> None:
        """Forget all holders: after a fork the database is a copy, and the locks belong to the parent."""
        self._changed = threading.Condition(self.mutex)
        self._holders.clear()
