"""The access paths that one occurrence of a table has: by its row key, and by its indexes.

Of those that lead to as many rows, as far as is known, the better is in this order: the whole row key is equal to
something; a whole unique index is; the most columns that are equal, from the first on, of the row key or an index,
where a range on the next column counts half a column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rome.catalog.model import Column, Index, Table
from rome.sql.access import Bound, Equal, KeyPath, Path, Scan, Within
from rome.sql.names import rowid_column
from rome.sql.predicates import Op
from rome.sql.scopes import Predicate
from rome.sql.sources import FromColumn, Key


@dataclass(frozen=True, slots=True)
class _Order:
    """Something that rows are in order of: the row key, or an index."""

    index: Index | None
    columns: tuple[Column, ...]


def choose(table: Table, predicates: Sequence[Predicate]) -> Path:
    """The path for an occurrence of which all these predicates are true."""
    paths = [path for order in _orders(table) if (path := _path(table, order, predicates))]
    return max(paths, key=worth, default=Scan(table.name))


def candidates(table: Table, predicates: Sequence[Predicate]) -> Iterator[KeyPath]:
    """The paths for an occurrence with these predicates: with the values of other rows, and without."""
    constant = [each for each in predicates if not _is_from_rows(each.sources)]
    for order in _orders(table):
        paths = [_path(table, order, constant), _path(table, order, predicates)]
        yield from dict.fromkeys(path for path in paths if path is not None)


def _orders(table: Table) -> list[_Order]:
    """The row key and the plain indexes, each up to the first column whose keys are not in BINARY order."""
    key = tuple(table.by_name[name.lower()] for name in table.key) or (rowid_column(table),)
    found = [_Order(None, _binary(key, tuple(column.collation for column in key)))]
    for index in table.indexes:
        if not index.computed:
            columns = tuple(table.by_name[name.lower()] for name in index.columns if name is not None)
            found.append(_Order(index, _binary(columns, index.collations)))
    return found


def _binary(columns: tuple[Column, ...], collations: tuple[str, ...]) -> tuple[Column, ...]:
    fit = [column.collation == collation == "BINARY" for column, collation in zip(columns, collations, strict=True)]
    return columns[: fit.index(False)] if False in fit else columns


def _path(table: Table, order: _Order, predicates: Sequence[Predicate]) -> KeyPath | None:
    equal: list[Equal] = []
    within = None
    for column in order.columns:
        about = [predicate for predicate in predicates if predicate.column == column]
        term = _equal(column, about)
        if term is None:
            within = _within(column, about)
            break
        equal.append(term)
    if not equal and within is None:
        return None
    is_get = order.index is None and len(equal) == max(len(table.key), 1)
    return KeyPath(table.name, order.index, tuple(equal), within, is_get)


def _equal(column: Column, predicates: Sequence[Predicate]) -> Equal | None:
    """The shortest list of values that the column is equal to one of; other rows' values only if there is none."""
    terms = [
        Equal(column, predicate.sources, predicate.op is Op.SAME)
        for predicate in predicates
        if predicate.op in (Op.EQUAL, Op.SAME)
    ]
    return min(terms, key=lambda term: (_is_from_rows(term.sources), len(term.sources)), default=None)


def _is_from_rows(sources: Sequence[Key]) -> bool:
    return any(isinstance(source, FromColumn) for source in sources)


def _within(column: Column, predicates: Sequence[Predicate]) -> Within | None:
    lower = upper = None
    for predicate in predicates:
        if predicate.op in (Op.MORE, Op.AT_LEAST):
            lower = lower or Bound(predicate.sources[0], predicate.op is Op.AT_LEAST)
        elif predicate.op in (Op.LESS, Op.AT_MOST):
            upper = upper or Bound(predicate.sources[0], predicate.op is Op.AT_MOST)
    return Within(column, lower, upper) if lower or upper else None


def worth(path: KeyPath) -> tuple[bool, bool, float, bool]:
    """What paths are compared by; of two that are worth the same, the first is taken."""
    return path.is_get, path.is_unique, len(path.equal) + (0.5 if path.within else 0), path.index is None
