"""What a statement wants of a table reference of a table: which rows, as far as that is understood.

It is told of the normal text first, whose parameters are its placeholders. `filled` puts in what they stand for, so
that texts which differ in their IN lists only have all the rest in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from rome.catalog.model import Catalog, Column, Table
from rome.sql.analysis.comparisons import Op, rejects_null
from rome.sql.syntax.operands import KeySource, Param, Pattern, Source, WithoutAffinity

Lists = Sequence[tuple[Source, ...]]
"""What the placeholders of a normal text stand for (`NormalizedStatement.lists`)."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """What is known of one column of a table reference."""

    column: Column
    op: Op
    sources: tuple[KeySource, ...]

    @property
    def rejects_null(self) -> bool:
        """Whether it can't be true of a row with NULL in the column."""
        return rejects_null(self.op, self.sources)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """All predicates of one of the alternatives, at least, are true."""

    alternatives: tuple[tuple[Predicate, ...], ...]


Conditions = tuple[Predicate | AnyOf, ...]


@dataclass(frozen=True, slots=True)
class TopN:
    """The first rows in an order. Of these is made all that a scope makes of the table reference."""

    conditions: Conditions
    """All that rows must fulfil to be counted among them."""
    order: tuple[Column, ...] = ()
    descending: bool = False
    limit: tuple[Source, ...] = ()
    """How many: the sum of LIMIT and OFFSET."""
    order_continues: bool = False
    """Whether the order goes on behind `order`, by what is not a column of the table reference."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table reference and its predicates. `part`: which of the rows, if not all that `predicates` leave."""

    number: int
    """The number of the table reference in the statement."""
    table: Table
    """Until it is `filled`, perhaps another table of the same shape."""
    predicates: tuple[Predicate, ...] = ()
    any_of: tuple[AnyOf, ...] = ()
    topn: TopN | None = None

    def with_lists(self, lists: Lists, catalog: Catalog) -> Relation:
        """The same of a text whose placeholders stand for these lists, under a catalog."""
        topn = self.topn
        if topn is not None:
            limit = tuple(source for each in topn.limit for source in _listed(each, lists))
            topn = replace(topn, conditions=filled(topn.conditions, lists), limit=limit)
        predicates = tuple(_filled(each, lists) for each in self.predicates)
        any_of = tuple(_filled_any(each, lists) for each in self.any_of)
        return Relation(self.number, catalog.tables[self.table.name.lower()], predicates, any_of, topn)


@dataclass(frozen=True)
class TopNSource:
    """A table reference in the order of whose rows those of a scope with a LIMIT come out (`paging.front`).

    `wanted`: the table reference, with the order, LIMIT and OFFSET in `part`. `numbers`: if it stands in each member of
    a UNION, all of them, and `wanted` has the predicates that hold for all. `block`: the scope's node, where there is
    the tree; `is_all`: it is the statement. `about`: tells what drops rows, or makes several of one, from what others
    do.
    """

    relation: Relation
    table_refs: tuple[int, ...]
    is_whole_statement: bool
    filter_id: int
    block: exp.Expr | None


def filled(facts: Conditions, lists: Lists) -> Conditions:
    """Facts, with what the placeholders stand for."""
    return tuple(_filled(fact, lists) if isinstance(fact, Predicate) else _filled_any(fact, lists) for fact in facts)


def filled_sources(sources: Sequence[KeySource], lists: Lists) -> tuple[KeySource, ...]:
    """Sources, with what the placeholders among them stand for."""
    return tuple(found for source in sources for found in _filled_key(source, lists))


def _filled(predicate: Predicate, lists: Lists) -> Predicate:
    return Predicate(predicate.column, predicate.op, filled_sources(predicate.sources, lists))


def _filled_any(any_of: AnyOf, lists: Lists) -> AnyOf:
    return AnyOf(tuple(tuple(_filled(each, lists) for each in alternative) for alternative in any_of.alternatives))


def _filled_key(source: KeySource, lists: Lists) -> Sequence[KeySource]:
    if isinstance(source, Pattern):
        return [replace(source, source=found) for found in _listed(source.source, lists)]
    if isinstance(source, WithoutAffinity):
        (value,) = _listed(source.source, lists)
        (null_as,) = (None,) if source.null_as is None else _listed(source.null_as, lists)
        return [WithoutAffinity(value, null_as)]
    return _listed(source, lists) if isinstance(source, Param) else (source,)


def _listed(source: Source, lists: Lists) -> tuple[Source, ...]:
    return lists[source.index] if isinstance(source, Param) else (source,)
