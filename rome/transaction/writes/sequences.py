"""Sequences: the ids that a transaction allocates for its new rows, from the sequence of each table.

The store has a counter for each table (`rome.database.counters`). What a statement allocated before it was undone is
allocated again, in the same order, so a statement that runs twice makes the same rows. An id that the application gives
explicitly is not allocated to another row.

    announce   say how many ids a statement needs, so that the next round trip draws them along with what it reads.
               Transactions repeat themselves: with the first ids, as many are drawn for other tables as the last
               transaction that began with this table took
    allocate   the next id; may need a round trip. For INSERT without the workspace
    reserve    ids for a statement that runs in the workspace next; may need a round trip
    take       the next reserved id. This is SQLite's function `rome_next`; it never waits for the store

In a database with a cache, ids for which there is no round trip are predicted (`rome.cache.predictions`).

`take` raises SequenceExhausted if no reserved id is left, because a statement has made more rows than could be known
before (INSERT … SELECT, triggers). The statement is then undone, twice as many are reserved, and it runs again. Ids
that were reserved for a statement and not used are released after it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import repeat

from rome.cache.predictions import Predicted
from rome.catalog.key_codec import rowid_key
from rome.catalog.model import Table
from rome.database.counters import Counters
from rome.errors import Conflict, NumbersTaken, OperationalError
from rome.sql.syntax.tokens import tokenize
from rome.storage.keys import encode_ints
from rome.storage.store import Draw, row_counter, rows_space
from rome.transaction.reads.row_cache import CachedRow

RowId = tuple[int, int]
"""A table's id, and an id of one of its rows."""


_MOST_AHEAD = 32


_NEAR_THE_END = 2**63 - 2**32


def moves_sequence(table: Table, rowid: int) -> bool:
    """Return True if an id that is given explicitly moves the table's sequence on.

    Near the end of all ids it would use the sequence up, and no row could get an id any more. This is right only with
    AUTOINCREMENT, which promises that ids grow; else SQLite gives free ids then, and ROME goes on with the sequence.
    """
    if 0 < rowid < _NEAR_THE_END:
        return True
    return rowid > 0 and any(token.word() == "AUTOINCREMENT" for token in tokenize(table.sql))


class SequenceExhausted(OperationalError):
    """A statement in the workspace needs more ids of a table than were reserved for it. Reserve more; run it again."""

    def __init__(self, table_id: int) -> None:
        super().__init__("rome_next() is only for the INSERT statements of ROME")
        self.table_id = table_id


class Sequences:
    """The ids that one transaction allocates."""

    def __init__(self, counters: Counters) -> None:
        self.allocated: dict[RowId, bool] = {}
        """In the order of allocation. No other row has these ids: commit makes sure of that."""
        self.id_collision = False
        """True if commit was refused because an allocated id is in use: a replay with the same ids would be, too."""
        self.uncertain: list[RowId] = []
        """The ids of a commit that failed, and may have been applied all the same."""
        self._counters = counters
        self._announced: dict[int, int] = {}
        self._asked: list[int] = []
        """The tables of the draws of the last round, by id."""
        self._drawn: dict[int, int] = {}
        """By table id: how many ids were drawn."""
        self._predicted: Predicted = {}
        self._first_table: int | None = None
        self._reserved: dict[int, deque[int]] = {}
        self._surplus: dict[int, int] = {}
        """By table id: how many of the last reserved ids were reserved for the running statement."""
        self._explicit: dict[int, set[int]] = {}
        self._since_mark: list[RowId] = []
        self.skipped = 0
        """How many reserved ids the running statement has skipped, because rows have them."""

    def allocate(self, table_id: int, cached: Mapping[bytes, CachedRow]) -> int:
        """Return the next id. `cached`: the cached rows of the table.

        Ids of rows that are known to exist are skipped: another process may have given one of our block explicitly.
        """
        reserved = self._reserved.get(table_id)
        while True:
            rowid = reserved.popleft() if reserved else self._take(table_id, 1)[0]
            if self._is_free(table_id, rowid, cached):
                self.allocated[table_id, rowid] = True
                self._since_mark.append((table_id, rowid))
                return rowid

    def allocate_many(self, table_id: int, count: int, cached: Mapping[bytes, CachedRow]) -> list[int]:
        """Return the next ids, as `allocate` does one by one: a round trip if this process has too few."""
        self.reserve(table_id, count)
        reserved = self._reserved.get(table_id, deque())
        explicit: Set[int] = self._explicit.get(table_id, set())
        rowids = [reserved.popleft() for _ in range(count)]
        if not explicit.isdisjoint(rowids) or (cached and not cached.keys().isdisjoint(encode_ints(rowids))):
            reserved.extendleft(reversed(rowids))
            return [self.allocate(table_id, cached) for _ in range(count)]
        pairs = list(zip(repeat(table_id), rowids))
        self.allocated.update(dict.fromkeys(pairs, True))
        self._since_mark += pairs
        return rowids

    def take(self, table_id: int, cached: Mapping[bytes, CachedRow]) -> int:
        """Return the next reserved id. Raise SequenceExhausted if there is none left."""
        reserved = self._reserved.get(table_id)
        while reserved:
            rowid = reserved.popleft()
            if self._is_free(table_id, rowid, cached):
                self.allocated[table_id, rowid] = True
                self._since_mark.append((table_id, rowid))
                return rowid
            self.skipped += 1
        raise SequenceExhausted(table_id)

    def _is_free(self, table_id: int, rowid: int, cached: Mapping[bytes, CachedRow]) -> bool:
        """Return False if a row is known to have this id, or to get it explicitly."""
        if self._explicit and rowid in self._explicit.get(table_id, ()):
            return False
        row = cached.get(rowid_key(rowid)) if cached else None
        return row is None or row.values is None

    def reserve(self, table_id: int, count: int) -> None:
        """Have at least `count` ids reserved: a round trip if this process has too few."""
        missing = count - len(self._reserved.get(table_id, ()))
        if missing > 0:
            self._add(table_id, self._take(table_id, missing))

    def _take(self, table_id: int, count: int) -> list[int]:
        """Return the next ids: a round trip if this process has too few. Others that come along are reserved."""
        self._announced.pop(table_id, None)
        if self._counters.predictions is not None:
            predicted = self.predict([(row_counter(table_id), count)])
            if predicted is not None:
                return [*range(predicted[0], predicted[0] + count)]
        wanted = self._wanted(table_id, count)
        rowids = self._counters.take(row_counter(table_id), wanted)
        if wanted > count:
            self._reserved.setdefault(table_id, deque()).extend(rowids[count:])
        return rowids[:count]

    def _wanted(self, table_id: int, missing: int) -> int:
        """Return how many ids to draw where some are missing: at least as many as were drawn before, up to 32.

        So the round trips of a transaction with many INSERTs grow with the logarithm of their number.
        """
        if self._counters.in_blocks:
            return missing
        before = self._drawn.get(table_id)
        if before is None:
            self._drawn[table_id] = missing
            return missing
        wanted = max(missing, min(before, _MOST_AHEAD))
        self._drawn[table_id] = before + wanted
        return wanted

    def announce(self, table_id: int, count: int) -> None:
        """Let the next round trip draw as many ids as are missing. In vain if ids are taken in blocks."""
        if self._counters.in_blocks or not count:
            return
        if count > self._announced.get(table_id, 0):
            self._announced[table_id] = count
        if self._first_table is None:
            self._first_table = table_id
            for other, number in self._counters.companions.get(table_id, {}).items():
                self._announced[other] = max(number, self._announced.get(other, 0))

    def draws(self) -> list[Draw]:
        """Return what the next round trip has to draw; `add_drawn` takes its numbers."""
        if not self._announced:
            return []
        found = []
        self._asked.clear()
        for table_id, missing in self._announced.items():
            if table_id in self._reserved:
                missing -= len(self._reserved[table_id])  # noqa: PLW2901
            if missing > 0:
                counter = row_counter(table_id)
                if not self._counters.has_floor(counter):
                    found.append((counter, self._wanted(table_id, missing)))
                    self._asked.append(table_id)
        return found

    def add_drawn(self, draws: Iterable[Draw], first_numbers: Iterable[int]) -> None:
        """Reserve the numbers of draws."""
        for table_id, (_, count), first in zip(self._asked, draws, first_numbers, strict=True):
            self._reserved.setdefault(table_id, deque()).extend(range(first, first + count))
        self._announced.clear()

    def predict(self, draws: Sequence[Draw]) -> list[int] | None:
        """Return the first number of each draw, as the commit will take them; None if they must be drawn."""
        predictions = self._counters.predictions
        if predictions is None or any(self._counters.has_floor(counter) for counter, _ in draws):
            return None
        return predictions.predict(self._predicted, draws)

    def taken_by_commit(self) -> dict[bytes, tuple[int, int]]:
        """Return, of each counter of which ids were predicted: the last number before them, and the last of them."""
        found: dict[bytes, tuple[int, int]] = {}
        if not self._predicted:
            return found
        for table_id, rowid in self.allocated:
            counter = row_counter(table_id)
            prediction = self._predicted.get(counter)
            if prediction is not None and not prediction.is_drawn and prediction.last < rowid <= prediction.end:
                found[counter] = prediction.last, max(rowid, found.get(counter, (0, 0))[1])
        return found

    def were_drawn(self, counter: bytes) -> bool:
        """Return True if the process has drawn the predicted ids that a commit was refused for. It may have to wait."""
        predictions, prediction = self._counters.predictions, self._predicted.get(counter)
        return predictions is not None and prediction is not None and predictions.is_drawn(counter, prediction)

    def note_companions(self) -> None:
        """Remember, after the commit, how many ids the transaction has taken of each table."""
        first = self._first_table
        # Most transactions take one id, and there is nothing to remember.
        if first is not None and (len(self.allocated) != 1 or first in self._counters.companions):
            self._counters.note_companions(first, Counter(table_id for table_id, _ in self.allocated))

    def reserve_available(self, table_id: int, count: int) -> None:
        """Have up to `count` ids reserved, as far as this process has them."""
        missing = count - len(self._reserved.get(table_id, ()))
        if missing > 0:
            self._add(table_id, self._counters.take_available(row_counter(table_id), missing))

    def reserve_at_once(self, table: Table, count: int) -> bool:
        """Have at least `count` ids reserved, but return False if each time takes a round trip to draw them.

        Rowids that no column of the table has are taken in blocks: their order says less to applications.
        """
        reserved, counter = self._reserved.setdefault(table.id, deque()), row_counter(table.id)
        missing = count - len(reserved)
        if missing <= 0:
            return True
        if self._counters.in_blocks or table.rowid_alias is None:
            reserved.extend(self._counters.take(counter, missing, in_block=True))
            return True
        predicted = self.predict([(counter, missing)])
        if predicted is not None:
            reserved.extend(range(predicted[0], predicted[0] + missing))
        return predicted is not None

    def reserve_more(self, table_id: int, count: int) -> None:
        """Have more ids reserved than now, up to `count`: a round trip only if this process has none left."""
        before = len(self._reserved.get(table_id, ()))
        self.reserve_available(table_id, count)
        if len(self._reserved.get(table_id, ())) == before:
            self.reserve(table_id, count)

    def wanted(self, table_id: int) -> int:
        """Return how many ids to reserve for the running statement, which needs more: twice as many as it has taken."""
        return 2 * (self.allocated_since_mark().get(table_id, 0) + self.skipped) or 1

    def _add(self, table_id: int, rowids: list[int]) -> None:
        self._reserved.setdefault(table_id, deque()).extend(rowids)
        self._surplus[table_id] = self._surplus.get(table_id, 0) + len(rowids)

    def release_surplus(self) -> None:
        """Release the ids that were reserved for a statement and not allocated by it."""
        for table_id, surplus in self._surplus.items():
            reserved = self._reserved[table_id]
            for _ in range(min(surplus, len(reserved))):
                self._counters.give_back(row_counter(table_id), reserved.pop())
        self._surplus.clear()
        self.skipped = 0

    def note_explicit(self, table_id: int, rowids: Iterable[int]) -> None:
        """Note that rows get these ids explicitly, or have got them."""
        self._explicit.setdefault(table_id, set()).update(rowids)

    def reuse(self, rowids: Iterable[RowId]) -> None:
        """Allocate these ids, in their order, before any other."""
        for table_id, rowid in rowids:
            self._reserved.setdefault(table_id, deque()).append(rowid)

    def mark(self) -> None:
        """Begin what `roll_back_to_mark` undoes."""
        self._since_mark.clear()

    def allocated_since_mark(self) -> dict[int, int]:
        """Return how many ids were allocated since the mark, by table id."""
        counts: dict[int, int] = {}
        for table_id, _ in self._since_mark:
            counts[table_id] = counts.get(table_id, 0) + 1
        return counts

    def roll_back_to_mark(self) -> None:
        """Make the ids that were allocated since the mark the next ones again."""
        if not self._since_mark:
            return
        for table_id, surplus in self._surplus.items():
            self._surplus[table_id] = min(surplus, len(self._reserved[table_id]))
        for table_id, rowid in reversed(self._since_mark):
            self.allocated.pop((table_id, rowid), None)
            self._reserved.setdefault(table_id, deque()).appendleft(rowid)
        self._since_mark.clear()

    def note_conflict(self, conflict: Conflict) -> Conflict:
        """Note which key a commit was refused for. If it is that of an allocated id, others may collide as well.

        Return the conflict: another one if others have taken a predicted id, and their row was found first.
        """
        for row in self.allocated:
            table_id, rowid = row
            if (conflict.space, conflict.key) == (rows_space(table_id), rowid_key(rowid)):
                counter = row_counter(table_id)
                if _is_predicted(row, self.taken_by_commit()):
                    conflict = NumbersTaken(counter)
                    break
                self._counters.drop(counter)
                self.id_collision = True
        if isinstance(conflict, NumbersTaken) and self._counters.predictions is not None:
            self._counters.predictions.note_refusal(conflict.counter)
        return conflict

    def keep_uncertain(self, *, is_refused: bool) -> None:
        """Keep the allocated ids from being released: a commit that used them failed, or may have been applied.

        `is_refused`: it was not applied.
        """
        predicted = self.taken_by_commit()
        self.uncertain = [each for each in self.allocated if not _is_predicted(each, predicted)]
        self.allocated.clear()
        if self._counters.predictions is not None and not is_refused:
            for counter in predicted:
                self._counters.predictions.forget(counter)

    def release(self, *, allocated: bool) -> None:
        """Release, at the end of the transaction, the reserved ids, and if `allocated` also the allocated ones."""
        if self._counters.predictions is not None and self._predicted:
            taken = {} if allocated else {counter: last for counter, (_, last) in self.taken_by_commit().items()}
            self._counters.predictions.end(self._predicted, taken)
        if not self._counters.in_blocks:
            return  # nothing is given back
        unused = [(table_id, rowid) for table_id, rowids in self._reserved.items() for rowid in rowids]
        for table_id, rowid in sorted([*unused, *(self.allocated if allocated else ())], reverse=True):
            self._counters.give_back(row_counter(table_id), rowid)


def _is_predicted(row: RowId, predicted: Mapping[bytes, tuple[int, int]]) -> bool:
    """Return True if an id is one of those that a commit was to take."""
    before, last = predicted.get(row_counter(row[0]), (0, 0))
    return before < row[1] <= last
