"""Rows that the cache shares between transactions, with the results of statements over them, and an index.

An aggregate of many rows is computed once: the result holds as long as the list of rows, and a change of one of them
makes the cache forget the list. Only results that are much shorter than the rows are kept.

Statements that look for another value of a column each time get an index of it. To make it takes as long as to go
through the rows a few times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

FEWEST_ROWS = 100
"""Shorter lists are as quick to go through again."""

_SHARE = 10
_MOST_ROWS = 100
"""A result is kept if it has at most a tenth of the rows, and at most so many."""

_MOST_RESULTS = 32

_SCANS = 4
"""How many times statements look for a value of a column before it gets an index."""

FEWEST_INDEXED = 1000
"""Shorter lists get no index."""

INDEXED_BYTES = 120
"""The estimated bytes of an index for each row, at most."""

_KEPT = frozenset({int, str, bytes, bool, type(None)})
"""The classes of parameters whose equal values are the same: 0.0 and -0.0 are not."""

Row = tuple[Any, ...]


class SharedRows(list[Row]):
    """Decoded rows, which must not be changed."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__(rows)
        self._scans: Counter[int] = Counter()
        self._index: tuple[int, dict[Any, tuple[Row, ...]]] | None = None
        """The place of a column; its values, with their rows. There is one index at most."""
        self._results: dict[Any, tuple[object, list[Row]]] = {}

    def result(self, statement: object, parameters: Any, evaluate: Callable[[], list[Row]]) -> list[Row]:
        """Return the result of a statement over these rows, a new list. Raise what `evaluate` raises."""
        classes = tuple(map(type, parameters))
        if type(parameters) is not tuple or not _KEPT.issuperset(classes):
            return evaluate()
        key = id(statement), parameters, classes  # 1 and True are equal, and not the same
        known = self._results.get(key)
        if known is None:
            rows = evaluate()
            if len(rows) > min(len(self) // _SHARE, _MOST_ROWS):
                return rows
            if len(self._results) >= _MOST_RESULTS:
                self._results.clear()
            known = self._results[key] = statement, rows  # the statement is kept, so that its id is its own
        return known[1].copy()

    def having(self, at: int, value: object) -> Sequence[Row]:
        """Return the rows with a value in the column at this place, in their order; or all rows, without an index."""
        index = self._index
        if index is None or index[0] != at:
            self._scans[at] += 1
            if self._scans[at] <= _SCANS or len(self) < FEWEST_INDEXED:
                return self
            self._scans.clear()
            rows_by_value: defaultdict[Any, list[Row]] = defaultdict(list)
            for row in self:
                rows_by_value[row[at]].append(row)
            index = self._index = at, {each: tuple(rows) for each, rows in rows_by_value.items()}
        return index[1].get(value, ())
