"""Statistics: estimates of how many rows a path leads to, from what statements have fetched, else guesses.

After a fetch, `Statistics.note` records the number of rows. So the numbers are of this process, and of what its
statements asked for lately. They choose between paths that all give the right answer.

**Frequent keys.** Most values of a column may be rare, and one common: 200 images are public, 9,800 are not. A key that
leads to far more rows than others is kept apart with its own number (as the most common values of other engines), and
does not raise the average of the others. `rome.sql.planner.skew` estimates with the values of an execution.

A plan keeps the numbers that it was chosen by (`Basis`), and is outdated as soon as one of them has changed much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rome.catalog.model import Table
from rome.folding import fold_name
from rome.sql.planner.access_path import FullScan, KeyPath, Limit, Path, UnionPath
from rome.storage.store import LAST, Count, Get, KeyRange, Lookup, Range, Request, Scan, rows_space

UNKNOWN_ROWS = 100_000.0
"""A table of unknown size counts as large: if that is wrong it costs a round trip, the contrary costs a full scan."""

_ROWS_PER_KEY = 100.0
_ROWS_PER_PARENT = 10.0
"""The guess for a key that is a foreign key, or a part of a unique one."""
_NARROWER = 0.1
"""The guess of how many rows one more column of an index, or a range on it, leaves."""

_MAX_SELECTIVITIES = 4096
_MAX_GROUP_SIZES = 4096
_NUDGE = 1.05

_WEIGHT = 0.25
"""The weight of the newest number in a moving average."""
_MUCH = 4.0
"""A number has changed much if it is so many times as large or small as it was."""
_FEW = 64.0
"""Smaller numbers do not count as different."""


_FREQUENT = 256.0
"""A key with fewer rows is not kept apart."""
_MAX_FREQUENT = 8
"""So many keys of a path are kept apart; if there are more, they are no exceptions."""

_Key = tuple[int, ...]
"""The table, the index, and the number of terms that a number of rows is known for; of a union, those of all paths."""


class Statistics:
    """The statistics of a database. Not locked: if threads write at once and a number gets lost, it does no harm."""

    def __init__(self) -> None:
        self.changes = 0
        """Grows when a number has changed much."""
        self._rows: dict[int, float] = {}
        self._per_key: dict[_Key, float] = {}
        self._frequent: dict[_Key, Mapping[KeyRange, float]] = {}
        self._selectivities: dict[int, float] = {}
        self._group_sizes: dict[tuple[_Key, bool, tuple[str, ...]], float] = {}

    def has_row_count(self, table: Table) -> bool:
        """Return True if the size of a table is known."""
        return table.id in self._rows

    def has_rows_per_key(self, table: Table, path: KeyPath | UnionPath) -> bool:
        """Return True if the number of rows for one key of a path, or for one range, is known."""
        if _key(table, path) in self._per_key or _key(table, path) in self._frequent:
            return True
        if isinstance(path, UnionPath):
            return all(self.has_rows_per_key(table, each) for each in path.paths)
        return path.is_unique

    def row_count(self, table: Table) -> float:
        """Return the number of rows of a table."""
        return self._rows.get(table.id, UNKNOWN_ROWS)

    def rows_per_key(self, table: Table, path: KeyPath | UnionPath) -> float:
        """Return the number of rows for one key of a path, or for one range."""
        if isinstance(path, KeyPath) and path.is_unique:
            return 1.0
        known = self._per_key.get(_key(table, path))
        return self._guess(table, path) if known is None else known

    def frequent(self, table: Table, path: KeyPath) -> Mapping[KeyRange, float]:
        """Return the keys of a path that lead to far more rows than others, with the number of rows of each."""
        return self._frequent.get(_key(table, path), _NONE)

    def note(self, table: Table, path: Path, requests: Sequence[Request], rows: int) -> None:
        """Record how many rows all requests of a path together were answered with, or counted."""
        if len(requests) == 1 and isinstance(path, KeyPath) and self._note_key(table, path, requests[0], rows):
            return
        keys = 0
        for request in requests:
            if isinstance(request, Scan) or request == Count(rows_space(table.id), ((b"", LAST),)):
                self.note_row_count(table, rows)
                return
            if isinstance(request, Get) or (isinstance(request, (Range, Lookup)) and request.limit is not None):
                return
            keys += len(request.ranges) if isinstance(request, (Lookup, Count)) else 1
        if keys and isinstance(path, KeyPath | UnionPath):
            self._note_per_key(table, path, rows / keys)

    def note_key(self, table: Table, path: Path, request: Request, rows: int) -> None:
        """Record how many rows one key of a path led to."""
        if isinstance(path, KeyPath) and not path.is_unique and not self._note_key(table, path, request, rows):
            self._note_per_key(table, path, rows)

    def note_row_count(self, table: Table, rows: int) -> None:
        """Record the size of a table."""
        before = self.row_count(table)
        self._rows[table.id] = float(rows)
        self.changes += _differ_much(before, rows)

    def selectivity(self, filter_id: int) -> float | None:
        """Return how many rows come out of a filter and its joins for one that goes in (`TopNPlan.filter_id`)."""
        return self._selectivities.get(filter_id)

    def note_selectivity(self, filter_id: int, results: int, batch: int) -> None:
        """Record how many rows of a batch came out.

        The moving average is geometric, so that one value of the filter which is rare has no more weight than others.
        """
        now = max(results, 0.5) / batch
        if len(self._selectivities) >= _MAX_SELECTIVITIES:
            self._selectivities.clear()
        before = self._selectivities.get(filter_id, now)
        self._selectivities[filter_id] = now * (before / now) ** (1 - _WEIGHT)

    def nudge_selectivity(self, filter_id: int) -> None:
        """Raise a selectivity so low that no batch was tried, so that one is tried again at some time."""
        if filter_id in self._selectivities:
            self._selectivities[filter_id] = min(self._selectivities[filter_id] * _NUDGE, 1.0)

    def group_size(self, table: Table, path: Path, limit: Limit) -> float:
        """Return how many rows have the same values in the columns that an incremental sort is presorted by.

        This is known from earlier batches, or from lookups of such values; if not, the groups are taken for small.
        """
        known = self._group_sizes.get(_group_key(table, path, limit))
        if known is not None or not isinstance(path, KeyPath):
            return 1.0 if known is None else known
        columns = {term.column for term in path.equal}.union(limit.presorted)
        return max(self._per_key.get((*_key(table, path)[:2], len(columns), False), 1.0), 1.0)

    def note_group_size(self, table: Table, path: Path, limit: Limit, size: float) -> None:
        """Record how large the groups were that an incremental sort has seen."""
        if len(self._group_sizes) >= _MAX_GROUP_SIZES:
            self._group_sizes.clear()
        key = _group_key(table, path, limit)
        before = self._group_sizes.get(key, size)
        self._group_sizes[key] = before + _WEIGHT * (size - before)

    def nudge_group_size(self, table: Table, path: Path, limit: Limit) -> None:
        """Lower the size of groups so large that no batch was tried, so that one is tried again at some time."""
        key = _group_key(table, path, limit)
        if key in self._group_sizes:
            self._group_sizes[key] = max(self._group_sizes[key] / _NUDGE, 1.0)

    def forget(self) -> None:
        """Forget everything: the database has been replaced by another one."""
        self._rows.clear()
        self._per_key.clear()
        self._frequent.clear()
        self._selectivities.clear()
        self._group_sizes.clear()
        self.changes += 1

    def _note_key(self, table: Table, path: KeyPath, request: Request, rows: int) -> bool:
        """Keep a key apart if it leads to far more rows than others; return True if it does."""
        if rows <= _FREQUENT and not self._frequent:
            return False
        if path.is_unique or path.range_term is not None or not path.equal or not isinstance(request, Lookup | Count):
            return False
        if len(request.ranges) != 1 or (isinstance(request, Lookup) and request.limit is not None):
            return False
        key, (key_range,) = _key(table, path), request.ranges
        frequent = self._frequent.get(key, _NONE)
        if rows <= max(_FREQUENT, _MUCH * self.rows_per_key(table, path)):
            if key_range in frequent:
                self._set_frequent(key, {each: frequent[each] for each in frequent if each != key_range})
            return False
        if _differ_much(frequent.get(key_range, 0.0), rows):
            self._set_frequent(key, {**frequent, key_range: float(rows)})
        return True

    def _set_frequent(self, key: _Key, frequent: Mapping[KeyRange, float]) -> None:
        self.changes += 1
        if len(frequent) > _MAX_FREQUENT:
            self._per_key[key] = sum(frequent.values()) / len(frequent)
            frequent = _NONE
        if frequent:
            self._frequent[key] = frequent
        else:
            self._frequent.pop(key, None)

    def _note_per_key(self, table: Table, path: KeyPath | UnionPath, rows: float) -> None:
        key = _key(table, path)
        known = self._per_key.get(key)
        now = self._per_key[key] = rows if known is None else known + _WEIGHT * (rows - known)
        before = self._guess(table, path) if known is None else known
        is_unique = isinstance(path, KeyPath) and path.is_unique
        self.changes += not is_unique and _differ_much(before, now)

    def _guess(self, table: Table, path: KeyPath | UnionPath) -> float:
        if isinstance(path, UnionPath):
            return sum(self.rows_per_key(table, each) for each in path.paths) / len(path.paths)
        columns = {fold_name(term.column.name) for term in path.equal}
        if not columns:
            is_narrower = path.range_term is not None or (path.index is not None and path.index.partial)
            return self.row_count(table) * (_NARROWER if is_narrower else 1.0)
        is_child = any(columns.issuperset(map(fold_name, key.columns)) for key in table.foreign_keys)
        is_part_of_unique = path.index is None or path.index.unique
        narrower = _NARROWER ** (len(columns) - 1)
        per_key = _ROWS_PER_PARENT if is_child or is_part_of_unique else _ROWS_PER_KEY * narrower
        return max(per_key * (_NARROWER if path.range_term else 1.0), 1.0)


class Basis(Statistics):
    """The statistics that one plan is chosen by: passes on those of a database, and remembers what it was asked for.

    The plan may be outdated if `seen` is no longer `source.changes`; `is_outdated` finds out. `skewed`: the paths that
    have frequent keys, if the plan was chosen by the values of its parameters; `classes`: what it was chosen by
    (`rome.sql.planner.skew`).
    """

    def __init__(self, source: Statistics) -> None:
        super().__init__()
        self.source = source
        self.seen = source.changes
        self._asked: dict[_Key, tuple[Table, KeyPath | UnionPath | None, float]] = {}
        self._asked_frequent: dict[_Key, tuple[Table, KeyPath, bool]] = {}
        self.skewed: tuple[tuple[Table, KeyPath], ...] = ()
        self.classes: tuple[int, ...] = ()

    def row_count(self, table: Table) -> float:
        """Return the number of rows of a table."""
        rows = self.source.row_count(table)
        self._asked[(table.id,)] = table, None, rows
        return rows

    def rows_per_key(self, table: Table, path: KeyPath | UnionPath) -> float:
        """Return the number of rows for one key of a path, or for one range."""
        rows = self.source.rows_per_key(table, path)
        self._asked[_key(table, path)] = table, path, rows
        for each in path.paths if isinstance(path, UnionPath) else (path,):
            self._asked_frequent[_key(table, each)] = table, each, bool(self.source.frequent(table, each))
        return rows

    @property
    def has_frequent(self) -> bool:
        """True if any key is known to be frequent."""
        return bool(self.source._frequent)

    def frequent(self, table: Table, path: KeyPath) -> Mapping[KeyRange, float]:
        """Return the keys of a path that lead to far more rows than others, with the number of rows of each."""
        return self.source.frequent(table, path)

    def asked_skewed(self) -> tuple[tuple[Table, KeyPath], ...]:
        """Return the paths that have frequent keys, among those that it was asked for."""
        found = self._asked_frequent.values() if self.has_frequent else ()
        return tuple((table, path) for table, path, is_skewed in found if is_skewed)

    def is_outdated(self) -> bool:
        """Return True if a number that the plan was chosen by has changed much."""
        if self.seen == self.source.changes:
            return False
        seen = self.source.changes
        if not self._holds_for(self.source):
            return True
        self.seen = seen
        return False

    def under(self, source: Statistics) -> Basis | None:
        """Return the basis of the same plan in another database's statistics; None if their numbers differ much."""
        if self.skewed or not self._holds_for(source):
            return None
        basis = Basis(source)
        basis._asked, basis._asked_frequent = self._asked, self._asked_frequent
        return basis

    def _holds_for(self, source: Statistics) -> bool:
        for table, path, before in self._asked.values():
            now = source.row_count(table) if path is None else source.rows_per_key(table, path)
            if _differ_much(before, now):
                return False
        return all(bool(source.frequent(table, of)) == before for table, of, before in self._asked_frequent.values())


_NONE: Mapping[KeyRange, float] = {}


def _key(table: Table, path: KeyPath | UnionPath) -> _Key:
    if isinstance(path, UnionPath):
        return tuple([part for each in path.paths for part in _key(table, each)])
    return table.id, path.index.id if path.index else 0, len(path.equal), path.range_term is not None


def _group_key(table: Table, path: Path, limit: Limit) -> tuple[_Key, bool, tuple[str, ...]]:
    assert not isinstance(path, FullScan)  # it has no order
    return _key(table, path), limit.backward, tuple([column.name for column in limit.presorted])


def _differ_much(before: float, now: float) -> bool:
    return (now > _FEW and now > before * _MUCH) or (before > _FEW and before > now * _MUCH)
