"""Binding of query blocks: SELECT, compound SELECTs and WITH.

    SELECT name AS n, count(*) FROM t WHERE x = ?1 GROUP BY name HAVING count(*) > 1 ORDER BY 2 DESC, n

    where     t.x = ?1                          in conjuncts
    outputs   n: t.name, count(*)
    group     t.name
    having    count(*) > 1
    order     count(*) DESC, t.name             positions and aliases are replaced by the expressions

**Bare columns.** A column of an aggregate query that is neither a group key nor inside of an aggregate has the value of
one of the group's rows; which one is SQLite's choice. It is certain where the group keys contain the whole row key of
the column's table (a functional dependency): all rows of the group have the same row of that table then, and the column
is added to the group keys. Any other bare column is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from rome.compiled.bind.checks import allow_only
from rome.compiled.bind.expressions import ExpressionBinder
from rome.compiled.bind.from_clause import BindContext, FromBinder
from rome.compiled.ir import (
    NO_IDS,
    Aggregate,
    BoundExpr,
    ColumnExpr,
    CompoundSelect,
    Constant,
    FromItem,
    OrderTerm,
    OutputColumn,
    Parameter,
    Query,
    Select,
    ids_of,
    items_of,
    rewrite,
)
from rome.fallback import UnsupportedConstruct
from rome.folding import fold_name
from rome.sql.analysis.resolve_names import position_of

_WITH = ("with_", "with")
_SELECT = (
    *("expressions", "from_", "from", "joins", "where", "group", "having", "order", "limit", "offset", "distinct"),
    *_WITH,
)
_MOST_MEMBERS = 20
"""The number of members of a compound SELECT that are compiled at most."""


def bind_query(context: BindContext, node: exp.Expr) -> Query:
    """Return the bound query of a syntax tree. Raise UnsupportedConstruct."""
    clause = node.args.get("with_") or node.args.get("with")
    if clause and clause.args.get("recursive"):
        raise UnsupportedConstruct("WITH RECURSIVE")
    if isinstance(node, exp.Select):
        return _SelectBinder(context, node).bind()
    if isinstance(node, exp.Union):
        return _bind_compound(context, node)
    if isinstance(node, exp.Subquery) and not node.args.get("alias"):
        raise UnsupportedConstruct("a query in parentheses")
    raise UnsupportedConstruct(f"{node.key} as a query")


# ── SELECT ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _SelectBinder:
    """Binds one SELECT, clause by clause, in the order in which names become visible."""

    def __init__(self, context: BindContext, node: exp.Select) -> None:
        allow_only(node, *_SELECT)
        self.context = context
        self.node = node
        self.scope = context.names.scopes.of_select(node)
        self.expressions = ExpressionBinder(context, self.scope)

    def bind(self) -> Select:
        node = self.node
        clause = FromBinder(self.context, self.expressions.conjuncts).bind(self.scope)
        where = clause.where
        if node.args.get("where"):
            where += self.expressions.conjuncts(node.args["where"].this)
        if self.expressions.found_aggregate:
            raise UnsupportedConstruct("an aggregate in WHERE or ON")
        outputs = self._outputs()
        group = self._group(outputs)
        having = self.expressions.conjuncts(node.args["having"].this) if node.args.get("having") else ()
        order = self._order(outputs)
        select = Select(
            joins=clause.joins,
            where=where,
            outputs=outputs,
            group=group,
            having=having,
            distinct=self._distinct(outputs),
            order=order,
            limit=_limit_or_offset(self.expressions, node, "limit"),
            offset=_limit_or_offset(self.expressions, node, "offset"),
            is_aggregate=self.expressions.found_aggregate or group is not None,
        )
        if having and not select.is_aggregate:
            raise UnsupportedConstruct("HAVING without GROUP BY")
        select.refs = NO_IDS.union(*[expr.refs for expr in select.expressions()]) - ids_of(select.joins)
        if select.is_aggregate:
            _add_determined_columns(select)
        return select

    def _outputs(self) -> tuple[OutputColumn, ...]:
        """Return the result's columns, and make their aliases known."""
        result = self.context.names.result_of(self.scope)
        if not result:
            raise UnsupportedConstruct("a SELECT of columns that are not known")
        found: list[OutputColumn] = []
        aliases: dict[str, BoundExpr] = {}
        for column in result:
            if column.node is None:
                expr = self.context.expression_of(column.column, column.name)
            else:
                expr = self.expressions.bind(column.node)
            found.append(OutputColumn(column.name or None, expr))
            if column.is_alias:
                aliases.setdefault(column.name, expr)
        self.context.aliases[id(self.scope)] = aliases
        return tuple(found)

    def _distinct(self, outputs: Sequence[OutputColumn]) -> bool:
        distinct = self.node.args.get("distinct")
        if not distinct:
            return False
        allow_only(distinct)
        _check_distinct(outputs)
        return True

    def _group(self, outputs: Sequence[OutputColumn]) -> tuple[BoundExpr, ...] | None:
        group = self.node.args.get("group")
        if not group:
            return None
        allow_only(group, "expressions")
        found = []
        for node in group.expressions:
            at = position_of(node.unnest())
            expr = self.expressions.bind(node) if at is None else _output_at(outputs, at).expr
            if expr.type.collation not in (None, "BINARY"):
                raise UnsupportedConstruct("GROUP BY with a collation")
            found.append(expr)
        return tuple(found)

    def _order(self, outputs: Sequence[OutputColumn]) -> tuple[OrderTerm, ...]:
        found = []
        for node in _order_nodes(self.node):
            place = self.context.names.order_place(self.scope, node.this)
            expr = outputs[place].expr if place is not None else self.expressions.bind(node.this)
            if place is None and isinstance(expr, (Constant, Parameter)):
                continue
            found.append(_order_term(node, expr))
        return tuple(found)


# ── compound SELECTs ──────────────────────────────────────────────────────────────────────────────────────────────────


def _bind_compound(context: BindContext, node: exp.Expr) -> CompoundSelect:
    allow_only(node, "this", "expression", "distinct", "order", "limit", "offset", *_WITH)
    if isinstance(node.this, (exp.Subquery, exp.Paren)) or isinstance(node.expression, (exp.Subquery, exp.Paren)):
        raise UnsupportedConstruct("a query in parentheses")
    if _has_many_members(node):
        raise UnsupportedConstruct("a compound SELECT of many members")
    left = bind_query(context, node.this)
    right = bind_query(context, node.expression)
    for member in (left, right):
        if member.order or member.limit is not None or member.offset is not None:
            raise UnsupportedConstruct("ORDER BY or LIMIT inside a compound SELECT")
    for member in (left, right):
        _check_distinct(member.outputs)
    if len(left.outputs) != len(right.outputs):
        raise UnsupportedConstruct("a compound SELECT with different numbers of columns")
    expressions = ExpressionBinder(context, None)
    return CompoundSelect(
        not node.args.get("distinct"),
        left,
        right,
        left.outputs,
        limit=_limit_or_offset(expressions, node, "limit"),
        offset=_limit_or_offset(expressions, node, "offset"),
        order=tuple([_compound_order(one, left.outputs) for one in _order_nodes(node)]),
        refs=left.refs | right.refs,
    )


def _has_many_members(node: exp.Expr) -> bool:
    """Return True if a compound SELECT has so many members that compiling it costs more than SQLite ever does."""
    for _ in range(_MOST_MEMBERS):
        if not isinstance(node, exp.Union):
            return False
        node = node.this
    return True


def _compound_order(node: exp.Ordered, outputs: Sequence[OutputColumn]) -> tuple[int, OrderTerm]:
    """Return the position of a column of the result, and the term of ORDER BY that it is."""
    at = position_of(node.this.unnest())
    if at is None:
        name = fold_name(node.this.name) if isinstance(node.this, exp.Column) and not node.this.table else None
        named = [number for number, output in enumerate(outputs, 1) if name is not None and output.name == name]
        if len(named) != 1:
            raise UnsupportedConstruct("ORDER BY of a compound SELECT by an expression")
        (at,) = named
    expr = _output_at(outputs, at).expr
    # Any expression that may be NULL and has no collation: the left SELECT's column says nothing of the right one's.
    return at - 1, _order_term(node, expr if isinstance(expr, Parameter) else Parameter(-1))


# ── ORDER BY, LIMIT, DISTINCT ─────────────────────────────────────────────────────────────────────────────────────────


def _order_nodes(node: exp.Expr) -> list[exp.Ordered]:
    """Return the nodes of the terms of a query's ORDER BY."""
    order = node.args.get("order")
    if not order:
        return []
    allow_only(order, "expressions")
    found: list[exp.Ordered] = order.expressions
    for one in found:
        allow_only(one, "this", "desc", "nulls_first")
    return found


def _order_term(node: exp.Ordered, expr: BoundExpr) -> OrderTerm:
    return OrderTerm(expr, bool(node.args.get("desc")), bool(node.args.get("nulls_first")))


def _output_at(outputs: Sequence[OutputColumn], at: int) -> OutputColumn:
    """Return the result column at a position that counts from 1."""
    if not 1 <= at <= len(outputs):
        raise UnsupportedConstruct("an ORDER BY or GROUP BY position out of range")
    return outputs[at - 1]


def _limit_or_offset(expressions: ExpressionBinder, node: exp.Expr, clause: str) -> BoundExpr | None:
    """Return the expression of LIMIT or OFFSET; None without the clause."""
    found = node.args.get(clause)
    if not found:
        return None
    allow_only(found, "expression")
    expr = expressions.bind(found.expression)
    if expr.refs:
        raise UnsupportedConstruct(f"{clause.upper()} that depends on a row")
    return expr


def _check_distinct(outputs: Sequence[OutputColumn]) -> None:
    """Refuse to remove duplicates by another collation than BINARY: which of two equal rows stays is not defined."""
    for output in outputs:
        if output.expr.type.collation not in (None, "BINARY"):
            raise UnsupportedConstruct("DISTINCT or UNION with a collation")


# ── bare columns ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _add_determined_columns(select: Select) -> None:
    """Add to the group keys every bare column that is determined by them. Raise UnsupportedConstruct for any other."""
    keys = select.group or ()
    items = {item.id: item for item in items_of(select.joins)}
    added: dict[ColumnExpr, None] = {}
    for expr in select.result_expressions():
        for column in _bare_columns(expr, keys, ids_of(select.joins)):
            if not _is_determined(items[column.item], keys):
                raise UnsupportedConstruct("a bare column in an aggregate query")
            added[column] = None
    if added:
        select.group = (*keys, *added)


def _bare_columns(expr: BoundExpr, keys: tuple[BoundExpr, ...], own: frozenset[int]) -> list[ColumnExpr]:
    found: list[ColumnExpr] = []

    def look(part: BoundExpr) -> BoundExpr | None:
        if part in keys or isinstance(part, Aggregate):
            return part
        if any(isinstance(each, (Select, CompoundSelect)) and each.refs & own for each in part.parts):
            raise UnsupportedConstruct("a correlated subquery in an aggregate query")
        if isinstance(part, ColumnExpr) and part.item in own:
            found.append(part)
        return None

    rewrite(expr, look)
    return found


def _is_determined(item: FromItem, keys: tuple[BoundExpr, ...]) -> bool:
    """Return True if the group keys contain the row key of an item's table."""
    table = item.table
    if table is None or not table.key:
        return False
    positions = {key.at for key in keys if isinstance(key, ColumnExpr) and key.item == item.id}
    return positions.issuperset([table.position[fold_name(name)] for name in table.key])
