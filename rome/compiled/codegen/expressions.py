"""Bound expressions as Python expressions.

An expression has up to three forms:

* `value`: Python for its value. It is one operand: it never needs parentheses.
* `is_true`: Python that is true where the expression is true, and false where it is false or NULL. WHERE, ON and CASE
  need no more, and it is much shorter than the value: `r0[1] == x0` instead of three cases.
* `is_false`: Python that is true where the expression is false. NOT exchanges the two, so it costs nothing.

Both conditions rely on Python where None is equal to nothing but None, and test for None where an operand may be NULL.
A parameter that is NULL is replaced by NEVER, which compares as false with everything, so that no row is tested for it:

    WHERE t.n >= ?1 AND t.name = ?2

    x0 = p0 if p0.__class__ is int else as_number(p0)        the affinity of t.n is applied to ?1
    x1 = NEVER if x0 is None else x0
    x2 = p1 if p1.__class__ is str else as_text(p1)
    x3 = NEVER if x2 is None else x2
    … if (r0[2] is not None and r0[2] >= x1) if (r0[1] == x3)

An expression that is the same for all rows is computed once, before any row (`Program.hoist`).

In an inexact program, < and > are Python's. They raise TypeError for a text and a number, which SQLite puts in order;
the program is run again in its exact form then, in which runtime functions compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rome.compiled.codegen.program import Program
from rome.compiled.ir import (
    And,
    Arithmetic,
    BooleanExpr,
    BoundExpr,
    Call,
    CaseExpr,
    Cast,
    ColumnExpr,
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
    Slot,
)
from rome.compiled.runtime import values
from rome.fallback import UnsupportedConstruct, UnsupportedValue
from rome.values import Affinity, applied_affinity, comparison_affinity

RowNames = dict[int, str]
"""The id of a FROM item → the code of its row, where that is not simply its variable `r…`."""

_NEGATED = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_PYTHON = {"=": "==", "<>": "!="}
_COMPARE = {"=": "equal", "<>": "unequal", "<": "less", "<=": "at_most", ">": "more", ">=": "at_least"}
"""The runtime function of each comparison."""
FOLDS = {"NOCASE": "nocase", "RTRIM": "rtrimmed"}
"""The runtime function that makes texts equal that a collation takes for equal."""
_CONVERTED = {"as_number": "int", "as_text": "str"}
"""The class of the values that a conversion leaves as they are."""


class SubqueryWriter(Protocol):
    """Writes the queries inside of expressions (`rome.compiled.codegen.queries`)."""

    def exists(self, query: Query, rows: RowNames) -> str:
        """Return Python that is true if the query has a row."""

    def scalar(self, query: Query, rows: RowNames) -> str:
        """Return Python for the only value of a query; None if it has no row."""

    def rows(self, query: Query, rows: RowNames) -> str:
        """Return Python for the list of a query's rows."""

    def column(self, query: Query, rows: RowNames) -> str:
        """Return Python for the list of the values of a query of one column."""

    def has_match(self, query: Query, condition: Callable[[BoundExpr], BoundExpr], rows: RowNames) -> str | None:
        """Return Python that is true if a condition on its column is true of one of its rows; None if unsupported."""


@dataclass(frozen=True)
class Operand:
    """One operand of a comparison, converted and folded."""

    code: str
    nullable: bool
    invariant: bool
    simple: bool
    """True if the code is cheap, and may be written twice."""


class ExpressionWriter:
    """Writes the expressions of a program. `rows`, in all methods: the codes of the rows that they refer to."""

    def __init__(self, program: Program, queries: SubqueryWriter) -> None:
        self.program = program
        self.queries = queries

    # ── value ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def value(self, expr: BoundExpr, rows: RowNames) -> str:
        """Return Python for the value of an expression."""
        code = _VALUES[type(expr)](self, expr, rows)
        is_atom = isinstance(expr, (Constant, Parameter, Slot, ColumnExpr))
        return code if is_atom or not expr.is_invariant else self.program.hoist(code)

    def _column(self, expr: ColumnExpr, rows: RowNames) -> str:
        return f"{rows.get(expr.item) or f'r{expr.item}'}[{expr.at}]"

    def _slot(self, expr: Slot, _rows: RowNames) -> str:
        return expr.code

    def _constant(self, expr: Constant, _rows: RowNames) -> str:
        code = repr(expr.value)
        return f"({code})" if code.startswith("-") else code

    def _parameter(self, expr: Parameter, _rows: RowNames) -> str:
        return self.program.placeholder(expr.placeholder)

    def _arithmetic(self, expr: Arithmetic, rows: RowNames) -> str:
        return f"{expr.op}({self.value(expr.left, rows)}, {self.value(expr.right, rows)})"

    def _call(self, expr: Call, rows: RowNames) -> str:
        return f"{expr.function}({', '.join([self.value(one, rows) for one in expr.arguments])})"

    def _cast(self, expr: Cast, rows: RowNames) -> str:
        return f"{expr.function}({self.value(expr.operand, rows)})"

    def _case(self, expr: CaseExpr, rows: RowNames) -> str:
        code = self.value(expr.default, rows)
        for condition, result in reversed(expr.branches):
            code = f"{self.value(result, rows)} if {self.is_true(condition, rows)} else {code}"
        return f"({code})"

    def _scalar(self, expr: ScalarSubquery, rows: RowNames) -> str:
        return self.queries.scalar(expr.query, rows)

    def _condition_value(self, expr: BoundExpr, rows: RowNames) -> str:
        """Return Python for 1, 0 or None."""
        otherwise = f"0 if {self.is_false(expr, rows)} else None" if expr.type.nullable else "0"
        return f"(1 if {self.is_true(expr, rows)} else {otherwise})"

    def _like_value(self, expr: Like, rows: RowNames) -> str:
        pattern = [expr.pattern] if expr.escape is None else [expr.pattern, expr.escape]
        matcher = f"like_matcher({', '.join([self.value(part, rows) for part in pattern])})"
        if all(part.is_invariant for part in pattern):
            matcher = self.program.hoist(matcher)
        return f"{matcher}({self.value(expr.operand, rows)})"

    # ── true and false ────────────────────────────────────────────────────────────────────────────────────────────

    def is_true(self, expr: BoundExpr, rows: RowNames) -> str:
        """Return Python that is true where the expression is true. Like `value`, it never needs parentheses."""
        method = _TRUES.get(type(expr))
        code = method(self, expr, rows) if method is not None else f"truth({self.value(expr, rows)})"
        return self.program.hoist(code) if expr.is_invariant and not isinstance(expr, Constant) else code

    def is_false(self, expr: BoundExpr, rows: RowNames) -> str:
        """Return Python that is true where the expression is false."""
        method = _FALSES.get(type(expr))
        if method is not None:
            return method(self, expr, rows)
        return f"(truth({self.value(expr, rows)}) is False)"

    def _compare_true(self, expr: Compare, rows: RowNames) -> str:
        return self._comparison(expr.op, expr, rows)

    def _compare_false(self, expr: Compare, rows: RowNames) -> str:
        return self._comparison(_NEGATED[expr.op], expr, rows)

    def _comparison(self, op: str, expr: Compare, rows: RowNames) -> str:
        left, right = self.operands(expr.left, expr.right, rows)
        if "None" in (left.code, right.code):
            return "False"
        if op != "=" and ((self.program.exact and op != "<>") or not (left.simple and right.simple)):
            return f"{_COMPARE[op]}({left.code}, {right.code})"
        left, right = self._never_for_null(left), self._never_for_null(right)
        test = f"{left.code} {_PYTHON.get(op, op)} {right.code}"
        if op == "=":
            return f"({test} is not None)" if left.nullable and right.nullable else f"({test})"
        guards = [f"{operand.code} is not None" for operand in (left, right) if operand.nullable]
        return f"({' and '.join([*guards, test])})"

    def _never_for_null(self, operand: Operand) -> Operand:
        """Replace NULL by NEVER in an operand that is the same for all rows."""
        if not (operand.invariant and operand.nullable):
            return operand
        code = operand.code if operand.code.isidentifier() else self.program.hoist(operand.code)
        return Operand(self.program.hoist(f"NEVER if {code} is None else {code}"), False, True, True)

    def _same_true(self, expr: NullSafeEqual, rows: RowNames) -> str:
        left, right = self.operands(expr.left, expr.right, rows)
        if right.code == "None":
            return f"({left.code} is None)" if left.nullable else "False"
        return f"({left.code} == {right.code})"

    def _same_false(self, expr: NullSafeEqual, rows: RowNames) -> str:
        left, right = self.operands(expr.left, expr.right, rows)
        if right.code == "None":
            return f"({left.code} is not None)" if left.nullable else "True"
        return f"({left.code} != {right.code})"

    def _not_true(self, expr: Not, rows: RowNames) -> str:
        return self.is_false(expr.operand, rows)

    def _not_false(self, expr: Not, rows: RowNames) -> str:
        return self.is_true(expr.operand, rows)

    def _and_true(self, expr: And, rows: RowNames) -> str:
        return f"({' and '.join([self.is_true(one, rows) for one in expr.operands])})"

    def _and_false(self, expr: And, rows: RowNames) -> str:
        return f"({' or '.join([self.is_false(one, rows) for one in expr.operands])})"

    def _or_true(self, expr: Or, rows: RowNames) -> str:
        return f"({' or '.join([self.is_true(one, rows) for one in expr.operands])})"

    def _or_false(self, expr: Or, rows: RowNames) -> str:
        return f"({' and '.join([self.is_false(one, rows) for one in expr.operands])})"

    def _like_false(self, expr: Like, rows: RowNames) -> str:
        return f"({self._like_value(expr, rows)} == 0)"

    def _exists_true(self, expr: Exists, rows: RowNames) -> str:
        return self.queries.exists(expr.query, rows)

    def _exists_false(self, expr: Exists, rows: RowNames) -> str:
        return f"(not {self.queries.exists(expr.query, rows)})"

    # ── IN ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _in_true(self, expr: InList | InQuery, rows: RowNames) -> str:
        if isinstance(expr, InQuery) and expr.query.refs:
            found = self.queries.has_match(expr.query, lambda column: Compare("=", expr.operand, column), rows)
            if found is None:
                raise UnsupportedConstruct("IN of a correlated subquery with aggregates or LIMIT")
            return found
        left, members = self._in_operands(expr, rows)
        return f"({left.code} in {self.program.hoist(f'{members}.present')})"

    def _in_false(self, expr: InList | InQuery, rows: RowNames) -> str:
        left, members = self._in_operands(expr, rows)
        if (isinstance(expr, InQuery) and expr.query.refs) or not left.simple:
            return f"(in_value({left.code}, {members}) == 0)"
        excluding = self.program.hoist(f"{members}.excluding")
        if not left.nullable:
            return f"({left.code} not in {excluding})"
        empty = self.program.hoist(f"{members}.empty")
        return f"(({left.code} is not None and {left.code} not in {excluding}) or {empty})"

    def _in_operands(self, expr: InList | InQuery, rows: RowNames) -> tuple[Operand, str]:
        """Return the left operand of IN and the code of the `Members` on its right, both converted and folded."""
        if isinstance(expr, InQuery):
            right = expr.query.outputs[0].expr
            affinity, collation = _affinity(expr.operand, right), _collation(expr.operand, right)
            listed = self.queries.column(expr.query, rows)
            conversion = _conversion(right, affinity)
            left = self._operand(expr.operand, affinity, collation, rows)
        else:
            affinity, collation = applied_affinity(expr.operand.type.affinity), expr.operand.type.collation or "BINARY"
            listed = "()" if expr.placeholder is None else self.program.placeholder(expr.placeholder, is_list=True)
            conversion = _CONVERSIONS.get(affinity)
            left = self._operand(expr.operand, None, collation, rows)
        steps = [step for step in (conversion, FOLDS.get(collation)) if step is not None]
        code = f"members({', '.join([listed, *steps])})"
        if isinstance(expr, InQuery) and expr.query.refs:
            return left, code
        return left, self.program.hoist(code)

    def _in_rows_value(self, expr: InRows, rows: RowNames) -> str:
        steps, lefts = [], []
        for one, other in zip(expr.operands, expr.rows[0], strict=True):
            affinity, collation = _affinity(one, other), _collation(one, other)
            applied = [step for step in (_conversion(other, affinity), FOLDS.get(collation)) if step is not None]
            steps.append(tuple_code(applied))
            lefts.append(self._operand(one, affinity, collation, rows).code)
        listed = tuple_code([tuple_code([self.value(one, {}) for one in row]) for row in expr.rows])
        members = self.program.hoist(f"RowMembers({listed}, {tuple_code(steps)})")
        return f"{members}.contain({tuple_code(lefts)})"

    def _in_rows_true(self, expr: InRows, rows: RowNames) -> str:
        return f"({self._in_rows_value(expr, rows)} == 1)"

    def _in_rows_false(self, expr: InRows, rows: RowNames) -> str:
        return f"({self._in_rows_value(expr, rows)} == 0)"

    # ── operands of comparisons ───────────────────────────────────────────────────────────────────────────────────

    def operands(self, left: BoundExpr, right: BoundExpr, rows: RowNames) -> tuple[Operand, Operand]:
        """Return both operands of a comparison, converted to its affinity and folded by its collation."""
        affinity, collation = _affinity(left, right), _collation(left, right)
        return self._operand(left, affinity, collation, rows), self._operand(right, affinity, collation, rows)

    def _operand(self, expr: BoundExpr, affinity: Affinity | None, collation: str, rows: RowNames) -> Operand:
        steps = [step for step in (_conversion(expr, affinity), FOLDS.get(collation)) if step is not None]
        if isinstance(expr, Constant):
            return self._constant_operand(expr, steps)
        code = self.value(expr, rows)
        invariant = expr.is_invariant
        for step in steps:
            # A name is tested inline: most parameters need no conversion, and so no call.
            kept = _CONVERTED.get(step) if invariant and code.isidentifier() else None
            code = f"{step}({code})" if kept is None else f"{code} if {code}.__class__ is {kept} else {step}({code})"
        if invariant and steps:
            code = self.program.hoist(code)
        simple = invariant or (not steps and isinstance(expr, (ColumnExpr, Slot)))
        return Operand(code, expr.type.nullable, invariant, simple)

    def _constant_operand(self, expr: Constant, steps: list[str]) -> Operand:
        value: Any = expr.value
        try:
            for step in steps:
                value = getattr(values, step)(value)
        except UnsupportedValue as error:
            raise UnsupportedConstruct(f"the constant {expr.value!r}: {error}") from error
        return Operand(self._constant(Constant(value), {}), value is None, True, True)


def tuple_code(codes: Sequence[str]) -> str:
    """Return the code of a tuple."""
    return f"({', '.join(codes)}{',' if len(codes) == 1 else ''})"


def _conversion(expr: BoundExpr, affinity: Affinity | None) -> str | None:
    """Return the runtime function that converts an operand; None if its values need no conversion."""
    if applied_affinity(expr.type.affinity) is affinity:
        return None
    is_number = isinstance(expr, BooleanExpr) or (isinstance(expr, Arithmetic) and expr.op != "concat")
    return None if is_number and affinity is Affinity.NUMERIC else _CONVERSIONS.get(affinity)


def _affinity(left: BoundExpr, right: BoundExpr) -> Affinity | None:
    return comparison_affinity(left.type.affinity, right.type.affinity)


def _collation(left: BoundExpr, right: BoundExpr) -> str:
    """Return the collation of a comparison: that of the left operand, else of the right one."""
    return left.type.collation or right.type.collation or "BINARY"


_CONVERSIONS: dict[Affinity | None, str] = {Affinity.NUMERIC: "as_number", Affinity.TEXT: "as_text"}
"""The runtime functions that convert the operands of a comparison."""

_VALUES: dict[type[BoundExpr], Callable[[ExpressionWriter, Any, RowNames], str]] = {
    ColumnExpr: ExpressionWriter._column,
    Slot: ExpressionWriter._slot,
    Constant: ExpressionWriter._constant,
    Parameter: ExpressionWriter._parameter,
    Arithmetic: ExpressionWriter._arithmetic,
    Call: ExpressionWriter._call,
    Cast: ExpressionWriter._cast,
    CaseExpr: ExpressionWriter._case,
    ScalarSubquery: ExpressionWriter._scalar,
    **dict.fromkeys(
        (Compare, NullSafeEqual, Exists, Like, Not, And, Or, InList, InQuery, InRows), ExpressionWriter._condition_value
    ),
}

_TRUES: dict[type[BoundExpr], Callable[[ExpressionWriter, Any, RowNames], str]] = {
    Compare: ExpressionWriter._compare_true,
    NullSafeEqual: ExpressionWriter._same_true,
    Exists: ExpressionWriter._exists_true,
    Like: ExpressionWriter._like_value,
    Not: ExpressionWriter._not_true,
    And: ExpressionWriter._and_true,
    Or: ExpressionWriter._or_true,
    InList: ExpressionWriter._in_true,
    InQuery: ExpressionWriter._in_true,
    InRows: ExpressionWriter._in_rows_true,
}

_FALSES: dict[type[BoundExpr], Callable[[ExpressionWriter, Any, RowNames], str]] = {
    Compare: ExpressionWriter._compare_false,
    NullSafeEqual: ExpressionWriter._same_false,
    Exists: ExpressionWriter._exists_false,
    Like: ExpressionWriter._like_false,
    Not: ExpressionWriter._not_false,
    And: ExpressionWriter._and_false,
    Or: ExpressionWriter._or_false,
    InList: ExpressionWriter._in_false,
    InQuery: ExpressionWriter._in_false,
    InRows: ExpressionWriter._in_rows_false,
}
