"""Counters of a database: the numbers of integer primary keys, and the ids of tables and indexes.

Numbers are taken from the store in blocks, which the connections of a process share.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import lru_cache

from rome.storage.store import Store

_BLOCK = 32

IDS = b"ids"
"""The counter of the ids of tables and indexes."""


@lru_cache(maxsize=10_000)
def row_counter(table_id: int) -> bytes:
    """The counter that a table's integer primary keys come from."""
    return b"t%d" % table_id


class Counters:
    """Numbers of the store's counters, taken in blocks that the connections of this process share.

    A child process must not go on with its parent's blocks: they are dropped at fork.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._blocks: dict[bytes, list[range]] = {}
        self._floors: dict[bytes, int] = {}
        _all_counters.add(self)

    def next(self, counter: bytes) -> int:
        """The next number."""
        with self._lock:
            blocks = self._blocks.setdefault(counter, [])
            if not blocks:
                blocks.append(self._allocate(counter, _BLOCK))
            first = blocks[0]
            blocks[:1] = [first[1:]] if len(first) > 1 else []
            return first[0]

    def prepare(self, counter: bytes, count: int) -> None:
        """See to it that `count` numbers can be had without asking the store again."""
        with self._lock:
            blocks = self._blocks.setdefault(counter, [])
            missing = count - sum(map(len, blocks))
            if missing > 0:
                blocks.append(self._allocate(counter, missing + _BLOCK))

    def _allocate(self, counter: bytes, count: int) -> range:
        floor = self._floors.pop(counter, None)
        if floor is not None:
            self._store.advance(counter, floor)
        first = self._store.allocate(counter, count)
        return range(first, first + count)

    def give_back(self, counter: bytes, number: int) -> None:
        """The number was not used. It is handed out again if it was the last one, so that numbers still grow."""
        with self._lock:
            blocks = self._blocks.get(counter)
            if blocks and blocks[0].start == number + 1:
                blocks[0] = range(number, blocks[0].stop)

    def skip(self, counter: bytes, value: int) -> None:
        """Hand out only numbers greater than `value` from now on, as far as this process goes."""
        with self._lock:
            blocks = self._blocks.get(counter, [])
            left = [range(max(block.start, value + 1), block.stop) for block in blocks if block.stop > value + 1]
            self._blocks[counter] = left
            if not left:
                self._floors[counter] = max(value, self._floors.get(counter, 0))

    def advanced(self, counter: bytes, value: int) -> None:
        """The store's counter was moved on to `value` by a commit."""
        with self._lock:
            if self._floors.get(counter, value + 1) <= value:
                del self._floors[counter]

    def drop(self, counter: bytes) -> None:
        """A number of this counter turned out to be taken, so others may be: take new ones from the store."""
        with self._lock:
            self._blocks.pop(counter, None)

    def forget(self) -> None:
        """Drop all blocks."""
        self._lock = threading.Lock()
        self._blocks.clear()
        self._floors.clear()


_all_counters: weakref.WeakSet[Counters] = weakref.WeakSet()


def _after_fork() -> None:
    for counters in _all_counters:
        counters.forget()


os.register_at_fork(after_in_child=_after_fork)
