"""Relations: the rows that a statement needs of each table reference, as far as the analysis understands them.

    SELECT * FROM p WHERE host = ? AND id IN (?, ?) ORDER BY created LIMIT 20

    Relation 0 of p: host = :_0 AND id = any of :_1, Top-N on created, limit :_2

The analysis is of the normalized text, whose parameters are its placeholders. `Relation.with_lists` replaces each
placeholder by the sources that it stands for, so that texts which differ only in the lengths of their IN lists share
the analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from sqlglot import exp

from rome.catalog.model import Catalog, Column, Table
from rome.folding import fold_name
from rome.sql.analysis.comparisons import Op, rejects_null
from rome.sql.syntax.operands import KeySource, Param, Pattern, Source, WithoutAffinity
from rome.values import SqlValue

Row = tuple[SqlValue, ...]

Lists = Sequence[tuple[Source, ...]]
"""The sources of each placeholder of a normalized text (`NormalizedStatement.lists`)."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A comparison of one column of a table reference with constants, parameters or values of other rows."""

    column: Column
    op: Op
    sources: tuple[KeySource, ...]

    @property
    def rejects_null(self) -> bool:
        """Return True if the predicate is never true of a row with NULL in the column."""
        return rejects_null(self.op, self.sources)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A disjunction: all predicates of at least one of the alternatives are true."""

    alternatives: tuple[tuple[Predicate, ...], ...]


Conditions = tuple[Predicate | AnyOf, ...]
"""A conjunction."""


@dataclass(frozen=True, slots=True)
class TopN:
    """The first rows in an order: no others of the table reference affect the result of its scope."""

    conditions: Conditions
    """Everything that a row must fulfil to be counted among them."""
    order: tuple[Column, ...] = ()
    descending: bool = False
    limit: tuple[Source, ...] = ()
    """The number of rows: the sum of LIMIT and OFFSET."""
    order_continues: bool = False
    """True if the statement's order has further terms after `order`, which are no columns of the table reference."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table reference with its predicates. `topn`: the rows needed, if not all that fulfil `predicates`."""

    number: int
    """The number of the table reference in the statement."""
    table: Table
    """Before `with_lists`, possibly a table of the same shape in another catalog."""
    predicates: tuple[Predicate, ...] = ()
    any_of: tuple[AnyOf, ...] = ()
    topn: TopN | None = None
    name: str = ""
    """The name or alias of the table reference in the statement, in lower case."""

    def with_lists(self, lists: Lists, catalog: Catalog) -> Relation:
        """Return this relation under a catalog, with the sources of a text in place of the placeholders."""
        topn = self.topn
        if topn is not None:
            limit = tuple([source for each in topn.limit for source in _expand(each, lists)])
            topn = replace(topn, conditions=_expand_conditions(topn.conditions, lists), limit=limit)
        predicates = tuple(
            [Predicate(each.column, each.op, expand_sources(each.sources, lists)) for each in self.predicates]
        )
        any_of = tuple([_expand_any_of(each, lists) for each in self.any_of])
        return Relation(self.number, catalog.tables[fold_name(self.table.name)], predicates, any_of, topn, self.name)


@dataclass(frozen=True)
class TopNSource:
    """The table reference in whose order the rows of a scope with a LIMIT come out (`topn.find_topn_source`).

    `relation`: the table reference, with order, LIMIT and OFFSET in `topn`. `table_refs`: its number; if the table
    occurs in each member of a UNION, the numbers of all of them, and `relation` has the predicates that all share.
    `block`: the node of the scope, while the tree is kept; `is_whole_statement`: the scope is the statement itself.
    `filter_id`: identifies the joins and conditions that drop or multiply rows, as the key of their statistics.
    """

    relation: Relation
    table_refs: tuple[int, ...]
    is_whole_statement: bool
    filter_id: int
    block: exp.Expr | None


@dataclass(frozen=True)
class Page:
    """A derived table with a LIMIT, by whose rows other tables are looked up (`topn.find_page`).

    `table_refs`: the numbers of the table references in it. `columns`: for each of them, pairs of a position in its
    rows and the place in the result where this value comes out. `block`: the node of the derived table, while the
    tree is kept.
    """

    table_refs: frozenset[int]
    columns: dict[int, tuple[tuple[int, int], ...]]
    block: exp.Expr | None

    def leading_to(self, page: Sequence[Row], table_ref: int, rows: Sequence[Row]) -> Sequence[Row]:
        """Return those rows of a table reference that may have led to a row of the page, and perhaps others."""
        columns = self.columns.get(table_ref)
        if columns is None:
            return rows
        of_row, of_page = (itemgetter(*each) for each in zip(*columns, strict=True))
        came_out = set(map(of_page, page))
        return [row for row in rows if of_row(row) in came_out]


def expand_sources(sources: Sequence[KeySource], lists: Lists) -> tuple[KeySource, ...]:
    """Replace the placeholders among sources by what they stand for."""
    found: list[KeySource] = []
    for source in sources:
        if isinstance(source, Param):
            found += lists[source.index]
        elif isinstance(source, (Pattern, WithoutAffinity)):
            found += _expand_inner(source, lists)
        else:
            found.append(source)
    return tuple(found)


def _expand_conditions(conditions: Conditions, lists: Lists) -> Conditions:
    return tuple(
        [
            _expand_predicate(each, lists) if isinstance(each, Predicate) else _expand_any_of(each, lists)
            for each in conditions
        ]
    )


def _expand_predicate(predicate: Predicate, lists: Lists) -> Predicate:
    return Predicate(predicate.column, predicate.op, expand_sources(predicate.sources, lists))


def _expand_any_of(any_of: AnyOf, lists: Lists) -> AnyOf:
    return AnyOf(
        tuple([tuple([_expand_predicate(each, lists) for each in alternative]) for alternative in any_of.alternatives])
    )


def _expand_inner(source: Pattern | WithoutAffinity, lists: Lists) -> Sequence[KeySource]:
    if isinstance(source, Pattern):
        return [replace(source, source=found) for found in _expand(source.source, lists)]
    (value,) = _expand(source.source, lists)
    (null_as,) = (None,) if source.null_as is None else _expand(source.null_as, lists)
    return [WithoutAffinity(value, null_as)]


def _expand(source: Source, lists: Lists) -> tuple[Source, ...]:
    return lists[source.index] if isinstance(source, Param) else (source,)
