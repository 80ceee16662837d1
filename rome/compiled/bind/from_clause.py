"""Binding of FROM: its items, how they are joined, and the names that they bring into scope.

    FROM a JOIN b ON b.a_id = a.id LEFT JOIN c ON c.b_id = b.id

    joins    a, b, LEFT c ON c.b_id = b.id
    where    b.a_id = a.id           an inner join's ON is a part of the WHERE

A join in a parenthesis that is inner joined becomes a part of the chain around it; one that is left joined stays a
JoinGroup. RIGHT and FULL joins, NATURAL and USING are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from rome.catalog.model import Table
from rome.compiled.bind.checks import allow_only
from rome.compiled.bind.expressions import ExpressionBinder
from rome.compiled.bind.scope import BindContext, BindScope
from rome.compiled.ir import (
    BoundExpr,
    ColumnExpr,
    CompoundSelect,
    Constant,
    ExprType,
    FromItem,
    Join,
    JoinGroup,
    Query,
    Select,
    ids_of,
)
from rome.fallback import UnsupportedConstruct
from rome.sql.analysis.scopes import table_ref_number
from rome.sql.syntax.tokens import names
from rome.values import COLLATIONS


@dataclass(frozen=True)
class FromClause:
    """The joins of a FROM, and the conjuncts of its inner joins' ONs."""

    joins: tuple[Join, ...] = ()
    where: tuple[BoundExpr, ...] = ()


class FromBinder:
    """Binds the FROM of one SELECT, and adds its items to the scope."""

    def __init__(self, context: BindContext, scope: BindScope, expressions: ExpressionBinder) -> None:
        self.context = context
        self.scope = scope
        self.expressions = expressions

    def bind(self, select: exp.Select) -> FromClause:
        """Return the bound FROM of a SELECT. Raise UnsupportedConstruct."""
        clause = select.args.get("from_") or select.args.get("from")
        if clause is None:
            return FromClause()
        allow_only(clause, "this")
        if clause.this.args.get("joins"):
            raise UnsupportedConstruct("joins in an odd place")
        found = self._chain(clause.this, select.args.get("joins") or ())
        _check_on_references(found.joins)
        return found

    def _chain(self, first: exp.Expr, nodes: Sequence[exp.Join]) -> FromClause:
        """Bind a chain of joins. Groups that are inner joined become a part of it."""
        joins: list[Join] = []
        where: list[BoundExpr] = []
        _append(Join(self._item(first)), joins, where)
        for node in nodes:
            allow_only(node, "this", "side", "kind", "on")
            side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
            if side not in ("", "LEFT") or kind not in ("", "INNER", "CROSS", "OUTER"):
                raise UnsupportedConstruct(f"{side} {kind} JOIN".replace("  ", " "))
            join = Join(self._item(node.this), is_left=bool(side))
            if join.is_left:
                _make_nullable(join.item)
            on = node.args.get("on")
            conjuncts = self.expressions.conjuncts(on) if on is not None else ()
            conjuncts = tuple([one for one in conjuncts if one != Constant(1)])
            if join.is_left:
                join.on = conjuncts
            else:
                where += conjuncts
            _append(join, joins, where)
        return FromClause(tuple(joins), tuple(where))

    # ── items ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _item(self, node: exp.Expr) -> FromItem | JoinGroup:
        if isinstance(node, exp.Table):
            return self._table_ref(node)
        if isinstance(node, exp.Subquery):
            inner = node.this
            if isinstance(inner, (exp.Table, exp.Subquery)):
                allow_only(node, "this")
                found = self._chain(_without_joins(inner), inner.args.get("joins") or ())
                if len(found.joins) == 1 and not found.where:
                    return found.joins[0].item
                return JoinGroup(found.joins, found.where)
            allow_only(node, "this", "alias")
            return self._derived_table(node)
        raise UnsupportedConstruct(f"{node.key} in FROM")

    def _table_ref(self, node: exp.Table) -> FromItem:
        """Bind the name of a table, or of a query of WITH."""
        allow_only(node, "this", "db", "alias", "joins")
        alias = node.args.get("alias")
        if alias is not None:
            allow_only(alias, "this")
        cte = None if node.db else self.context.ctes.get(node.name.lower())
        if cte is not None:
            return self._query_item(node.alias_or_name, cte.query, cte.names)
        table_ref = table_ref_number(node)
        table = self.context.catalog.table(node.name) if isinstance(node.this, exp.Identifier) else None
        if table is None or table_ref is None:
            raise UnsupportedConstruct(f"{node.name} is no table of the catalog")
        if "strict" in names(table.sql):
            raise UnsupportedConstruct(f"{node.name}, perhaps a STRICT table")
        number = next(self.context.item_ids)
        item = FromItem(number, node.alias_or_name.lower(), _columns_of(number, table), table, table_ref)
        self.scope.items.append(item)
        return item

    def _derived_table(self, node: exp.Subquery) -> FromItem:
        alias = node.args.get("alias")
        if alias is not None:
            allow_only(alias, "this")
        query = self.context.bind_query(self.context, node.this, self.scope.outer)
        return self._query_item(node.alias, query, None)

    def _query_item(self, name: str, query: Query, columns: Sequence[str] | None) -> FromItem:
        """Make an item of a query's rows; `columns` are names that replace the query's own."""
        if query.refs:
            raise UnsupportedConstruct("a derived table that depends on an outer query")
        number = next(self.context.item_ids)
        named = [output.name for output in query.outputs] if columns is None else list(columns)
        if len(named) != len(query.outputs):
            raise UnsupportedConstruct("WITH of another number of columns")
        bound = tuple([(own, _derived_column(number, at, query)) for at, own in enumerate(named)])
        item = FromItem(number, name.lower(), bound, query=query)
        self.scope.items.append(item)
        return item


def _append(join: Join, joins: list[Join], where: list[BoundExpr]) -> None:
    if isinstance(join.item, JoinGroup) and not join.is_left:
        joins += join.item.joins
        where += join.item.where
    else:
        joins.append(join)


def _check_on_references(joins: Sequence[Join]) -> None:
    """Refuse an ON of a LEFT JOIN that refers to a later item, and one in a group that refers to an item outside."""
    for at, join in enumerate(joins):
        later = ids_of(joins[at + 1 :])
        if any(expr.refs & later for expr in join.on):
            raise UnsupportedConstruct("ON that speaks of a later table")
        if isinstance(join.item, JoinGroup):
            inside = [*join.item.where, *(expr for inner in join.item.joins for expr in inner.on)]
            if any(expr.refs - join.item.ids for expr in inside):
                raise UnsupportedConstruct("ON in a parenthesis that speaks of a table outside")
            _check_on_references(join.item.joins)


def _without_joins(node: exp.Expr) -> exp.Expr:
    """Return a table or subquery in a parenthesis without the joins that follow it there."""
    if isinstance(node, exp.Subquery) and node.args.get("joins"):
        bare = exp.Subquery(**{name: value for name, value in node.args.items() if name != "joins"})
        bare.meta.update(node.meta)
        return bare
    return node


def _make_nullable(joined: FromItem | JoinGroup) -> None:
    """Make all columns of the inner side of a LEFT JOIN nullable."""
    for item in joined.items:
        item.columns = tuple([(name, _nullable(column)) for name, column in item.columns])


def _nullable(column: ColumnExpr | str) -> ColumnExpr | str:
    return column if isinstance(column, str) else replace(column, type=replace(column.type, nullable=True))


def _columns_of(item: int, table: Table) -> tuple[tuple[str, ColumnExpr | str], ...]:
    """Return the columns of a table with their names; in place of a column that is not supported, the reason."""
    key = {name.lower() for name in table.key}
    found: list[tuple[str, ColumnExpr | str]] = []
    for column in table.columns:
        name = column.name.lower()
        if name not in table.position:
            found.append((name, "virtual generated column"))
        elif column.collation not in COLLATIONS:
            found.append((name, f"collation {column.collation} of"))
        else:
            nullable = not (column.not_null or name in key)
            found.append(
                (name, ColumnExpr(ExprType(column.affinity, column.collation, nullable), item, table.position[name]))
            )
    return tuple(found)


def _derived_column(item: int, at: int, query: Query) -> ColumnExpr | str:
    """Return a column of a derived table; if it is not supported, the reason."""
    types = [member.outputs[at].expr.type for member in _members(query)]
    if len({each.affinity for each in types}) > 1:
        return "a column of several affinities:"
    nullable = any(each.nullable for each in types)
    return ColumnExpr(ExprType(types[0].affinity, types[0].collation or "BINARY", nullable), item, at)


def _members(query: Query) -> list[Select]:
    """Return the SELECTs of a query."""
    return [*_members(query.left), *_members(query.right)] if isinstance(query, CompoundSelect) else [query]
