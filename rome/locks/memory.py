"""Locks of a database in this process: a dictionary and a condition variable."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

from rome.locks.clock import now
from rome.locks.table import Attempt, State
from rome.storage.memory import MemoryStore

COUNTER = b"locks"
"""The counter of the database that tokens come from: a copy of the database goes on with it, as with its fences."""


class _Holder(NamedTuple):
    owner: bytes
    deadline: float


class MemoryLocks:
    """A LockTable. All stores of one name share it."""

    def __init__(self, database: Any) -> None:
        """`database`: what MemoryStores of one name share."""
        self._database = weakref.proxy(database)
        self._holders: dict[bytes, _Holder] = {}
        self._changed = threading.Condition()
        self._releases = 0

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """As the LockTable has it."""
        states = []
        left = 0.0
        with self._changed:
            for name in names:
                holder = self._holders.get(name)
                if holder is not None and holder.owner != owner and holder.deadline > now():
                    states.append(State.HELD)
                    left = holder.deadline - now()
                    if not skip:
                        break
                    continue
                states.append(State.GRANTED if holder is None or holder.owner == owner else State.OVERTOOK)
                self._holders[name] = _Holder(owner, now() + ttl)
            token, version = self._next_token()
            return Attempt(tuple(states), token, version, left, self._releases)

    def _next_token(self) -> tuple[int, int]:
        with self._database.lock:
            token = self._database.counters.get(COUNTER, 0) + 1
            self._database.counters[COUNTER] = token
            return token, self._database.version

    def renew(self, names: Sequence[bytes], owner: bytes, ttl: float) -> bool:
        """As the LockTable has it."""
        with self._changed:
            if not self._holds(names, owner):
                return False
            self._holders.update(dict.fromkeys(names, _Holder(owner, now() + ttl)))
            return True

    def release(self, names: Sequence[bytes], owner: bytes) -> bool:
        """As the LockTable has it."""
        with self._changed:
            held = self._holds(names, owner)
            for name in names:
                holder = self._holders.get(name)
                if holder is not None and holder.owner == owner:
                    del self._holders[name]
            self._releases += 1
            self._changed.notify_all()
            return held

    def wait(self, name: bytes, ticket: Any, seconds: float) -> None:
        """As the LockTable has it."""
        with self._changed:
            self._changed.wait_for(lambda: self._releases != ticket, seconds)

    def _holds(self, names: Sequence[bytes], owner: bytes) -> bool:
        holders = [self._holders.get(name) for name in names]
        return all(holder is not None and holder.owner == owner for holder in holders)

    def begin_child(self) -> None:
        """After a fork the database is a copy, and its locks are nobody's."""
        self._changed = threading.Condition()
        self._holders.clear()


_tables: weakref.WeakKeyDictionary[Any, MemoryLocks] = weakref.WeakKeyDictionary()
_tables_lock = threading.Lock()


def memory_locks(store: MemoryStore) -> MemoryLocks:
    """The table that all stores of this one's name share."""
    database = store._database
    with _tables_lock:
        if database not in _tables:
            _tables[database] = MemoryLocks(database)
        return _tables[database]


def _begin_child() -> None:
    global _tables_lock
    _tables_lock = threading.Lock()
    for table in list(_tables.values()):
        table.begin_child()


os.register_at_fork(after_in_child=_begin_child)
