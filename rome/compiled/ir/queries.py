"""Queries: the SELECTs of a statement, read and resolved, and not yet turned into code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from rome.catalog.model import Table
from rome.compiled.ir.expressions import ColumnExpr, Term, refs


@dataclass(frozen=True)
class Output:
    """A column of a result. `name` is what an outer SELECT calls it by: None where only SQLite knows."""

    name: str | None
    term: Term


@dataclass(frozen=True)
class Order:
    """A term of ORDER BY."""

    term: Term
    descending: bool
    nulls_first: bool


@dataclass(eq=False)
class Source:
    """Something in FROM whose rows have a variable of their own: the table reference of a table, or a derived table."""

    id: int
    name: str
    """What qualifies its columns, in lower case."""
    columns: tuple[tuple[str | None, ColumnExpr | str], ...]
    """In order: name in lower case, and the column, or why it can't be used."""
    table: Table | None = None
    table_ref: int | None = None
    query: Query | None = None

    @cached_property
    def places(self) -> dict[str | None, list[int]]:
        """Where in `columns` those of a name are."""
        found: dict[str | None, list[int]] = {}
        for at, (name, _) in enumerate(self.columns):
            found.setdefault(name, []).append(at)
        return found


@dataclass(eq=False)
class Join:
    """One step of FROM: `item` is joined to all before it. The ON of an inner join has become part of the WHERE."""

    item: Source | Group
    is_left: bool = False
    on: tuple[Term, ...] = ()


@dataclass(eq=False)
class Group:
    """Joins in a parenthesis, with what their inner joins' ONs say."""

    joins: tuple[Join, ...]
    where: tuple[Term, ...]


@dataclass(eq=False)
class Select:
    """One SELECT. `where` and `having` are conjuncts, `group` is None without GROUP BY."""

    joins: tuple[Join, ...]
    where: tuple[Term, ...]
    outputs: tuple[Output, ...] = ()
    group: tuple[Term, ...] | None = None
    having: tuple[Term, ...] = ()
    distinct: bool = False
    order: tuple[Order, ...] = ()
    limit: Term | None = None
    offset: Term | None = None
    is_aggregate: bool = False
    free: frozenset[int] = field(default_factory=frozenset)
    """The sources of outer queries that it depends on."""

    @property
    def is_simple(self) -> bool:
        """Whether it has a row for every combination of rows that its WHERE lets through."""
        return not self.is_aggregate and self.limit is None and self.offset is None


@dataclass(eq=False)
class Compound:
    """`left operator right`: UNION, UNION ALL, EXCEPT or INTERSECT."""

    operator: str
    left: Query
    right: Query
    outputs: tuple[Output, ...]
    order: tuple[tuple[int, Order], ...] = ()
    """Each with the position of the column in the rows."""
    limit: Term | None = None
    offset: Term | None = None

    @property
    def free(self) -> frozenset[int]:
        """The sources of outer queries that it depends on."""
        return self.left.free | self.right.free


Query = Select | Compound


def sources_of(item: Source | Group) -> Iterator[Source]:
    """The sources of an item of FROM, from left to right."""
    if isinstance(item, Source):
        yield item
    else:
        for join in item.joins:
            yield from sources_of(join.item)


def ids_of(joins: tuple[Join, ...]) -> frozenset[int]:
    """The sources that the joins bind."""
    return frozenset(source.id for join in joins for source in sources_of(join.item))


def refs_of(terms: Iterator[Term]) -> frozenset[int]:
    """The sources that any of the terms depends on."""
    found: frozenset[int] = frozenset()
    for term in terms:
        found |= refs(term)
    return found


def terms_of(select: Select) -> Iterator[Term]:
    """Every term of a SELECT, in whatever clause."""
    yield from select.where
    yield from (output.term for output in select.outputs)
    yield from select.group or ()
    yield from select.having
    yield from (order.term for order in select.order)
    yield from (term for term in (select.limit, select.offset) if term is not None)
    yield from _on_terms(select.joins)


def _on_terms(joins: tuple[Join, ...]) -> Iterator[Term]:
    for join in joins:
        yield from join.on
        if isinstance(join.item, Group):
            yield from join.item.where
            yield from _on_terms(join.item.joins)
