"""Binding of function calls: scalar functions and aggregates.

SCALAR_FUNCTIONS and AGGREGATES map the parser's nodes to functions of `rome.compiled.runtime`. A function that is in
neither is refused; to support another one, write its runtime function and add a line here.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from rome.compiled.bind.checks import allow_only, described
from rome.compiled.bind.from_clause import BindContext
from rome.compiled.ir import NULL, Aggregate, BoundExpr, Call, CaseExpr, Cast, Constant
from rome.fallback import UnsupportedConstruct
from rome.sql.analysis.scopes import Scope
from rome.values import Affinity

SCALAR_FUNCTIONS: dict[type[exp.Expr], tuple[str, ...]] = {
    exp.Abs: ("absolute", "this"),
    exp.Coalesce: ("coalesce", "this", "expressions"),
    exp.Greatest: ("greatest", "this", "expressions"),
    exp.Least: ("least", "this", "expressions"),
    exp.Length: ("length_of", "this"),
    exp.Lower: ("lower", "this"),
    exp.Nullif: ("null_if", "this", "expression"),
    exp.Replace: ("replaced", "this", "expression", "replacement"),
    exp.StrPosition: ("position_in", "this", "substr"),
    exp.Substring: ("substring", "this", "start", "length"),
    exp.Typeof: ("type_of", "this"),
    exp.Upper: ("upper", "this"),
}
"""The runtime function of each node, and the names of its arguments in the syntax tree, in order."""

_COMPARING = ("greatest", "least", "null_if")
"""The functions that compare their arguments, by the collation of one of them."""

_TRIMMED = {None: "trimmed", "LEADING": "left_trimmed", "TRAILING": "right_trimmed"}

COMPILED_FUNCTIONS = frozenset({
    "abs", "avg", "coalesce", "count", "glob", "if", "ifnull", "iif", "instr", "length", "like", "lower", "ltrim",
    "max", "min", "nullif", "replace", "rtrim", "substr", "substring", "sum", "trim", "typeof", "upper",
})  # fmt: skip
"""The names in SQL of all functions that planner and compiled evaluator know, those of LIKE and GLOB among them."""

_INTEGER, _TEXT = (Affinity.INTEGER, "cast_integer"), (Affinity.TEXT, "cast_text")
_CASTS = {
    **dict.fromkeys((exp.DType.INT, exp.DType.BIGINT, exp.DType.SMALLINT), _INTEGER),
    **dict.fromkeys((exp.DType.TEXT, exp.DType.VARCHAR, exp.DType.CHAR, exp.DType.NVARCHAR), _TEXT),
    **dict.fromkeys((exp.DType.DOUBLE, exp.DType.FLOAT), (Affinity.REAL, "cast_real")),
    exp.DType.DECIMAL: (Affinity.NUMERIC, "cast_numeric"),
}
"""The affinity and the runtime function of CAST to a type."""

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
        function, *names = SCALAR_FUNCTIONS[type(node)]
        allow_only(node, *names)
        arguments: list[exp.Expr] = []
        for name in names:
            found = node.args.get(name)
            arguments += found if isinstance(found, list) else [] if found is None else [found]
        bound = self.bind_all(arguments)
        if function in _COMPARING and any(argument.type.collation not in (None, "BINARY") for argument in bound):
            raise UnsupportedConstruct(f"{described(node)} with a collation")
        return Call(function, bound)

    def _trim(self, node: exp.Trim) -> BoundExpr:
        allow_only(node, "this", "position")
        return Call(_TRIMMED[node.args.get("position")], (self.bind(node.this),))

    def _cast(self, node: exp.Cast) -> BoundExpr:
        allow_only(node, "this", "to")
        found = _CASTS.get(node.to.this)
        if found is None:
            raise UnsupportedConstruct(f"CAST to {node.to.sql(dialect='sqlite')}")
        return Cast(self.bind(node.this), *found)

    def _if(self, node: exp.If) -> BoundExpr:
        allow_only(node, "this", "true", "false")
        default = node.args.get("false")
        branch = (self.bind(node.this), self.bind(node.args["true"]))
        return CaseExpr((branch,), NULL if default is None else self.bind(default))

    # ── aggregates ────────────────────────────────────────────────────────────────────────────────────────────────

    def _filter(self, node: exp.Filter) -> BoundExpr:
        """Return an aggregate of the rows that a condition is true for: of NULL for the others."""
        allow_only(node, "this", "expression")
        condition = self.bind(node.expression.this)
        if isinstance(node.this, exp.Count):
            return self._count(node.this, condition)
        if type(node.this) not in AGGREGATES:
            raise UnsupportedConstruct(described(node))
        return self._aggregate(node.this, condition)

    def _aggregate(self, node: exp.Expr, condition: BoundExpr | None = None) -> BoundExpr:
        if node.expressions:
            raise UnsupportedConstruct(described(node))  # max() and min() of several arguments are no aggregates
        allow_only(node, "this")
        return self._aggregate_of(AGGREGATES[type(node)], node.this, condition)

    def _count(self, node: exp.Count, condition: BoundExpr | None = None) -> BoundExpr:
        allow_only(node, "this", "big_int")
        if node.this is not None and not isinstance(node.this, exp.Star):
            return self._aggregate_of("count_values", node.this, condition)
        self.found_aggregate = True
        if condition is None:
            return Aggregate("count_rows", None)
        return Aggregate("count_values", _where(condition, Constant(1)))

    def _aggregate_of(self, function: str, node: exp.Expr, condition: BoundExpr | None = None) -> BoundExpr:
        """Return an aggregate of one argument, with or without DISTINCT and FILTER."""
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
        return Aggregate(function, argument if condition is None else _where(condition, argument), is_distinct)


def _where(condition: BoundExpr, expr: BoundExpr) -> BoundExpr:
    """Return an expression that is NULL unless the condition is true."""
    return CaseExpr(((condition, expr),), NULL)
