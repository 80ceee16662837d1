"""Binding of expressions: from a node of the syntax tree to a bound expression.

    CASE WHEN a.x BETWEEN 1 AND ?1 THEN 'near' END

    CaseExpr(
        branches=((And((Compare(">=", ColumnExpr(a.x), Constant(1)), Compare("<=", ColumnExpr(a.x), Parameter(0)))),
                   Constant("near")),),
        default=NULL,
    )

Each class of nodes has a method, listed in _BINDERS. A node that is not listed is refused, and so is every construct
whose meaning in SQLite is not certain (`rome.compiled.bind.checks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from rome.compiled.bind.checks import (
    allow_only,
    check_operands,
    compare_rows,
    described,
    number_literal,
    placeholder_of,
    plus_mark,
)
from rome.compiled.bind.from_clause import BindContext
from rome.compiled.bind.functions import AGGREGATES, SCALAR_FUNCTIONS, FunctionBinder
from rome.compiled.ir import (
    NULL,
    And,
    Arithmetic,
    BoundExpr,
    CaseExpr,
    Compare,
    Constant,
    Exists,
    InList,
    InQuery,
    InRows,
    Like,
    Not,
    NullSafeEqual,
    Or,
    Parameter,
    Query,
    ScalarSubquery,
    members_of,
)
from rome.fallback import UnsupportedConstruct
from rome.sql.analysis.scopes import Scope
from rome.values import comparison_affinity

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "add",
    exp.Sub: "subtract",
    exp.Mul: "multiply",
    exp.Div: "divide",
    exp.Mod: "remainder",
    exp.BitwiseAnd: "bits_in_both",
    exp.BitwiseOr: "bits_in_either",
    exp.BitwiseLeftShift: "shift_left",
    exp.BitwiseRightShift: "shift_right",
    exp.DPipe: "concat",
}


class ExpressionBinder(FunctionBinder):
    """Binds the expressions of one SELECT; without a scope, those that have no names."""

    def __init__(self, context: BindContext, scope: Scope | None) -> None:
        self.context = context
        self.scope = scope
        self.found_aggregate = False

    def bind(self, node: exp.Expr) -> BoundExpr:
        """Return the bound expression of a node. Raise UnsupportedConstruct."""
        method = _BINDERS.get(type(node))
        if method is None:
            raise UnsupportedConstruct(described(node))
        return method(self, node)

    def conjuncts(self, node: exp.Expr) -> tuple[BoundExpr, ...]:
        """Return the expressions that must all be true for a condition to be true."""
        expr = self.bind(node)
        return expr.operands if isinstance(expr, And) else (expr,)

    # ── atoms ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _parenthesis(self, node: exp.Paren | exp.Subquery) -> BoundExpr:
        allow_only(node, "this")
        return self.bind(node.this)

    def _column(self, node: exp.Column) -> BoundExpr:
        found = self.context.names.find(self.scope, node) if self.scope is not None else None
        return self.context.expression_of(found, node.sql(dialect="sqlite") if found is None else node.name)

    def _literal(self, node: exp.Literal) -> BoundExpr:
        return Constant(str(node.this)) if node.is_string else number_literal(node)

    def _null(self, _node: exp.Null) -> BoundExpr:
        return NULL

    def _boolean(self, node: exp.Boolean) -> BoundExpr:
        return Constant(int(node.this))

    def _blob(self, node: exp.HexString) -> BoundExpr:
        return Constant(bytes.fromhex(node.this))

    def _placeholder(self, node: exp.Placeholder) -> BoundExpr:
        return Parameter(placeholder_of(node))

    # ── arithmetic ────────────────────────────────────────────────────────────────────────────────────────────────

    def _negative(self, node: exp.Neg) -> BoundExpr:
        check_operands(node, node.this)
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return number_literal(node.this, negative=True)
        return Arithmetic("subtract", Constant(0), self.bind(node.this))

    def _bitwise_not(self, node: exp.BitwiseNot) -> BoundExpr:
        if id(node) not in self.context.plus_marks:
            raise UnsupportedConstruct("unary plus, ~ or a hexadecimal number")
        return self.bind(node.this)

    def _arithmetic(self, node: exp.Expr) -> BoundExpr:
        allow_only(node, "this", "expression", "typed", "safe")
        if isinstance(node, exp.Add):
            self.context.plus_marks.add(id(plus_mark(node.expression)))
        check_operands(node, self._without_mark(node.this), self._without_mark(node.expression))
        return Arithmetic(_ARITHMETIC[type(node)], self.bind(node.this), self.bind(node.expression))

    def _without_mark(self, node: exp.Expr) -> exp.Expr:
        is_mark = isinstance(node, exp.BitwiseNot) and id(node) in self.context.plus_marks
        return node.this if is_mark else node

    # ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _comparison(self, node: exp.Expr) -> BoundExpr:
        allow_only(node, "this", "expression")
        check_operands(node, node.this, node.expression)
        op = _COMPARISONS[type(node)]
        left, right = node.this.unnest(), node.expression.unnest()
        if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
            return compare_rows(op, self.bind_all(left.expressions), self.bind_all(right.expressions))
        return Compare(op, self.bind(left), self.bind(right))

    def _is(self, node: exp.Expr) -> BoundExpr:
        allow_only(node, "this", "expression")
        check_operands(node, node.this, node.expression)
        if isinstance(node.expression, exp.Boolean):
            raise UnsupportedConstruct("IS TRUE or IS FALSE")
        same = NullSafeEqual(self.bind(node.this), self.bind(node.expression))
        return Not(same) if isinstance(node, exp.NullSafeNEQ) else same

    def _not(self, node: exp.Not) -> BoundExpr:
        check_operands(node, node.this)
        return Not(self.bind(node.this))

    def _and_or(self, node: exp.Connector) -> BoundExpr:
        allow_only(node, "this", "expression")
        check_operands(node, node.this, node.expression)
        kind = And if isinstance(node, exp.And) else Or
        operands: list[BoundExpr] = []
        for expr in (self.bind(node.this), self.bind(node.expression)):
            operands += expr.operands if isinstance(expr, kind) else (expr,)
        return kind(tuple(operands))

    def _between(self, node: exp.Between) -> BoundExpr:
        allow_only(node, "this", "low", "high")
        low, high = node.args["low"], node.args["high"]
        for operand in (node.this, low, high):
            check_operands(node, operand)
        expr = self.bind(node.this)
        return And((Compare(">=", expr, self.bind(low)), Compare("<=", expr, self.bind(high))))

    def _like(self, node: exp.Like, escape: BoundExpr | None = None) -> BoundExpr:
        allow_only(node, "this", "expression", "negate")
        check_operands(node, node.this, node.expression)
        like = Like(self.bind(node.this), self.bind(node.expression), escape)
        return Not(like) if node.args.get("negate") else like

    def _escape(self, node: exp.Escape) -> BoundExpr:
        allow_only(node, "this", "expression")
        like = node.this
        is_negated = isinstance(like, exp.Not)
        if is_negated:
            like = like.this
        if not isinstance(like, exp.Like) or not isinstance(node.expression, (exp.Literal, exp.Placeholder)):
            raise UnsupportedConstruct("ESCAPE")
        bound = self._like(like, self.bind(node.expression))
        return Not(bound) if is_negated else bound

    def _case(self, node: exp.Case) -> BoundExpr:
        allow_only(node, "this", "ifs", "default")
        subject = self.bind(node.this) if node.this is not None else None
        branches = []
        for branch in node.args["ifs"]:
            condition = self.bind(branch.this)
            if subject is not None:
                condition = Compare("=", subject, condition)
            branches.append((condition, self.bind(branch.args["true"])))
        default = node.args.get("default")
        return CaseExpr(tuple(branches), NULL if default is None else self.bind(default))

    # ── IN and subqueries ─────────────────────────────────────────────────────────────────────────────────────────

    def _in(self, node: exp.In) -> BoundExpr:
        allow_only(node, "this", "expressions", "query")
        check_operands(node, node.this)
        operand = node.this.unnest()
        if isinstance(operand, exp.Tuple):
            return self._in_rows(self.bind_all(operand.expressions), node)
        left = self.bind(operand)
        query = node.args.get("query")
        if query is not None:
            return self._in_query(left, query)
        members = node.expressions
        if len(members) == 1 and isinstance(members[0], exp.Placeholder):
            return InList(left, placeholder_of(members[0]))
        if not members:
            return InList(left, None)
        raise UnsupportedConstruct("IN of expressions")

    def _in_query(self, left: BoundExpr, node: exp.Expr) -> BoundExpr:
        allow_only(node, "this")
        query = self._query_of_one_column(node.this)
        right = query.outputs[0].expr
        if left.type.collation is None and right.type.collation not in (None, "BINARY"):
            raise UnsupportedConstruct("IN of a query with a collation of its own")
        *_, last = members_of(query)  # SQLite takes the affinity of the last member
        own, of_last = left.type.affinity, last.outputs[0].expr.type.affinity
        if comparison_affinity(own, right.type.affinity) != comparison_affinity(own, of_last):
            raise UnsupportedConstruct("IN of a UNION of columns with different affinities")
        return InQuery(left, query)

    def _in_rows(self, left: tuple[BoundExpr, ...], node: exp.In) -> BoundExpr:
        """Return IN of row values in VALUES."""
        members = node.expressions
        if len(members) != 1 or not isinstance(members[0], exp.Values):
            raise UnsupportedConstruct("IN of row values without VALUES")
        allow_only(members[0], "expressions")
        rows = tuple(self.bind_all(row.expressions) for row in members[0].expressions)
        if not all(isinstance(expr, (Constant, Parameter)) for row in rows for expr in row):
            raise UnsupportedConstruct("VALUES of expressions")
        if any(len(row) != len(left) for row in rows):
            raise UnsupportedConstruct("VALUES with another number of columns")
        return InRows(left, rows)

    def _exists(self, node: exp.Exists) -> BoundExpr:
        allow_only(node, "this")
        return Exists(self._query(node.this.unnest()))

    def _scalar_subquery(self, node: exp.Expr) -> BoundExpr:
        return ScalarSubquery(self._query_of_one_column(node))

    def _query(self, node: exp.Expr) -> Query:
        return self.context.bind_query(self.context, node)

    def _query_of_one_column(self, node: exp.Expr) -> Query:
        query = self._query(node)
        if len(query.outputs) != 1:
            raise UnsupportedConstruct("a subquery of several columns")
        return query


_BINDERS: dict[type[exp.Expr], Callable[[ExpressionBinder, Any], BoundExpr]] = {
    **dict.fromkeys(_COMPARISONS, ExpressionBinder._comparison),
    **dict.fromkeys(_ARITHMETIC, ExpressionBinder._arithmetic),
    **dict.fromkeys(SCALAR_FUNCTIONS, ExpressionBinder._scalar_function),
    exp.Paren: ExpressionBinder._parenthesis,
    exp.Subquery: ExpressionBinder._parenthesis,
    exp.Column: ExpressionBinder._column,
    exp.Literal: ExpressionBinder._literal,
    exp.Null: ExpressionBinder._null,
    exp.Boolean: ExpressionBinder._boolean,
    exp.HexString: ExpressionBinder._blob,
    exp.Placeholder: ExpressionBinder._placeholder,
    exp.Neg: ExpressionBinder._negative,
    exp.BitwiseNot: ExpressionBinder._bitwise_not,
    exp.Is: ExpressionBinder._is,
    exp.NullSafeEQ: ExpressionBinder._is,
    exp.NullSafeNEQ: ExpressionBinder._is,
    exp.Not: ExpressionBinder._not,
    exp.And: ExpressionBinder._and_or,
    exp.Or: ExpressionBinder._and_or,
    exp.Between: ExpressionBinder._between,
    exp.Like: ExpressionBinder._like,
    exp.Escape: ExpressionBinder._escape,
    exp.Case: ExpressionBinder._case,
    exp.In: ExpressionBinder._in,
    exp.Exists: ExpressionBinder._exists,
    exp.Select: ExpressionBinder._scalar_subquery,
    exp.Union: ExpressionBinder._scalar_subquery,
    exp.If: ExpressionBinder._if,
    exp.Cast: ExpressionBinder._cast,
    exp.Trim: ExpressionBinder._trim,
    **dict.fromkeys(AGGREGATES, ExpressionBinder._aggregate),
    exp.Filter: ExpressionBinder._filter,
    exp.Count: ExpressionBinder._count,
}
