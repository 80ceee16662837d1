"""How many rows something leads to: what has been seen of it, else a guess.

Whoever fetches rows tells how many there were (`Statistics.note`). So the numbers are those of this process, of what
its statements asked for lately. They decide between paths that are all right, never whether a path is.

A plan keeps the numbers that it was made by (`Basis`), and is outdated when one of them has become quite another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rome.catalog.model import Table
from rome.sql.planner.access_path import KeyPath
from rome.storage.store import LAST, Count, Get, Lookup, Range, Request, Whole, rows_space

if TYPE_CHECKING:
    from rome.sql.planner.read_plan import Step

UNKNOWN_ROWS = 100_000.0
"""A table that nothing is known of is taken for a large one: that costs a round trip, the contrary a whole table."""

_PER_KEY = 100.0
_PER_PARENT = 10.0
"""For a key that is a foreign key, or a part of a unique one."""
_NARROWER = 0.1
"""What one more column of an index, or a range on it, leaves of the rows."""

_MOST_RATES = 4096
_DOUBT = 1.05

_NEWS = 0.25
"""How much the newest number counts in an average."""
_QUITE_ANOTHER = 4.0
_FEW = 64.0
"""Numbers below this are all alike."""


class Statistics:
    """What is known of the tables of a database. May be used from many threads: a lost note does no harm."""

    def __init__(self) -> None:
        self.changes = 0
        """Grows when a number has become quite another."""
        self._rows: dict[int, float] = {}
        self._per_key: dict[tuple[int, int, int, bool], float] = {}
        self._rates: dict[int, float] = {}

    def knows(self, table: Table) -> bool:
        """Whether the number of rows of a table is known."""
        return table.id in self._rows

    def rows(self, table: Table) -> float:
        """The number of rows of a table."""
        return self._rows.get(table.id, UNKNOWN_ROWS)

    def per_key(self, table: Table, path: KeyPath) -> float:
        """The number of rows for one key of a path."""
        if path.is_unique:
            return 1.0
        known = self._per_key.get(_key(table, path))
        return self._guess(table, path) if known is None else known

    def note(self, step: Step, requests: Sequence[Request], rows: int) -> None:
        """A step's requests were answered with so many rows together, or with their number."""
        for request in requests:
            if isinstance(request, Whole) or request == Count(rows_space(step.table.id), ((b"", LAST),)):
                self.note_rows(step.table, rows)
                return
            if isinstance(request, Get) or (isinstance(request, (Range, Lookup)) and request.limit is not None):
                return
        keys = sum(len(request.ranges) if isinstance(request, (Lookup, Count)) else 1 for request in requests)
        if keys and isinstance(step.path, KeyPath):
            self._note_per_key(_key(step.table, step.path), self.per_key(step.table, step.path), rows / keys)

    def note_key(self, step: Step, rows: int) -> None:
        """One key of a step's path led to so many rows, in an index or among the rows."""
        if isinstance(step.path, KeyPath) and not step.path.is_unique:
            self._note_per_key(_key(step.table, step.path), self.per_key(step.table, step.path), rows)

    def note_rows(self, table: Table, rows: int) -> None:
        """The table has so many rows."""
        before = self.rows(table)
        self._rows[table.id] = float(rows)
        self.changes += _is_quite_another(before, rows)

    def rate(self, about: int) -> float | None:
        """How many rows come out of a filter, and what it joins, for one that goes in (`Page.about`)."""
        return self._rates.get(about)

    def note_rate(self, about: int, came: int, of: int) -> None:
        """So many rows came out of some. The average is geometric: one rare filter value counts no more than others."""
        now = max(came, 0.5) / of
        if len(self._rates) >= _MOST_RATES:
            self._rates.clear()
        self._rates[about] = now * (self._rates.get(about, now) / now) ** (1 - _NEWS)

    def doubt_rate(self, about: int) -> None:
        """Because of a rate, it was not looked what comes out: it is to be looked again some time."""
        if about in self._rates:
            self._rates[about] = min(self._rates[about] * _DOUBT, 1.0)

    def forget(self) -> None:
        """The database is another one."""
        self._rows.clear()
        self._per_key.clear()
        self._rates.clear()
        self.changes += 1

    def _note_per_key(self, key: tuple[int, int, int, bool], before: float, rows: float) -> None:
        known = self._per_key.get(key)
        now = rows if known is None else known + _NEWS * (rows - known)
        self._per_key[key] = now
        self.changes += _is_quite_another(before, now)

    def _guess(self, table: Table, path: KeyPath) -> float:
        columns = {term.column.name.lower() for term in path.equal}
        if not columns:
            is_some = path.within is not None or (path.index is not None and path.index.partial)
            return self.rows(table) * (_NARROWER if is_some else 1.0)
        is_child = any(columns.issuperset(map(str.lower, key.columns)) for key in table.foreign_keys)
        is_part = path.index is None or path.index.unique
        per_key = _PER_PARENT if is_child or is_part else _PER_KEY * _NARROWER ** (len(columns) - 1)
        return max(per_key * (_NARROWER if path.within else 1.0), 1.0)


class Basis(Statistics):
    """Statistics for the making of one plan: remembers what it was asked for."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self._statistics = statistics
        self._seen = statistics.changes
        self._asked: dict[tuple[int, ...], tuple[Table, KeyPath | None, float]] = {}

    def rows(self, table: Table) -> float:
        """The number of rows of a table."""
        rows = self._statistics.rows(table)
        self._asked[(table.id,)] = table, None, rows
        return rows

    def per_key(self, table: Table, path: KeyPath) -> float:
        """The number of rows for one key of a path."""
        rows = self._statistics.per_key(table, path)
        self._asked[_key(table, path)] = table, path, rows
        return rows

    def is_outdated(self) -> bool:
        """Whether a number that the plan was made by has become quite another."""
        if self._seen == self._statistics.changes:
            return False
        seen = self._statistics.changes
        if not self._fits(self._statistics):
            return True
        self._seen = seen
        return False

    def under(self, statistics: Statistics) -> Basis | None:
        """The basis of the same plan, of another database's numbers; None if they are quite others."""
        if not self._fits(statistics):
            return None
        found = Basis(statistics)
        found._asked = self._asked
        return found

    def _fits(self, statistics: Statistics) -> bool:
        for table, path, before in self._asked.values():
            now = statistics.rows(table) if path is None else statistics.per_key(table, path)
            if _is_quite_another(before, now):
                return False
        return True


def _key(table: Table, path: KeyPath) -> tuple[int, int, int, bool]:
    return table.id, path.index.id if path.index else 0, len(path.equal), path.within is not None


def _is_quite_another(before: float, now: float) -> bool:
    return (now > _FEW and now > before * _QUITE_ANOTHER) or (before > _FEW and before > now * _QUITE_ANOTHER)
