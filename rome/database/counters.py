"""Counters of a database: for the ids of rows (one counter a table), and for the ids of tables and indexes.

Ids of rows are drawn from the store when the rows are made, along with what the statement reads anyway: so they grow in
the order of allocation, in all processes together. Numbers of tables and indexes are taken in blocks, which the
connections of a process share; ids of rows are, too, in a store that no other process can open, and with `ids=blocks`
in the URL. Rowids that no column has come in blocks where an INSERT needs no other round trip (`constraints=deferred`).
"""

from __future__ import annotations

from rome.cache.predictions import Predictions
from rome.errors import CounterUsedUp
from rome.forks import new_lock, tell_in_child
from rome.storage.store import Store

_BLOCK = 32

_MOST_COMPANIONS = 64
"""The most ids of one table that are remembered to be drawn along."""

IDS = b"ids"
"""The name of the counter of the ids of tables and indexes."""


class Counters:
    """The blocks of numbers that this process has taken from the store's counters.

    A child process must not use its parent's blocks, so they are dropped at fork.
    """

    def __init__(self, store: Store, in_blocks: bool, predictions: Predictions | None = None) -> None:
        """`in_blocks`: take ids of rows in blocks, too. `predictions`: of a database with a cache."""
        self.in_blocks = in_blocks
        self.predictions = None if in_blocks else predictions
        self.companions: dict[int, dict[int, int]] = {}
        """By the table (its id) that a transaction inserts into first: how many ids of each table it takes in all."""
        self._store = store
        self._lock = new_lock()
        self._blocks: dict[bytes, list[range]] = {}
        """By counter, in the order of use. The first block may be empty: it shows the number that is used last."""
        self._floors: dict[bytes, int] = {}
        tell_in_child(self)

    def has_floor(self, counter: bytes) -> bool:
        """Return True if the store's counter has to be moved on before this process takes a number."""
        return counter in self._floors

    def note_companions(self, first: int, counts: dict[int, int]) -> None:
        """Note how many ids a transaction has taken of each table, the table of the first one being `first`.

        Greater counts are remembered at once, smaller ones little by little.
        """
        known = self.companions.get(first, {})
        kept = {}
        for table_id in counts.keys() | known.keys():
            before, now = known.get(table_id, 0), min(counts.get(table_id, 0), _MOST_COMPANIONS)
            kept[table_id] = max(now, before - max(1, (before - now) // 4))
        kept = {table_id: count for table_id, count in kept.items() if count > 0}
        if kept == {first: 1}:
            self.companions.pop(first, None)
        else:
            self.companions[first] = kept

    def take(self, counter: bytes, count: int, *, in_block: bool = False) -> list[int]:
        """Return the next `count` numbers: a round trip if this process has too few.

        `in_block`: take a block, whatever the counter is for.
        """
        surplus = _BLOCK if in_block or self.in_blocks or counter == IDS else 0
        while True:
            with self._lock:
                blocks = self._blocks.setdefault(counter, [])
                if count == 1 and blocks and blocks[0]:
                    number = blocks[0][0]
                    blocks[0] = blocks[0][1:]
                    return [number]
                missing = count - sum(map(len, blocks))
                if missing <= 0:
                    return _pop(blocks, count)
                floor = self._floors.get(counter)
            # Without the lock: other threads need not wait for the store.
            wanted = max(1, surplus) if count == 1 else missing + surplus
            try:
                block = self._allocate(counter, wanted, floor)
            except CounterUsedUp:
                if wanted == missing:
                    raise
                block = self._allocate(counter, missing, floor)
            with self._lock:
                self._add(counter, block)

    def take_available(self, counter: bytes, count: int) -> list[int]:
        """Return the next `count` numbers, or fewer if this process has no more."""
        with self._lock:
            return _pop(self._blocks.get(counter, []), count)

    def _add(self, counter: bytes, block: range) -> None:
        """Add a block, as far as its numbers are above the floor."""
        floor = self._floors.get(counter)
        if floor is not None:
            block = range(max(block.start, floor + 1), max(block.stop, floor + 1))
            if block:
                del self._floors[counter]
        self._blocks.setdefault(counter, []).append(block)

    def _allocate(self, counter: bytes, count: int, floor: int | None) -> range:
        if floor is not None:
            self._store.advance(counter, floor)
        if self.predictions is None:
            first = self._store.allocate(counter, count)
        else:
            drawn = self.predictions.draw([(counter, count)], lambda draws: self._store.fetch([], None, draws)).drawn
            first = drawn[0]
        return range(first, first + count)

    def give_back(self, counter: bytes, number: int) -> None:
        """Return a number that was not used. It is taken again only if it was the last one, so that numbers grow."""
        if not self.in_blocks:
            return
        with self._lock:
            blocks = self._blocks.get(counter)
            if blocks and blocks[0].start == number + 1:
                blocks[0] = range(number, blocks[0].stop)

    def skip(self, counter: bytes, value: int) -> None:
        """Let this process take only numbers greater than `value` from now on."""
        if self.predictions is not None:
            self.predictions.forget(counter)
        with self._lock:
            blocks = self._blocks.get(counter, [])
            left = [range(max(block.start, value + 1), block.stop) for block in blocks if block.stop > value + 1]
            self._blocks[counter] = left
            if not left:
                self._floors[counter] = max(value, self._floors.get(counter, 0))

    def advanced(self, counter: bytes, value: int) -> None:
        """Note that a commit has moved the store's counter on to `value`."""
        with self._lock:
            if self._floors.get(counter, value + 1) <= value:
                del self._floors[counter]

    def drop(self, counter: bytes) -> None:
        """Drop the blocks of a counter: one of their numbers was in use, so others may be as well."""
        with self._lock:
            self._blocks.pop(counter, None)

    def forget(self) -> None:
        """Drop all blocks."""
        with self._lock:
            self._blocks.clear()
            self._floors.clear()
            self.companions.clear()
        if self.predictions is not None:
            self.predictions.forget_all()

    def begin_child(self) -> None:
        """Drop the parent's blocks."""
        self.forget()


def _pop(blocks: list[range], count: int) -> list[int]:
    """Remove up to `count` numbers from the front of some blocks. Return them."""
    numbers: list[int] = []
    while blocks:
        first = blocks[0]
        taken = first[: count - len(numbers)]
        numbers += taken
        blocks[0] = first[len(taken) :]
        if len(numbers) == count or len(blocks) == 1:
            break
        del blocks[0]
    return numbers
