"""Binding of function calls: scalar functions and aggregates.

SCALAR_FUNCTIONS and AGGREGATES map the parser's nodes to functions of `rome.compiled.runtime`. A function that is in
neither is refused; to support another one, write its runtime function and add a line here.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from rome.compiled.bind.checks import allow_only, described
from rome.compiled.bind.from_clause import BindContext
from rome.compiled.ir import Aggregate, BoundExpr, Call
from rome.fallback import UnsupportedConstruct
from rome.sql.analysis.scopes import Scope

SCALAR_FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.Coalesce: "coalesce",
    exp.Lower: "lower",
    exp.Upper: "upper",
}

AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Sum: "sum_of",
    exp.Avg: "average_of",
    exp.Min: "least_of",
    exp.Max: "greatest_of",
}


class FunctionBinder:
    """Binds the function calls of one SELECT; a subclass binds all other expressions."""

    context: BindContext
    scope: Scope | None
    found_aggregate: bool
    """True once an aggregate was bound."""

    def bind(self, node: exp.Expr) -> BoundExpr:
        """Return the bound expression of a node. Raise UnsupportedConstruct."""
        raise NotImplementedError

    def bind_all(self, nodes: Sequence[exp.Expr]) -> tuple[BoundExpr, ...]:
        """Return the bound expressions of several nodes."""
        return tuple([self.bind(node) for node in nodes])

    def _scalar_function(self, node: exp.Expr) -> BoundExpr:
        allow_only(node, "this", "expressions")
        return Call(SCALAR_FUNCTIONS[type(node)], self.bind_all([node.this, *node.expressions]))

    def _aggregate(self, node: exp.Expr) -> BoundExpr:
        if node.expressions:
            raise UnsupportedConstruct(described(node))  # max() and min() of several arguments are no aggregates
        allow_only(node, "this")
        return self._aggregate_of(AGGREGATES[type(node)], node.this)

    def _count(self, node: exp.Count) -> BoundExpr:
        allow_only(node, "this", "big_int")
        if node.this is None or isinstance(node.this, exp.Star):
            self.found_aggregate = True
            return Aggregate("count_rows", None)
        return self._aggregate_of("count_values", node.this)

    def _aggregate_of(self, function: str, node: exp.Expr) -> BoundExpr:
        """Return an aggregate of one argument, with or without DISTINCT."""
        is_distinct = isinstance(node, exp.Distinct)
        if is_distinct:
            allow_only(node, "expressions")
            if len(node.expressions) != 1:
                raise UnsupportedConstruct("an aggregate of several columns")
            (node,) = node.expressions
        argument = self.bind(node)
        own = self.context.ids_in(self.scope)
        if (argument.refs and not argument.refs & own) or Aggregate in argument.kinds:
            raise UnsupportedConstruct("an aggregate of an outer query")
        if (is_distinct or function in ("least_of", "greatest_of")) and argument.type.collation not in (None, "BINARY"):
            raise UnsupportedConstruct("an aggregate with a collation")
        self.found_aggregate = True
        return Aggregate(function, argument, is_distinct)
