"""Binding of function calls: scalar functions and aggregates.

SCALAR_FUNCTIONS maps the parser's nodes to functions of `rome.compiled.runtime`. A function that is not in it, or in
UNPARSED_FUNCTIONS, is refused; to support another one, write its runtime function and add a line here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from rome.compiled.bind.checks import allow_only, check_collations, collates_inside, described
from rome.compiled.bind.from_clause import BindContext
from rome.compiled.ir import Aggregate, BoundExpr, Call, Constant
from rome.fallback import UnsupportedConstruct
from rome.folding import fold_name
from rome.sql.analysis.scopes import Scope


@dataclass(frozen=True)
class ScalarFunction:
    """A scalar function: the name of its runtime function, and the node's arguments in the order of that function's."""

    runtime: str
    arguments: tuple[str, ...]
    least: int = 1
    """The least number of arguments."""
    compares: bool = False
    """True if it compares its arguments, by their collation."""
    never_null: bool = False


SCALAR_FUNCTIONS: dict[type[exp.Expr], ScalarFunction] = {
    exp.Abs: ScalarFunction("absolute", ("this",)),
    exp.Coalesce: ScalarFunction("coalesce", ("this", "expressions"), 2),
    exp.Greatest: ScalarFunction("greatest", ("this", "expressions"), 2, compares=True),
    exp.Hex: ScalarFunction("hex_of", ("this",), never_null=True),
    exp.Least: ScalarFunction("least", ("this", "expressions"), 2, compares=True),
    exp.Length: ScalarFunction("length", ("this",)),
    exp.Lower: ScalarFunction("lower", ("this",)),
    exp.Max: ScalarFunction("greatest", ("this", "expressions"), 2, compares=True),
    exp.Min: ScalarFunction("least", ("this", "expressions"), 2, compares=True),
    exp.Nullif: ScalarFunction("nullif", ("this", "expression"), 2, compares=True),
    exp.Replace: ScalarFunction("replace", ("this", "expression", "replacement"), 3),
    exp.Round: ScalarFunction("rounded", ("this", "decimals")),
    exp.StrPosition: ScalarFunction("instr", ("this", "substr"), 2),
    exp.Substring: ScalarFunction("substr", ("this", "start", "length"), 2),
    exp.Typeof: ScalarFunction("typeof", ("this",), never_null=True),
    exp.Upper: ScalarFunction("upper", ("this",)),
}

UNPARSED_FUNCTIONS: dict[str, ScalarFunction] = {
    "likely": ScalarFunction("unchanged", ("expressions",)),
    "typeof": ScalarFunction("typeof", ("expressions",), never_null=True),
    "unlikely": ScalarFunction("unchanged", ("expressions",)),
}
"""Functions that the parser has no node for, by their names in lower case."""

_TRIMS = {"": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}
"""The runtime function for each position of the parser's Trim."""

_AGGREGATES: dict[type[exp.Expr], str] = {
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

    # ── scalar functions ──────────────────────────────────────────────────────────────────────────────────────────

    def _scalar_function(self, node: exp.Expr) -> BoundExpr:
        return self._call(node, SCALAR_FUNCTIONS[type(node)])

    def _call(self, node: exp.Expr, function: ScalarFunction, *others: str) -> BoundExpr:
        """Return a call; `others` are the node's arguments that are not the function's."""
        allow_only(node, *function.arguments, *others)
        nodes: list[exp.Expr] = []
        for name in function.arguments:
            part = node.args.get(name)
            nodes += part if isinstance(part, list) else [part] if part is not None else []
        if len(nodes) < function.least:
            raise UnsupportedConstruct(described(node))
        arguments = self.bind_all(nodes)
        if function.compares and any(
            one.type.collation not in (None, "BINARY") or collates_inside(one) for one in arguments
        ):
            raise UnsupportedConstruct(f"{function.runtime} with a collation")
        never_null = function.never_null or (function.runtime == "coalesce" and not arguments[-1].type.nullable)
        return Call(function.runtime, arguments, never_null)

    def _unparsed_function(self, node: exp.Anonymous) -> BoundExpr:
        name = fold_name(str(node.this))
        if name == "total" and len(node.expressions) == 1:
            return self._aggregate_of("total_of", node.expressions[0])
        function = UNPARSED_FUNCTIONS.get(name)
        if function is None:
            raise UnsupportedConstruct(f"function {name}")
        return self._call(node, function, "this")

    def _trim(self, node: exp.Trim) -> BoundExpr:
        allow_only(node, "this", "expression", "position")
        function = _TRIMS[str(node.args.get("position") or "").upper()]
        characters = node.args.get("expression")
        return Call(function, self.bind_all([node.this] if characters is None else [node.this, characters]))

    # ── aggregates ────────────────────────────────────────────────────────────────────────────────────────────────

    def _min_or_max(self, node: exp.Expr) -> BoundExpr:
        """Return the scalar function of several arguments, or the aggregate of one."""
        return self._scalar_function(node) if node.expressions else self._aggregate(node)

    def _aggregate(self, node: exp.Expr) -> BoundExpr:
        allow_only(node, "this")
        return self._aggregate_of(_AGGREGATES[type(node)], node.this)

    def _count(self, node: exp.Count) -> BoundExpr:
        allow_only(node, "this", "big_int")
        if node.this is None or isinstance(node.this, exp.Star):
            self.found_aggregate = True
            return Aggregate("count_rows", None)
        return self._aggregate_of("count_values", node.this)

    def _group_concat(self, node: exp.GroupConcat) -> BoundExpr:
        allow_only(node, "this", "separator")
        separator = node.args.get("separator")
        bound = Constant(",") if separator is None else self.bind(separator)
        if bound.refs:
            raise UnsupportedConstruct("group_concat with a separator that depends on a row")
        return self._aggregate_of("concat_of", node.this, bound)

    def _aggregate_of(self, function: str, node: exp.Expr, separator: BoundExpr | None = None) -> BoundExpr:
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
        if is_distinct or function in ("least_of", "greatest_of"):
            check_collations(argument)
            if argument.type.collation not in (None, "BINARY"):
                raise UnsupportedConstruct("an aggregate with a collation")
        self.found_aggregate = True
        return Aggregate(function, argument, is_distinct, separator)
