"""Binding of FROM: its items, how they are joined, and the columns that resolved names stand for.

    FROM a JOIN b ON b.a_id = a.id LEFT JOIN c ON c.b_id = b.id

    joins    a, b, LEFT c ON c.b_id = b.id
    where    b.a_id = a.id           an inner join's ON is a part of the WHERE

The joins and the names are those of the analysis (`rome.sql.analysis.scopes`, `rome.sql.analysis.resolve_names`); here
each item of FROM gets a variable for its rows, and each named column a place in them. What SQLite might take for
something else than a column of these (a string in double quotes, the hidden rowid, a column of two tables) is refused.

A group of joins in parentheses that is inner joined becomes a part of the chain around it; one that is left joined
stays a JoinGroup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from sqlglot import exp

from rome.catalog.model import Column, Table
from rome.compiled.bind.checks import allow_only
from rome.compiled.ir import (
    BoundExpr,
    ColumnExpr,
    Constant,
    ExprType,
    FromItem,
    Join,
    JoinGroup,
    Query,
    members_of,
)
from rome.fallback import UnsupportedConstruct
from rome.folding import fold_name
from rome.sql.analysis.resolve_names import Alias, NamedColumn, NameResolver
from rome.sql.analysis.scopes import JoinedItem, Scope, TableRef
from rome.sql.syntax.tokens import names
from rome.values import COLLATIONS

Conjuncts = Callable[["exp.Expr"], tuple[BoundExpr, ...]]  # quoted: sqlglot 28 has no Expr


# ── columns ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class BindContext:
    """The state that the binders of a statement's query blocks share."""

    names: NameResolver
    bind_query: Callable[[BindContext, exp.Expr], Query]
    items: dict[int, FromItem] = field(default_factory=dict)
    """The items that are bound, by the `id()` of the analysis' table reference."""
    ctes: dict[int, Query] = field(default_factory=dict)
    """The queries of WITH that are bound, by the `id()` of their nodes."""
    aliases: dict[int, dict[str, BoundExpr]] = field(default_factory=dict)
    """By the `id()` of a scope: the aliases of its result columns, once these are bound."""
    plus_marks: set[int] = field(default_factory=set)
    """The `id()` of the nodes that mark a binary plus (see `plus_mark`)."""
    item_ids: Iterator[int] = field(default_factory=count)

    def ids_in(self, scope: Scope | None) -> frozenset[int]:
        """Return the ids of the items of a scope's FROM that are bound."""
        items = [self.items.get(id(table_ref)) for table_ref in (scope.table_refs if scope is not None else ())]
        return frozenset([item.id for item in items if item is not None])

    def expression_of(self, found: NamedColumn | Alias | None, written: str) -> BoundExpr:
        """Return the expression that a resolved name stands for. Raise UnsupportedConstruct if that is not certain."""
        if isinstance(found, NamedColumn):
            return self._column(found, written)
        if found is None:
            raise UnsupportedConstruct(f"the name {written}, not resolved")
        aliased = self.aliases.get(id(found.scope), {}).get(found.name)
        if aliased is None:
            raise UnsupportedConstruct(f"a reference to the alias {found.name}")
        return aliased

    def _column(self, found: NamedColumn, written: str) -> ColumnExpr:
        item = self.items.get(id(found.table_ref))
        if item is None:
            raise UnsupportedConstruct(f"the name {written} in front of its table")
        column, is_outer = found.column, found.table_ref.nullable
        if isinstance(column, Column):
            assert item.table is not None
            return _table_column(item.id, item.table, column, is_outer)
        assert item.query is not None
        types = [member.outputs[column].expr.type for member in members_of(item.query)]
        if len({each.affinity for each in types}) > 1:
            raise UnsupportedConstruct(f"a column of several affinities: {found.table_ref.name}.{written}")
        nullable = is_outer or any(each.nullable for each in types)
        return ColumnExpr(ExprType(types[0].affinity, types[0].collation or "BINARY", nullable), item.id, column)


def _table_column(item: int, table: Table, column: Column, is_outer: bool) -> ColumnExpr:
    at = table.position.get(fold_name(column.name))
    if at is None:
        kind = "virtual generated column" if column.cid >= 0 else "hidden column"
        raise UnsupportedConstruct(f"{kind} {table.name}.{column.name}")
    if column.collation not in COLLATIONS:
        raise UnsupportedConstruct(f"collation {column.collation} of {table.name}.{column.name}")
    nullable = is_outer or not table.never_null(column)
    return ColumnExpr(ExprType(column.affinity, column.collation, nullable), item, at)


# ── FROM ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class FromClause:
    """The joins of a FROM, and the conjuncts of its inner joins' ONs."""

    joins: tuple[Join, ...]
    where: tuple[BoundExpr, ...]


class FromBinder:
    """Binds the FROM of one SELECT, and adds its items to the context."""

    def __init__(self, context: BindContext, conjuncts: Conjuncts) -> None:
        """`conjuncts` returns the bound conjuncts of a condition."""
        self.context = context
        self.conjuncts = conjuncts

    def bind(self, scope: Scope) -> FromClause:
        """Return the bound FROM of a SELECT. Raise UnsupportedConstruct."""
        if scope.merges_names:
            raise UnsupportedConstruct("NATURAL JOIN or USING")
        found = self._chain(scope.joins)
        _check_group_references(found.joins)
        return found

    def _chain(self, items: Sequence[JoinedItem]) -> FromClause:
        """Bind a chain of joins. Groups that are inner joined become a part of it."""
        joins: list[Join] = []
        where: list[BoundExpr] = []
        for each in items:
            join = Join(self._item(each.item), each.is_left)
            conjuncts = self.conjuncts(each.on) if each.on is not None else ()
            conjuncts = tuple([one for one in conjuncts if one != Constant(1)])
            if join.is_left:
                join.on = conjuncts
            else:
                where += conjuncts
            if isinstance(join.item, JoinGroup) and not join.is_left:
                joins += join.item.joins
                where += join.item.where
            else:
                joins.append(join)
        return FromClause(tuple(joins), tuple(where))

    def _item(self, item: TableRef | list[JoinedItem]) -> FromItem | JoinGroup:
        if isinstance(item, list):
            found = self._chain(item)
            if len(found.joins) == 1 and not found.where:
                return found.joins[0].item
            return JoinGroup(found.joins, found.where)
        node = item.node
        if item.table is not None:
            bound = self._table(item)
        elif isinstance(node, exp.Subquery):
            allow_only(node, "this", "alias")
            bound = self._derived(self.context.bind_query(self.context, node.this))
        else:
            bound = self._derived(self._cte(node))
        self.context.items[id(item)] = bound
        return bound

    def _table(self, item: TableRef) -> FromItem:
        assert item.table is not None
        allow_only(item.node, "this", "db", "alias", "joins")
        if "strict" in names(item.table.sql):
            raise UnsupportedConstruct(f"{item.table.name}, possibly a STRICT table")
        return FromItem(next(self.context.item_ids), item.table, item.number)

    def _derived(self, query: Query) -> FromItem:
        if query.refs:
            raise UnsupportedConstruct("a correlated derived table")
        return FromItem(next(self.context.item_ids), query=query)

    def _cte(self, node: exp.Expr) -> Query:
        """Return the query of WITH that an item of FROM refers to."""
        cte = self.context.names.scopes.cte_of(node)
        if cte is None:
            raise UnsupportedConstruct(f"{node.name or node.key} is not a table of the catalog")
        known = self.context.ctes.get(id(cte))
        if known is None:
            allow_only(cte, "this", "alias", "materialized")
            known = self.context.ctes[id(cte)] = self.context.bind_query(self.context, cte.this)
        return known


def _check_group_references(joins: Sequence[Join]) -> None:
    """Refuse an ON in a left joined group that refers to an item outside."""
    for join in joins:
        if isinstance(join.item, JoinGroup):
            inside = [*join.item.where, *(expr for inner in join.item.joins for expr in inner.on)]
            if any(expr.refs - join.item.ids for expr in inside):
                raise UnsupportedConstruct("ON in a parenthesis that refers to a table outside")
            _check_group_references(join.item.joins)
