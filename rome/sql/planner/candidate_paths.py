"""The access paths that one table reference of a table has: by its row key, and by its indexes.

Of those that lead to as many rows, as far as is known, the better is in this order: the whole row key is equal to
something; a whole unique index is; the most columns that are equal, from the first on, of the row key or an index,
where a range on the next column counts half a column.

Where only the first rows in some order are wanted (`TopN`), a path will do that leads to conditions the rows that count
among them, in that order. Index entries go on with the row key, so rows of an equal prefix are in the row key's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rome.catalog.model import Column, Index, Table
from rome.sql.analysis.comparisons import Op
from rome.sql.analysis.index_expressions import implies, index_columns, partial_index_predicates
from rome.sql.analysis.relation import AnyOf, Predicate, TopN
from rome.sql.analysis.resolve_names import rowid_column
from rome.sql.planner.access_path import Bound, EqualTerm, KeyPath, Path, PrefixTerm, RangeTerm, UnionPath
from rome.sql.syntax.operands import FromColumn, KeySource, Pattern
from rome.storage.keys import COLLATIONS


@dataclass(frozen=True, slots=True)
class _Order:
    """Something that rows are in order of: the row key, or an index with the row key behind it."""

    index: Index | None
    columns: tuple[Column, ...]
    """Up to the first column whose keys are in another order than its values are compared in."""
    condition: tuple[Predicate, ...] = ()
    """What is true of all rows that a partial index has."""


def candidates(table: Table, predicates: Sequence[Predicate], any_of: Iterable[AnyOf]) -> Iterator[Path]:
    """The paths for a table reference of which this is true: with the values of other rows, and without."""
    constant = [each for each in predicates if not _is_from_rows(each.sources)]
    orders = _orders(table, constant)
    abouts = [_by_column(constant)]
    if len(constant) < len(predicates):
        abouts.append(_by_column(predicates))
    for order in orders:
        paths = [_path(table, order, about) for about in abouts]
        yield from dict.fromkeys(path for path in paths if _narrows(path))
    for each in any_of:
        for order in orders:
            yield from _either(table, [[order]] * len(each.alternatives), each, constant)
        yield from _either(table, [orders] * len(each.alternatives), each, constant)


def topn_paths(table: Table, topn: TopN, *, must_be_total: bool) -> Iterator[Path]:
    """The paths that lead to the wanted part of a table reference's rows, in its order; all of `Path.depends_on` is
    empty.

    `must_be_total`: no two rows may have the same place in the order.
    """
    for order in _orders(table, _plain(topn.conditions)):
        path = _exact(table, order, topn.conditions)
        if path is not None and _is_in_order(table, order, path, topn, must_be_total):
            yield path


def ordered_paths(table: Table, predicates: Sequence[Predicate], any_of: Iterable[AnyOf], topn: TopN) -> Iterator[Path]:
    """The paths that lead to the rows of which this is true, and perhaps to others, in the order of the part."""
    constant = [each for each in predicates if not _is_from_rows(each.sources)]
    alternatives = list(any_of)
    for order in _orders(table, constant):
        paths: list[Path] = [_path(table, order, _by_column(constant))]
        for each in alternatives:
            paths += _either(table, [[order]] * len(each.alternatives), each, constant)
        for path in paths:
            is_get, is_unique, *_ = path_rank(path)
            if not (is_get or is_unique) and _is_in_order(table, order, path, topn, must_be_total=False):
                yield path


def exact_paths(table: Table, conditions: Sequence[Predicate | AnyOf]) -> Iterator[Path]:
    """The paths that lead to the rows that fulfil all this, and to no others."""
    for order in _orders(table, _plain(conditions)):
        path = _exact(table, order, conditions)
        if path is not None:
            yield path


def path_rank(path: Path) -> tuple[bool, bool, float, bool]:
    """What paths are compared by; of two that are worth the same, the first is taken."""
    if isinstance(path, KeyPath):
        return path.is_get, path.is_unique, len(path.equal) + (0.5 if path.range_term else 0), path.index is None
    return min(map(path_rank, path.paths)) if isinstance(path, UnionPath) else (False, False, 0.0, False)


# ── what rows are in order of ─────────────────────────────────────────────────────────────────────────────────────────


def _orders(table: Table, predicates: Sequence[Predicate]) -> list[_Order]:
    """The row key, and the indexes that have all rows of which the predicates are true."""
    key = tuple(table.by_name[name.lower()] for name in table.key) or (rowid_column(table),)
    own = tuple(column.collation for column in key)
    found = [_Order(None, _compared_alike(key, own))]
    for index in table.indexes:
        demanded = partial_index_predicates(table, index)
        if demanded is None or not implies(predicates, demanded):
            continue
        columns, collations = index_columns(table, index), index.collations
        if len(columns) == len(collations):
            columns, collations = columns + key, collations + own
        found.append(_Order(index, _compared_alike(columns, collations[: len(columns)]), demanded))
    return found


def _compared_alike(columns: tuple[Column, ...], collations: tuple[str, ...]) -> tuple[Column, ...]:
    fit = [
        column.collation == collation and collation in COLLATIONS
        for column, collation in zip(columns, collations, strict=True)
    ]
    return columns[: fit.index(False)] if False in fit else columns


# ── paths of predicates ───────────────────────────────────────────────────────────────────────────────────────────────


_About = dict[tuple[int, str], list[Predicate]]
"""What is known of each column, by what tells the columns of a table, and its indexed expressions, apart."""


def _by_column(predicates: Sequence[Predicate]) -> _About:
    found: _About = {}
    for predicate in predicates:
        found.setdefault((predicate.column.cid, predicate.column.name), []).append(predicate)
    return found


def _path(table: Table, order: _Order, known: _About) -> KeyPath:
    """By the predicates on the first columns; all rows if there are none."""
    equal: list[EqualTerm] = []
    within = None
    for column in order.columns:
        about = known.get((column.cid, column.name), ())
        term = _equal(column, about)
        if term is None:
            within = _within(column, about)
            break
        equal.append(term)
    is_get = order.index is None and len(equal) == max(len(table.key), 1)
    return KeyPath(table.name, order.index, tuple(equal), within, is_get)


def _narrows(path: KeyPath) -> bool:
    within = path.range_term
    if path.index is not None and path.index.partial:
        return True
    return (
        bool(path.equal)
        or isinstance(within, PrefixTerm)
        or (within is not None and bool(within.lower or within.upper))
    )


def _either(
    table: Table, orders: Sequence[Sequence[_Order]], any_of: AnyOf, predicates: Sequence[Predicate]
) -> Iterator[UnionPath]:
    """The path with the best one of some orders for each alternative; none if an alternative has none."""
    found: list[KeyPath] = []
    for choice, alternative in zip(orders, any_of.alternatives, strict=True):
        about = _by_column([*alternative, *predicates])
        paths = [_path(table, order, about) for order in choice]
        best = max((path for path in paths if _narrows(path)), key=path_rank, default=None)
        if best is None:
            return
        found.append(best)
    yield UnionPath(table.name, tuple(found))


def _equal(column: Column, predicates: Sequence[Predicate]) -> EqualTerm | None:
    """The shortest list of values that the column is equal to one of; other rows' values only if there is none."""
    terms = [
        EqualTerm(column, predicate.sources, predicate.op is Op.IS)
        for predicate in predicates
        if predicate.op in (Op.EQUAL, Op.IS)
    ]
    return min(terms, key=lambda term: (_is_from_rows(term.sources), len(term.sources)), default=None)


def _is_from_rows(sources: Sequence[KeySource]) -> bool:
    return any(isinstance(source, FromColumn) for source in sources)


def _within(column: Column, predicates: Sequence[Predicate]) -> RangeTerm | PrefixTerm | None:
    lower = upper = None
    for predicate in predicates:
        if predicate.op in (Op.GREATER, Op.AT_LEAST):
            lower = lower or Bound(predicate.sources[0], predicate.op is Op.AT_LEAST)
        elif predicate.op in (Op.LESS, Op.AT_MOST):
            upper = upper or Bound(predicate.sources[0], predicate.op is Op.AT_MOST)
    is_present = any(predicate.op is Op.NOT_NULL for predicate in predicates)
    begins = [source for each in predicates for source in each.sources if isinstance(source, Pattern)]
    if begins and not (lower and upper):
        return PrefixTerm(column, begins[0])
    return RangeTerm(column, lower, upper) if lower or upper or is_present else None


# ── paths that lead to nothing else ───────────────────────────────────────────────────────────────────────────────────


def _plain(facts: Sequence[Predicate | AnyOf]) -> list[Predicate]:
    return [fact for fact in facts if isinstance(fact, Predicate)]


def _exact(table: Table, order: _Order, conditions: Sequence[Predicate | AnyOf]) -> Path | None:
    """The path by an order, if it leads to the rows that fulfil all this and to no others."""
    predicates = [each for each in _plain(conditions) if each not in order.condition]
    any_of = [each for each in conditions if isinstance(each, AnyOf)]
    if not any_of:
        path = _path(table, order, _by_column(predicates))
        return path if _covers(path, predicates) else None
    if len(any_of) > 1:
        return None
    (each,) = any_of
    known = [[*alternative, *predicates] for alternative in each.alternatives]
    paths = [_path(table, order, _by_column(alternative)) for alternative in known]
    covered = all(_covers(path, alternative) for path, alternative in zip(paths, known, strict=True))
    return UnionPath(table.name, tuple(paths)) if covered else None


def _covers(path: KeyPath, predicates: Sequence[Predicate]) -> bool:
    """Whether a path demands all that the predicates do."""
    return all(_is_in(path, predicate) for predicate in predicates)


def _is_in(path: KeyPath, predicate: Predicate) -> bool:
    terms = [term for term in path.equal if term.column == predicate.column]
    if predicate.op in (Op.EQUAL, Op.IS):
        return any(EqualTerm(predicate.column, predicate.sources, predicate.op is Op.IS) == term for term in terms)
    within = path.range_term
    if not isinstance(within, RangeTerm) or within.column != predicate.column or predicate.op is Op.LIKE:
        return False
    if predicate.op is Op.NOT_NULL:
        return within.rejects_null
    is_lower = predicate.op in (Op.GREATER, Op.AT_LEAST)
    bound = Bound(predicate.sources[0], predicate.op in (Op.AT_LEAST, Op.AT_MOST))
    return bound == (within.lower if is_lower else within.upper)


def _is_in_order(table: Table, order: _Order, path: Path, topn: TopN, must_be_total: bool) -> bool:
    """Whether the rows of a path, in the order of its keys, are in the wanted order."""
    fixed = _fixed(path)
    left = list(dict.fromkeys(column for column in order.columns if column not in fixed))
    wanted = list(dict.fromkeys(column for column in topn.order if column not in fixed))
    placed = set(fixed)
    for at, column in enumerate(wanted):
        if _is_total(table, placed):
            return True
        if at >= len(left) or column != left[at]:
            return False
        placed.add(column)
    return _is_total(table, placed) or not (must_be_total or topn.order_continues)


def _fixed(path: Path) -> set[Column]:
    """The columns that have one value in all rows of a path."""
    if isinstance(path, KeyPath):
        return {term.column for term in path.equal if term.is_constant}
    if not isinstance(path, UnionPath):
        return set()
    terms = set(path.paths[0].equal).intersection(*(one.equal for one in path.paths))
    return {term.column for term in terms if term.is_constant}


def _is_total(table: Table, of: set[Column]) -> bool:
    """Whether no two rows have the same values in these columns."""
    names = {column.name.lower() for column in of}
    keys = [table.key or (str(table.counted),)]
    for index in table.indexes:
        columns = index_columns(table, index)
        parts = [each for each in _compared_alike(columns, index.collations[: len(columns)]) if each.not_null]
        if index.unique and not index.partial and len(parts) == len(index.columns):
            keys.append(tuple(part.name for part in parts))
    return any(names.issuperset(map(str.lower, key)) for key in keys)
