"""From paths to requests: the values of one execution put in the place of their sources.

Values are converted as SQLite converts them for a comparison with the column. Where that can't be told without SQLite
(a float beside a TEXT column), or a value is none that SQLite would take, the path widens to the whole table. So it
does where rows that were fetched before give so many keys that to read all rows is less.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rome.catalog.key_codec import KeyCodec
from rome.catalog.model import Column, Table
from rome.errors import DataError
from rome.fallback import NotConvertible, PathTooWide, ValueNotKnown
from rome.sql.analysis.propagate_equalities import compares_unconverted
from rome.sql.planner.access_path import (
    Bound,
    EqualTerm,
    FullScan,
    KeyPath,
    Limit,
    Path,
    PrefixTerm,
    RangeTerm,
    UnionPath,
)
from rome.sql.planner.like_prefix import merge_ranges, prefix_ranges
from rome.sql.planner.statistics import Statistics
from rome.sql.planner.step import Step
from rome.sql.syntax.operands import Const, FromColumn, KeySource, Param, Parameters, WithoutAffinity, value_of
from rome.storage.keys import AFTER_NULL, collate, encode, prefix_end
from rome.storage.store import LAST, Count, Get, KeyRange, Request, Whole, rows_space
from rome.values import SqlValue, convert

MOST_COMBINATIONS = 4096
"""How many combinations of the values of several columns are looked up one by one; beyond, columns are left out."""

MOST_KEYS = 4096
"""How many keys from other rows are looked up in a table of unknown size; beyond, the whole table is read."""

_FEW = 64.0
"""So many keys are looked up even in a smaller table: not so much is gained."""

_NULL = encode((None,))

Row = Sequence[SqlValue]
RowsOf = Callable[[int], Iterable[Row]]
"""Occurrence → its rows: their values in the order of the table's stored columns."""


def bind_step(
    step: Step,
    parameters: Parameters,
    rows_of: RowsOf | None,
    *,
    limited: bool = False,
    statistics: Statistics | None = None,
) -> tuple[Request, ...]:
    """The requests that fetch a step's rows, and perhaps more; none if no row can match.

    `rows_of` is asked for the table references in `step.depends_on`: for every row that was fetched for them, and,
    where the transaction has changed rows of their tables, for these rows as they are now. None if these rows may yet
    be changed before the statement looks at them: by itself, with sets of parameters before this one .

    `limited`: heed `step.limit`. Only for a table of which the transaction has changed no rows; and `rows_of` must give
    for such a step all rows of the table that are known, since among equals the statement may take others than these.

    `statistics`: by the size of the table is told when so many keys came together that all rows are less.
    """
    if step.point_lookup is not None:
        request = step.point_lookup.request(parameters)
        if request is not None:
            return (request,)
    binding = _Binding(step.table, parameters, rows_of or _no_rows, statistics)
    try:
        limit = number_of(step.limit, parameters) if limited and step.limit else None
        return binding.requests(step.path, limit, limit is not None and step.limit is not None and step.limit.backward)
    except _WIDENS:
        return (Whole(rows_space(step.table.id)),)


def bind_count(step: Step, parameters: Parameters) -> Count | None:
    """The request that counts the rows of `ReadPlan.counted`; None if they must be fetched to be counted.

    Only for a table of which the transaction has changed no rows.
    """
    binding = _Binding(step.table, parameters, _no_rows)
    try:
        space, ranges = binding.ranges(step.path)
    except _WIDENS:
        return None
    return Count(space, ranges)


def _no_rows(_: int) -> Iterable[Row]:
    raise PathTooWide


_WIDENS = (PathTooWide, ValueNotKnown, NotConvertible, DataError)


def number_of(limit: Limit, parameters: Parameters) -> int | None:
    """How many rows are needed; None if that can't be told, or all of them are."""
    total = 0
    for at, source in enumerate(limit.counts):
        try:
            value = value_of(source, parameters)
        except ValueNotKnown:
            return None
        if not isinstance(value, int) or (at == 0 and value < 0):
            return None
        total += max(value, 0)
    return total


@dataclass(slots=True)
class _Binding:
    """One path with values. What it can't tell raises PathTooWide."""

    table: Table
    parameters: Parameters
    rows_of: RowsOf
    statistics: Statistics | None = None

    def requests(self, path: Path, limit: int | None, backward: bool) -> tuple[Request, ...]:
        if isinstance(path, FullScan) or (limit is None and _is_everything(path)):
            raise PathTooWide
        if isinstance(path, UnionPath):
            if path.uses_one_index and not all(each.is_get for each in path.paths):
                return self._in_ranges(path, limit, backward)
            return tuple(request for each in path.paths for request in self.requests(each, None, False))
        if path.is_get:
            keys, is_whole = self._prefixes(path.equal)
            if is_whole:
                return (Get(self.table.row_codec.space, tuple(keys)),) if keys else ()
        return self._in_ranges(path, limit, backward)

    def _in_ranges(self, path: KeyPath | UnionPath, limit: int | None, backward: bool) -> tuple[Request, ...]:
        ranges, is_exact = self._ranges(path)
        if not is_exact:
            limit, backward = None, False
        if not ranges or limit == 0:
            return ()
        return self._codec(path).requests(ranges, limit, backward)

    def ranges(self, path: Path) -> tuple[bytes, tuple[KeyRange, ...]]:
        """A space, and the ranges in it that hold one key for each of exactly the rows of a path."""
        if isinstance(path, FullScan):
            return rows_space(self.table.id), ((b"", LAST),)
        ranges, is_exact = self._ranges(path)
        if not is_exact:
            raise PathTooWide
        return self._codec(path).space, ranges

    def _codec(self, path: KeyPath | UnionPath) -> KeyCodec:
        return self.table.row_codec if path.index is None else self.table.index_codecs[path.index.id]

    def _ranges(self, path: KeyPath | UnionPath) -> tuple[tuple[KeyRange, ...], bool]:
        """The ranges of keys, disjoint and in order; and whether they hold nothing else than the path asks for."""
        if isinstance(path, UnionPath):
            each = [self._ranges(one) for one in path.paths]
            return merge_ranges(one for ranges, _ in each for one in ranges), all(is_exact for _, is_exact in each)
        prefixes, is_whole = self._prefixes(path.equal)
        ends = self._ends(path.range_term) if is_whole else [_ALL]
        if ends == [_ALL] and not path.equal and path.range_term is not None:
            raise PathTooWide
        found = [_range(prefix, begin, end) for prefix in prefixes for begin, end in ends]
        return tuple(one for one in found if one[0] < one[1]), is_whole

    def _prefixes(self, equal: tuple[EqualTerm, ...]) -> tuple[list[bytes], bool]:
        """The distinct key prefixes in order, and whether they have all columns (they may make too many combinations).

        Columns side by side whose values come from the same rows have only the combinations that are in these rows.
        """
        if len(equal) == 1:
            return self._elements(equal), True
        lists = [self._elements(terms) for terms in _by_rows(equal)]
        if not all(lists):
            return [], True
        prefixes = [b""]
        for at, elements in enumerate(lists):
            if at and len(prefixes) * len(elements) > MOST_COMBINATIONS:
                return prefixes, False
            prefixes = [prefix + element for prefix in prefixes for element in elements]
        return prefixes, True

    def _elements(self, terms: Sequence[EqualTerm]) -> list[bytes]:
        """The keys of one column's values, or of the combinations of values that several have in the same rows."""
        table_refs = terms[0].source_refs
        if table_refs:
            return self._from_rows(table_refs, terms)
        (term,) = terms
        if len(term.sources) == 1:
            return self._keys_of(term.sources[0], term)
        return sorted({key for source in term.sources for key in self._keys_of(source, term)})

    def _keys_of(self, source: KeySource, term: EqualTerm) -> list[bytes]:
        """The keys that are equal to a source, in order."""
        value = self._value(source, term.column)
        keys = [encode((value,))] if value is not None or term.is_null_equal else []
        return [_NULL, *keys] if self._finds_null(source, operator.eq) else keys

    def _from_rows(self, table_refs: Sequence[int], terms: Sequence[EqualTerm]) -> list[bytes]:
        keys: set[bytes] = set()
        most = self._most_keys()
        for at, table_ref in enumerate(table_refs):
            columns = [(source, term.column) for term in terms if isinstance(source := term.sources[at], FromColumn)]
            places = [source.position for source, _ in columns]
            combinations = {tuple([row[place] for place in places]) for row in self.rows_of(table_ref)}
            if len(keys) + len(combinations) > most:
                raise PathTooWide
            for values in combinations:
                if None not in values:
                    pairs = zip(values, columns, strict=True)
                    keys.add(encode([_converted(value, source.column, target) for value, (source, target) in pairs]))
        return sorted(keys)

    def _most_keys(self) -> float:
        """With how many keys it is less to read the whole table."""
        if self.statistics is None or not self.statistics.has_row_count(self.table):
            return MOST_KEYS
        return max(self.statistics.row_count(self.table), _FEW)

    def _value(self, source: KeySource, column: Column) -> SqlValue:
        if isinstance(source, WithoutAffinity):
            return value_of(source.source, self.parameters)
        if not isinstance(source, (Const, Param)):
            raise PathTooWide
        return collate(convert(value_of(source, self.parameters), column.affinity), column.collation)

    def _ends(self, within: RangeTerm | PrefixTerm | None) -> list[tuple[bytes, bytes | None]]:
        """What follows the prefix at both ends of the ranges, in order. An end of None is the prefix's own end."""
        if within is None:
            return [_ALL]
        if isinstance(within, PrefixTerm):
            return [*prefix_ranges(within.pattern, self.parameters)] or [_ALL]
        begin, end = AFTER_NULL, None
        if within.lower is not None:
            begin = self._cut(within.lower, within.column, after=not within.lower.inclusive)
        if within.upper is not None:
            end = self._cut(within.upper, within.column, after=within.upper.inclusive)
        if b"" in (begin, end):
            return []
        return [(_NULL, AFTER_NULL), (begin, end)] if self._takes_null(within) else [(begin, end)]

    def _takes_null(self, within: RangeTerm) -> bool:
        """Whether NULL, by what it counts as, lies within."""
        if within.rejects_null:
            return False
        ends = ((within.lower, operator.gt, operator.ge), (within.upper, operator.lt, operator.le))
        return all(
            bound is None or self._finds_null(bound.source, or_equal if bound.inclusive else strictly)
            for bound, strictly, or_equal in ends
        )

    def _finds_null(self, source: KeySource, compare: Callable[[bytes, bytes], bool]) -> bool:
        """Whether what NULL in the column counts as compares so with a source."""
        if not isinstance(source, WithoutAffinity) or source.null_as is None:
            return False
        null_as, value = (value_of(each, self.parameters) for each in (source.null_as, source.source))
        return null_as is not None and value is not None and compare(encode((null_as,)), encode((value,)))

    def _cut(self, bound: Bound, column: Column, *, after: bool) -> bytes:
        """Where a range is cut: before all keys with this value, or behind them. Empty for NULL."""
        value = self._value(bound.source, column)
        if value is None:
            return b""
        element = encode((value,))
        return prefix_end(element) if after else element


def _by_rows(equal: Sequence[EqualTerm]) -> list[list[EqualTerm]]:
    """Terms side by side whose values come from the same rows together, all others alone."""
    groups: list[list[EqualTerm]] = []
    for term in equal:
        source_refs = term.source_refs
        if groups and source_refs and source_refs == groups[-1][0].source_refs:
            groups[-1].append(term)
        else:
            groups.append([term])
    return groups


def _converted(value: SqlValue, source: Column, target: Column) -> SqlValue:
    """The value of one column as SQLite compares it with another."""
    return value if compares_unconverted(source, target) else convert(value, target.affinity)


_ALL: tuple[bytes, bytes | None] = (b"", None)
"""The ends of all that begins with a prefix."""


def _is_everything(path: KeyPath | UnionPath) -> bool:
    if isinstance(path, UnionPath) or path.equal or path.range_term is not None:
        return False
    return path.index is None or not path.index.partial


def _range(prefix: bytes, begin: bytes, end: bytes | None) -> KeyRange:
    return prefix + begin, prefix_end(prefix) if end is None else prefix + end
