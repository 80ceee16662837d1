"""Enumerate the access paths of a table reference: by the row key, and by each index.

    SELECT * FROM p WHERE host = ? AND id > 3          p: host = ?1, id > 3

    primary key range scan on p (id > 3)
    index range scan on p using p_host (host = ?1 AND id > 3)

The terms of a path are predicates on the first columns of a key: equalities, then a range or a LIKE prefix on the next
column. An index entry ends with the row key, so the columns of the row key follow those of the index. The planner
estimates the rows of each path and chooses the cheapest. Of paths that cost the same, `Path.rank` decides: first a
whole row key, then a whole unique key, then the path with the most columns, where a range counts half.

Three callers ask for three kinds of paths:

* `CandidatePaths.narrowing`: paths to all rows that fulfil some predicates, and perhaps to others.
* `CandidatePaths.limited`: paths to *exactly* the rows among which the first in an order are needed, in that order
  (`ORDER BY … LIMIT` without filters that no key covers, min, max, EXISTS).
* `ordered_paths`: paths in the order of ORDER BY or of its first terms, whatever they lead to; for Top-N.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rome.catalog.model import Column, Index, Table
from rome.folding import fold_name
from rome.sql.analysis.comparisons import Op
from rome.sql.analysis.index_expressions import implies, index_columns, partial_index_predicates
from rome.sql.analysis.relation import AnyOf, Predicate, Relation, TopN
from rome.sql.analysis.resolve_names import rowid_column
from rome.sql.planner.access_path import Bound, EqualTerm, KeyPath, Path, PrefixTerm, RangeTerm, UnionPath
from rome.sql.syntax.operands import FromColumn, KeySource, Pattern
from rome.values import COLLATIONS


@dataclass(frozen=True, slots=True)
class _KeyOrder:
    """An order that rows can be read in: that of the row key, or of an index.

    `index`: None for the row key. `columns`: the columns of the key, up to the first one whose collation in the key is
    not that of its comparisons. `condition`: what is true of all rows in a partial index.
    """

    index: Index | None
    columns: tuple[Column, ...]
    condition: tuple[Predicate, ...] = ()


class CandidatePaths:
    """The access paths of one table reference."""

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self._constant = _constant(relation.predicates)

    @cached_property
    def _orders(self) -> list[_KeyOrder]:
        return _key_orders(self._relation.table, self._constant)

    def narrowing(self, predicates: Sequence[Predicate]) -> Iterator[Path]:
        """Yield the paths that use at least one of the predicates, or an alternative of an OR.

        `predicates`: those of the relation whose values are known by then. Paths that take values from fetched rows
        come with their counterparts that do not.
        """
        relation, table = self._relation, self._relation.table
        constant = _by_column(self._constant)
        known = _by_column(predicates) if len(self._constant) < len(predicates) else None
        for order in self._orders:
            path = _path(table, order, constant)
            if _narrows(path):
                yield path
            other = path if known is None else _path(table, order, known)
            if other != path and _narrows(other):
                yield other
        for any_of in relation.any_of:
            for order in self._orders:
                yield from _union(table, [[order]] * len(any_of.alternatives), any_of, self._constant)
            yield from _union(table, [self._orders] * len(any_of.alternatives), any_of, self._constant)

    def limited(self, topn: TopN, *, must_be_total: bool) -> Iterator[Path]:
        """Yield the paths to exactly the rows that fulfil the conditions of a Top-N, in its order.

        `must_be_total`: no two rows may have the same place in the order.
        """
        table = self._relation.table
        for order in _key_orders(table, _predicates(topn.conditions)):
            path = _exact(table, order, topn.conditions)
            if path is not None:
                found = _sorted_by(table, order, path, topn)
                if found.is_whole and (found.is_total or not must_be_total):
                    yield path


class OrderedPath(NamedTuple):
    """A path, and the columns that its rows are sorted by if ORDER BY sorts by more; empty if they are in its order."""

    path: Path
    presorted: tuple[Column, ...]


def ordered_paths(relation: Relation, topn: TopN) -> Iterator[OrderedPath]:
    """Yield the paths in the order of a Top-N, or of its first terms, to all rows of a relation and perhaps others."""
    table = relation.table
    constant = _constant(relation.predicates)
    for order in _key_orders(table, constant):
        paths: list[Path] = [_path(table, order, _by_column(constant))]
        for any_of in relation.any_of:
            paths += _union(table, [[order]] * len(any_of.alternatives), any_of, constant)
        for path in paths:
            is_get, is_unique, *_ = path.rank
            found = _sorted_by(table, order, path, topn)
            if is_get or is_unique:
                continue
            if found.is_whole:
                yield OrderedPath(path, ())
            elif found.columns and all(fold_name(column.name) in table.position for column in found.columns):
                yield OrderedPath(path, found.columns)


def exact_paths(table: Table, conditions: Sequence[Predicate | AnyOf]) -> Iterator[Path]:
    """Yield the paths to exactly the rows that fulfil all conditions."""
    for order in _key_orders(table, _predicates(conditions)):
        path = _exact(table, order, conditions)
        if path is not None:
            yield path


# ── the orders of a table's keys ──────────────────────────────────────────────────────────────────────────────────────


def _key_orders(table: Table, predicates: Sequence[Predicate]) -> list[_KeyOrder]:
    """Return the row key and the indexes that have all rows which fulfil the predicates."""
    key = tuple([table.by_name[fold_name(name)] for name in table.key]) or (rowid_column(table),)
    key_collations = tuple([column.collation for column in key])
    found = [_KeyOrder(None, _with_own_collation(key, key_collations))]
    for index in table.indexes:
        condition: tuple[Predicate, ...] = ()
        columns, collations = table.columns_of(index), index.collations
        if index.computed:
            required = partial_index_predicates(table, index)
            if required is None or not implies(predicates, required):
                continue
            condition, columns = required, index_columns(table, index)
        if len(columns) == len(collations):
            columns, collations = columns + key, collations + key_collations
        found.append(_KeyOrder(index, _with_own_collation(columns, collations[: len(columns)]), condition))
    return found


def _with_own_collation(columns: tuple[Column, ...], collations: tuple[str, ...]) -> tuple[Column, ...]:
    """Return the first columns, up to one that a key collates otherwise than its comparisons do."""
    for at, (column, collation) in enumerate(zip(columns, collations, strict=True)):
        if column.collation != collation or collation not in COLLATIONS:
            return columns[:at]
    return columns


# ── paths that narrow ─────────────────────────────────────────────────────────────────────────────────────────────────


_ByColumn = dict[tuple[int, str], list[Predicate]]
"""The predicates on each column, by number and name: the number alone does not distinguish indexed expressions."""


def _by_column(predicates: Sequence[Predicate]) -> _ByColumn:
    found: _ByColumn = {}
    for predicate in predicates:
        found.setdefault((predicate.column.cid, predicate.column.name), []).append(predicate)
    return found


def _path(table: Table, order: _KeyOrder, predicates: _ByColumn) -> KeyPath:
    """Return the path by a key, whose terms are the predicates on its first columns."""
    equal: list[EqualTerm] = []
    range_term = None
    for column in order.columns:
        of_column = predicates.get((column.cid, column.name), ())
        term = _equal_term(column, of_column)
        if term is None:
            range_term = _range_term(column, of_column)
            break
        equal.append(term)
    index = order.index
    is_get = index is None and len(equal) == max(len(table.key), 1)
    is_unique = is_get or (index is not None and index.unique and len(equal) >= len(index.columns))
    rank = is_get, is_unique, len(equal) + (0.5 if range_term else 0), index is None
    refs = frozenset([table_ref for term in equal for table_ref in term.source_refs])
    return KeyPath(table.name, index, tuple(equal), range_term, is_get, is_unique, rank, refs)


def _narrows(path: KeyPath) -> bool:
    term = path.range_term
    if path.equal or isinstance(term, PrefixTerm) or (path.index is not None and path.index.partial):
        return True
    return term is not None and bool(term.lower or term.upper)


def _union(
    table: Table, choices: Sequence[Sequence[_KeyOrder]], any_of: AnyOf, predicates: Sequence[Predicate]
) -> Iterator[UnionPath]:
    """Yield the union of the best path for each alternative, of those by its choice of orders; none if one has none."""
    found: list[KeyPath] = []
    for orders, alternative in zip(choices, any_of.alternatives, strict=True):
        by_column = _by_column([*alternative, *predicates])
        paths = [_path(table, order, by_column) for order in orders]
        best = max((path for path in paths if _narrows(path)), key=lambda path: path.rank, default=None)
        if best is None:
            return
        found.append(best)
    yield UnionPath(table.name, tuple(found))


def _equal_term(column: Column, predicates: Sequence[Predicate]) -> EqualTerm | None:
    """Return the equality with the fewest values; with those of other rows only if there is no other."""
    if not predicates:
        return None
    terms = [
        EqualTerm(column, predicate.sources, predicate.op is Op.IS, _source_refs(predicate.sources))
        for predicate in predicates
        if predicate.op in (Op.EQUAL, Op.IS)
    ]
    return min(terms, key=lambda term: (bool(term.source_refs), len(term.sources)), default=None)


def _range_term(column: Column, predicates: Sequence[Predicate]) -> RangeTerm | PrefixTerm | None:
    lower = upper = None
    for predicate in predicates:
        if predicate.op in (Op.GREATER, Op.AT_LEAST):
            lower = lower or Bound(predicate.sources[0], predicate.op is Op.AT_LEAST)
        elif predicate.op in (Op.LESS, Op.AT_MOST):
            upper = upper or Bound(predicate.sources[0], predicate.op is Op.AT_MOST)
    is_not_null = any(predicate.op is Op.NOT_NULL for predicate in predicates)
    patterns = [source for each in predicates for source in each.sources if isinstance(source, Pattern)]
    if patterns and not (lower and upper):
        return PrefixTerm(column, patterns[0])
    return RangeTerm(column, lower, upper) if lower or upper or is_not_null else None


def _source_refs(sources: Sequence[KeySource]) -> tuple[int, ...]:
    """Return the table references that values come from."""
    return tuple([source.table_ref for source in sources if isinstance(source, FromColumn)])


def _constant(predicates: Sequence[Predicate]) -> list[Predicate]:
    """Return the predicates that take no values from other rows."""
    return [each for each in predicates if not _source_refs(each.sources)]


# ── exact paths ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _predicates(conditions: Iterable[Predicate | AnyOf]) -> list[Predicate]:
    return [condition for condition in conditions if isinstance(condition, Predicate)]


def _exact(table: Table, order: _KeyOrder, conditions: Sequence[Predicate | AnyOf]) -> Path | None:
    """Return the path by a key, if it leads to exactly the rows that fulfil all conditions."""
    predicates = [each for each in _predicates(conditions) if each not in order.condition]
    any_of = [each for each in conditions if isinstance(each, AnyOf)]
    if not any_of:
        path = _path(table, order, _by_column(predicates))
        return path if _covers(path, predicates) else None
    if len(any_of) > 1:
        return None
    alternatives = [[*alternative, *predicates] for alternative in any_of[0].alternatives]
    paths = [_path(table, order, _by_column(alternative)) for alternative in alternatives]
    is_exact = all(_covers(path, alternative) for path, alternative in zip(paths, alternatives, strict=True))
    return UnionPath(table.name, tuple(paths)) if is_exact else None


def _covers(path: KeyPath, predicates: Sequence[Predicate]) -> bool:
    """Return True if all rows of a path fulfil the predicates."""
    return all(_is_term_of(path, predicate) for predicate in predicates)


def _is_term_of(path: KeyPath, predicate: Predicate) -> bool:
    if predicate.op in (Op.EQUAL, Op.IS):
        return EqualTerm(predicate.column, predicate.sources, predicate.op is Op.IS) in path.equal
    term = path.range_term
    if not isinstance(term, RangeTerm) or term.column != predicate.column or predicate.op is Op.LIKE:
        return False
    if predicate.op is Op.NOT_NULL:
        return term.rejects_null
    is_lower = predicate.op in (Op.GREATER, Op.AT_LEAST)
    bound = Bound(predicate.sources[0], predicate.op in (Op.AT_LEAST, Op.AT_MOST))
    return bound == (term.lower if is_lower else term.upper)


# ── order ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _SortedBy(NamedTuple):
    """The first columns of a Top-N's order that the rows of a path are sorted by, in the order of its keys.

    `is_whole`: the rows are in the order of the Top-N. `is_total`: no two of them have the same values there.
    """

    columns: tuple[Column, ...]
    is_whole: bool
    is_total: bool


def _sorted_by(table: Table, order: _KeyOrder, path: Path, topn: TopN) -> _SortedBy:
    """Return how far the rows of a path, in the order of its keys, are in the order of a Top-N."""
    fixed = _fixed_columns(path)
    of_key = list(dict.fromkeys(column for column in order.columns if column not in fixed))
    needed = list(dict.fromkeys(column for column in topn.order if column not in fixed))
    columns: tuple[Column, ...] = ()
    for at, column in enumerate(needed):
        if _has_unique_key(table, fixed.union(columns)):
            return _SortedBy(columns, is_whole=True, is_total=True)
        if at >= len(of_key) or column != of_key[at]:
            return _SortedBy(columns, is_whole=False, is_total=False)
        columns += (column,)
    is_total = _has_unique_key(table, fixed.union(columns))
    return _SortedBy(columns, is_total or not topn.order_continues, is_total)


def _fixed_columns(path: Path) -> set[Column]:
    """Return the columns that have one value in all rows of a path."""
    if isinstance(path, KeyPath):
        return {term.column for term in path.equal if term.is_constant}
    if not isinstance(path, UnionPath):
        return set()
    terms = set(path.paths[0].equal).intersection(*(each.equal for each in path.paths))
    return {term.column for term in terms if term.is_constant}


def _has_unique_key(table: Table, columns: set[Column]) -> bool:
    """Return True if no two rows have the same values in these columns."""
    names = {fold_name(column.name) for column in columns}
    keys = [table.key or (str(table.counted),)]
    for index in table.indexes:
        of_index = index_columns(table, index)
        parts = _with_own_collation(of_index, index.collations[: len(of_index)])
        not_null = [part for part in parts if part.not_null]
        if index.unique and not index.partial and len(not_null) == len(index.columns):
            keys.append(tuple(part.name for part in not_null))
    return any(names.issuperset(map(fold_name, key)) for key in keys)
