"""The numbers of counters that a transaction has drawn for its new rows.

Numbers are drawn from the blocks that this process has taken. What is undone gives its numbers back, to be drawn again
in the same order: so a statement that runs again makes the same rows. A number that the program itself gives to a row
is not drawn for another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rome.catalog.key_codec import rowid_key
from rome.database.counters import Counters, row_counter
from rome.transaction.reads.row_cache import CachedRow

Number = tuple[int, int]
"""A table's id, and a number of its counter."""


class Numbers:
    """The numbers of one transaction."""

    def __init__(self, counters: Counters) -> None:
        self.drawn: dict[Number, bool] = {}
        self._counters = counters
        self._reserved: dict[int, list[int]] = {}
        self._given: dict[int, set[int]] = {}
        self._since_mark: list[Number] = []

    def next(self, table_id: int, known: Mapping[bytes, CachedRow]) -> int:
        """The next number of a table's counter. `known`: the table's rows as far as they are known."""
        while True:
            reserved = self._reserved.get(table_id)
            number = reserved.pop(0) if reserved else self._counters.next(row_counter(table_id))
            row = known.get(rowid_key(number))
            # Another process may have given this number explicitly, while it stood in our block.
            if number not in self._given.get(table_id, ()) and (row is None or row.values is None):
                break
        self.drawn[table_id, number] = True
        self._since_mark.append((table_id, number))
        return number

    def give(self, table_id: int, numbers: Iterable[int]) -> None:
        """Rows get these numbers explicitly, or have got them."""
        self._given.setdefault(table_id, set()).update(numbers)

    def use(self, numbers: Iterable[Number]) -> None:
        """Give out these, in the order of their use, before any other."""
        for table_id, number in numbers:
            self._reserved.setdefault(table_id, []).append(number)

    def prepare(self, table_id: int, count: int) -> None:
        """About so many numbers of a table's counter will be needed."""
        if count > len(self._reserved.get(table_id, ())):
            self._counters.prepare(row_counter(table_id), count)

    def mark(self) -> None:
        """What is drawn from here on is given back by `back_to_mark`."""
        self._since_mark.clear()

    def back_to_mark(self) -> None:
        """Numbers drawn since the mark are the next ones again."""
        for table_id, number in reversed(self._since_mark):
            self.drawn.pop((table_id, number), None)
            self._reserved.setdefault(table_id, []).insert(0, number)
        self._since_mark.clear()

    def give_back(self, *, drawn: bool) -> None:
        """The transaction is over: numbers that no row got (with `drawn`, also those that rows got) are free again."""
        unused = [(table_id, number) for table_id, numbers in self._reserved.items() for number in numbers]
        for table_id, number in sorted([*unused, *(self.drawn if drawn else ())], reverse=True):
            self._counters.give_back(row_counter(table_id), number)
