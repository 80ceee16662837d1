"""Bind a step: from its access path and the values of one execution to requests for the store.

    index range scan on p using p_host (host = ?1 AND id > 3)     with ?1 = 'a'

    Lookup(index p_host, rows of p, from the key after ('a', 3) to the end of the prefix ('a',))

A path is a list of key prefixes (`_prefixes`), one for each combination of the equal terms' values, and the ranges that
follow each prefix (`_ranges_after_prefix`), made of its range term.

Values are converted as SQLite converts them for a comparison with the column. If only SQLite can do that (a float
compared with a TEXT column), or SQLite may refuse a value, the path is widened to a full scan. So it is if the rows
that were fetched before have so many keys that a full scan costs less.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rome.catalog.key_codec import KeyCodec
from rome.catalog.model import Column, Table, compares_unconverted
from rome.errors import DataError
from rome.fallback import NotConvertible, PathTooWide, ValueNotKnown
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
from rome.sql.planner.read_plan import Step
from rome.sql.planner.statistics import Statistics
from rome.sql.syntax.operands import (
    Const,
    FromColumn,
    KeySource,
    Param,
    Parameters,
    WithoutAffinity,
    listed_parameters,
    value_of,
)
from rome.storage.keys import AFTER_NULL, encode, encode_each, prefix_end
from rome.storage.store import LAST, Count, Get, KeyRange, Request, Scan, rows_space
from rome.values import COMPARED_UNCHANGED, SqlValue, collate, collate_each, convert

MAX_COMBINATIONS = 4096
"""So many combinations of the values of several columns are looked up; if there are more, columns are left out."""

MAX_KEYS = 4096
"""So many keys of other rows are looked up in a table of unknown size; if there are more, it is read whole."""

_FEW = 64.0
"""So many keys are looked up even in a smaller table, since a full scan would save little."""

_NULL = encode((None,))

Row = Sequence[SqlValue]
RowsOf = Callable[[int], Iterable[Row]]
"""Returns the rows of a table reference: their values in the order of the table's stored columns."""


def bind_step(
    step: Step,
    parameters: Parameters,
    rows_of: RowsOf | None,
    *,
    limited: bool = False,
    statistics: Statistics | None = None,
) -> tuple[Request, ...]:
    """Return the requests that fetch a step's rows, and perhaps others; none if no row can match.

    `rows_of`: returns the rows of the table references in `step.depends_on`: every row that was fetched for them and,
    if the transaction has changed rows of their tables, those of these rows, as they are now, that may answer their
    requests. None if the statement itself may
    change these rows before it reads them, because it runs with several sets of parameters.

    `limited`: apply `step.limit`. Only if the transaction has changed no rows of the table. For such a step, `rows_of`
    must return all known rows of its table: of rows with the same place in the order, SQLite may take any.

    `statistics`: know the size of the table, from which on a full scan costs less than so many keys.

    Point lookups with parameters that need no conversion do not need this (`Step.point_lookup`).
    """
    binding = _Binding(step.table, parameters, rows_of or _no_rows, statistics)
    try:
        limit = number_of(step.limit, parameters) if limited and step.limit else None
        return binding.requests(step.path, limit, limit is not None and step.limit is not None and step.limit.backward)
    except _WIDENS:
        return (Scan(rows_space(step.table.id)),)


def bind_count(step: Step, parameters: Parameters) -> Count | None:
    """Return the request that counts the rows of `ReadPlan.count_step`; None if they must be fetched to be counted.

    Only if the transaction has changed no rows of the table.
    """
    binding = _Binding(step.table, parameters, _no_rows)
    try:
        space, ranges = binding.exact_ranges(step.path)
    except _WIDENS:
        return None
    return Count(space, ranges)


def key_ranges(table: Table, path: KeyPath, parameters: Parameters) -> tuple[KeyRange, ...] | None:
    """Return the ranges of the keys that a path looks up; None if they depend on rows, or on what SQLite knows."""
    try:
        return _Binding(table, parameters, _no_rows).exact_ranges(path)[1]
    except _WIDENS:
        return None


def _no_rows(_: int) -> Iterable[Row]:
    raise PathTooWide


_WIDENS = (PathTooWide, ValueNotKnown, NotConvertible, DataError)


def number_of(limit: Limit, parameters: Parameters) -> int | None:
    """Return how many rows a limit lets through; None if that is not known, or there is no limit (LIMIT -1)."""
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
    """One path with the values of one execution. Raises a Fallback if the path must be widened."""

    table: Table
    parameters: Parameters
    rows_of: RowsOf
    statistics: Statistics | None = None

    def requests(self, path: Path, limit: int | None, backward: bool) -> tuple[Request, ...]:
        if isinstance(path, FullScan) or (limit is None and _is_full(path)):
            raise PathTooWide
        if isinstance(path, UnionPath):
            if path.uses_one_index and not all(each.is_get for each in path.paths):
                return self._range_requests(path, limit, backward)
            return tuple(request for each in path.paths for request in self.requests(each, None, False))
        if path.is_get:
            keys, is_complete = self._prefixes(path.equal)
            if is_complete:
                return (Get(self.table.row_codec.space, tuple(keys)),) if keys else ()
        return self._range_requests(path, limit, backward)

    def _range_requests(self, path: KeyPath | UnionPath, limit: int | None, backward: bool) -> tuple[Request, ...]:
        ranges, is_exact = self._ranges(path)
        if not is_exact:
            limit, backward = None, False
        if not ranges or limit == 0:
            return ()
        return self._codec(path).requests(ranges, limit, backward)

    def exact_ranges(self, path: Path) -> tuple[bytes, tuple[KeyRange, ...]]:
        """Return a space, and the ranges in it that hold one key for each row of a path, and no others."""
        if isinstance(path, FullScan):
            return rows_space(self.table.id), ((b"", LAST),)
        ranges, is_exact = self._ranges(path)
        if not is_exact:
            raise PathTooWide
        return self._codec(path).space, ranges

    def _codec(self, path: KeyPath | UnionPath) -> KeyCodec:
        return self.table.row_codec if path.index is None else self.table.index_codecs[path.index.id]

    def _ranges(self, path: KeyPath | UnionPath) -> tuple[tuple[KeyRange, ...], bool]:
        """Return disjoint ranges of keys in ascending order, and True if they hold no other rows than the path's."""
        if isinstance(path, UnionPath):
            each = [self._ranges(one) for one in path.paths]
            return merge_ranges(one for ranges, _ in each for one in ranges), all(is_exact for _, is_exact in each)
        prefixes, is_complete = self._prefixes(path.equal)
        ranges = self._ranges_after_prefix(path.range_term) if is_complete else [_ALL]
        if ranges == [_ALL] and not path.equal and path.range_term is not None:
            raise PathTooWide
        if ranges == [_ALL]:
            return tuple([(prefix, prefix_end(prefix)) for prefix in prefixes]), is_complete
        found = [_range(prefix, begin, end) for prefix in prefixes for begin, end in ranges]
        return tuple(one for one in found if one[0] < one[1]), is_complete

    def _prefixes(self, equal: tuple[EqualTerm, ...]) -> tuple[list[bytes], bool]:
        """Return the distinct key prefixes in ascending order, and True if they are complete: not cut to fewer columns.

        They are cut if there are too many combinations of values. Adjacent columns whose values come from the same rows
        have only the combinations that occur in these rows.
        """
        if len(equal) == 1:
            return self._elements(equal), True
        lists = [self._elements(terms) for terms in _group_by_rows(equal)]
        if not all(lists):
            return [], True
        prefixes = [b""]
        for at, elements in enumerate(lists):
            if at and len(prefixes) * len(elements) > MAX_COMBINATIONS:
                return prefixes, False
            prefixes = [prefix + element for prefix in prefixes for element in elements]
        return prefixes, True

    def _elements(self, terms: Sequence[EqualTerm]) -> list[bytes]:
        """Return the keys of one column's values, or of the combinations that several columns have in the same rows."""
        table_refs = terms[0].source_refs
        if table_refs:
            return self._from_rows(table_refs, terms)
        (term,) = terms
        if len(term.sources) == 1:
            return self._keys_of(term.sources[0], term)
        listed = listed_parameters(term.sources, self.parameters)
        if listed is not None and set(map(type, listed)) <= COMPARED_UNCHANGED[term.column.affinity]:
            return sorted(set(encode_each([collate_each(listed, term.column.collation)])))
        return sorted({key for source in term.sources for key in self._keys_of(source, term)})

    def _keys_of(self, source: KeySource, term: EqualTerm) -> list[bytes]:
        """Return the keys that are equal to a source, in ascending order."""
        value = self._value(source, term.column)
        keys = [encode((value,))] if value is not None or term.is_null_equal else []
        return [_NULL, *keys] if self._matches_null(source, operator.eq) else keys

    def _from_rows(self, table_refs: Sequence[int], terms: Sequence[EqualTerm]) -> list[bytes]:
        """Return the keys of the combinations of values that the terms have in the rows of these table references."""
        keys: set[bytes] = set()
        most = self._max_keys()
        for at, table_ref in enumerate(table_refs):
            columns = [(source, term.column) for term in terms if isinstance(source := term.sources[at], FromColumn)]
            combinations = _combinations(self.rows_of(table_ref), [source.position for source, _ in columns])
            if len(keys) + len(combinations) > most:
                raise PathTooWide
            for place, (source, target) in enumerate(columns):
                if not compares_unconverted(source.column, target):
                    combinations = [_with_converted(values, place, target) for values in combinations]
            if combinations:
                keys.update(encode_each(list(zip(*combinations, strict=True))))
        return sorted(keys)

    def _max_keys(self) -> float:
        """Return the number of keys above which a full scan costs less."""
        if self.statistics is None or not self.statistics.has_row_count(self.table):
            return MAX_KEYS
        return max(self.statistics.row_count(self.table), _FEW)

    def _value(self, source: KeySource, column: Column) -> SqlValue:
        """Return the value of a source, as a key of the column has it."""
        if isinstance(source, WithoutAffinity):
            return value_of(source.source, self.parameters)
        if not isinstance(source, (Const, Param)):
            raise PathTooWide
        return collate(convert(value_of(source, self.parameters), column.affinity), column.collation)

    def _ranges_after_prefix(self, term: RangeTerm | PrefixTerm | None) -> list[tuple[bytes, bytes | None]]:
        """Return the ranges of what follows a prefix, in ascending order. An end of None is the end of the prefix."""
        if term is None:
            return [_ALL]
        if isinstance(term, PrefixTerm):
            return [*prefix_ranges(term.pattern, self.parameters)] or [_ALL]
        begin, end = AFTER_NULL, None
        if term.lower is not None:
            begin = self._cut(term.lower, term.column, after=not term.lower.inclusive)
        if term.upper is not None:
            end = self._cut(term.upper, term.column, after=term.upper.inclusive)
        if b"" in (begin, end):
            return []
        return [(_NULL, AFTER_NULL), (begin, end)] if self._includes_null(term) else [(begin, end)]

    def _includes_null(self, term: RangeTerm) -> bool:
        """Return True if the value that a coalesce puts in place of NULL is in the range."""
        if term.rejects_null:
            return False
        ends = ((term.lower, operator.gt, operator.ge), (term.upper, operator.lt, operator.le))
        return all(
            bound is None or self._matches_null(bound.source, or_equal if bound.inclusive else strictly)
            for bound, strictly, or_equal in ends
        )

    def _matches_null(self, source: KeySource, compare: Callable[[bytes, bytes], bool]) -> bool:
        """Return True if the value that a coalesce puts in place of NULL compares so with a source."""
        if not isinstance(source, WithoutAffinity) or source.null_as is None:
            return False
        null_as, value = (value_of(each, self.parameters) for each in (source.null_as, source.source))
        return null_as is not None and value is not None and compare(encode((null_as,)), encode((value,)))

    def _cut(self, bound: Bound, column: Column, *, after: bool) -> bytes:
        """Return the end of a range: before or after all keys with the bound's value. Empty if that is NULL."""
        value = self._value(bound.source, column)
        if value is None:
            return b""
        element = encode((value,))
        return prefix_end(element) if after else element


def _group_by_rows(equal: Sequence[EqualTerm]) -> list[list[EqualTerm]]:
    """Return groups of adjacent terms whose values come from the same rows; every other term is alone."""
    groups: list[list[EqualTerm]] = []
    for term in equal:
        source_refs = term.source_refs
        if groups and source_refs and source_refs == groups[-1][0].source_refs:
            groups[-1].append(term)
        else:
            groups.append([term])
    return groups


def _combinations(rows: Iterable[Row], places: Sequence[int]) -> list[tuple[SqlValue, ...]]:
    """Return the distinct combinations of values that rows have at some places, without those that have a NULL."""
    if len(places) == 1:
        values = set(map(operator.itemgetter(places[0]), rows))
        values.discard(None)
        return list(zip(values))
    return [values for values in set(map(operator.itemgetter(*places), rows)) if None not in values]


def _with_converted(values: tuple[SqlValue, ...], place: int, target: Column) -> tuple[SqlValue, ...]:
    """Return the values, the one at a place as SQLite converts it for a comparison with a column."""
    return *values[:place], convert(values[place], target.affinity), *values[place + 1 :]


_ALL: tuple[bytes, bytes | None] = (b"", None)
"""The range of all keys that begin with a prefix."""


def _is_full(path: KeyPath | UnionPath) -> bool:
    if isinstance(path, UnionPath) or path.equal or path.range_term is not None:
        return False
    return path.index is None or not path.index.partial


def _range(prefix: bytes, begin: bytes, end: bytes | None) -> KeyRange:
    return prefix + begin, prefix_end(prefix) if end is None else prefix + end
