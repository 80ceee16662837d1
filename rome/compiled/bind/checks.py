"""Checks that a syntax tree means in SQLite what it seems to mean.

**Precedence.** sqlglot knows SQLite's grammar well, but not to the last row of its table of precedences, and not in
every version. A tree in which every operand binds tighter than its operator, by SQLite's own table, can only be what
SQLite reads; so `check_operands` checks every operator:

    a + b * c      the operand b * c (level 9) binds tighter than + (level 8): certain
    a = b = c      a comparison of a comparison: refused

Parentheses can't always be trusted, because the parser adds some of its own around comparisons: a comparison of a
comparison is refused, whether in parentheses or not.

**Parts.** sqlglot puts clauses and options into arguments of a node. `allow_only` refuses a node with an argument that
the binder does not read, so that no clause is ever dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from rome.compiled.ir import And, BoundExpr, Compare, Constant, Not, Or
from rome.fallback import UnsupportedConstruct
from rome.folding import fold_name
from rome.sql.syntax.operands import number
from rome.sql.syntax.parse import PLACEHOLDER

_EQUALITY = 4
"""The level of = <> IS IN LIKE GLOB BETWEEN."""
_INEQUALITY = 5

_LEVELS: dict[type[exp.Expr], int] = {
    exp.Or: 1,
    exp.And: 2,
    exp.Not: 3,
    **dict.fromkeys(
        (exp.EQ, exp.NEQ, exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ, exp.In, exp.Like, exp.Between, exp.Escape),
        _EQUALITY,
    ),
    **dict.fromkeys((exp.LT, exp.LTE, exp.GT, exp.GTE), _INEQUALITY),
    **dict.fromkeys((exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseLeftShift, exp.BitwiseRightShift), 7),
    **dict.fromkeys((exp.Add, exp.Sub), 8),
    **dict.fromkeys((exp.Mul, exp.Div, exp.Mod), 9),
    exp.DPipe: 10,
    exp.Neg: 12,
    exp.BitwiseNot: 12,
}
"""SQLite's precedences (%left and %right in its parse.y), from weak to strong. A node without a level is an atom."""

_ATOM = 99


# ── the syntax tree ───────────────────────────────────────────────────────────────────────────────────────────────────


def allow_only(node: exp.Expr, *allowed: str) -> None:
    """Raise UnsupportedConstruct if the node has arguments that are not in `allowed`."""
    for name, value in node.args.items():
        if value not in (None, False, []) and name not in allowed and not name.startswith("_"):
            raise UnsupportedConstruct(f"{node.key} with {name}")


def check_operands(node: exp.Expr, left: exp.Expr, right: exp.Expr | None = None) -> None:
    """Raise UnsupportedConstruct unless SQLite's precedences give the operator these operands."""
    level = _LEVELS.get(type(node), _ATOM)
    for operand in (left, right):
        if operand is None:
            continue
        own = _LEVELS.get(type(operand), _ATOM)
        is_comparison = _EQUALITY <= level <= _INEQUALITY
        if is_comparison and _LEVELS.get(type(operand.unnest()), _ATOM) <= _INEQUALITY:
            raise UnsupportedConstruct("a comparison of a comparison")
        if own < level or (operand is right and own == level):
            raise UnsupportedConstruct(f"the precedence of {node.key}")


def plus_mark(right: exp.Expr) -> exp.BitwiseNot:
    """Return the `~` that the normalized statement has after every binary `+`, given the right operand of an addition.

    The mark makes a unary plus visible, which sqlglot drops. It is no operator of the application's.
    """
    node = right
    while isinstance(node, (exp.Binary, exp.Paren)):
        node = node.this
    if not isinstance(node, exp.BitwiseNot):
        raise UnsupportedConstruct("an addition in a statement that is not normalized")
    return node


def placeholder_of(node: exp.Placeholder) -> int:
    """Return the position of a placeholder in `NormalizedStatement.lists`."""
    return int(node.name.removeprefix(PLACEHOLDER))


def number_literal(node: exp.Literal, *, negative: bool = False) -> Constant:
    """Return the constant of a numeric literal. Raise UnsupportedConstruct if SQLite may read another number."""
    found = number(str(node.this), negative=negative)
    if found is None or (isinstance(found.value, float) and not 1e-15 < abs(found.value) < 1e15 and found.value):
        raise UnsupportedConstruct(f"the number {node.this}")
    return Constant(found.value)


def described(node: exp.Expr) -> str:
    """Return the words for a construct that is not supported, as EXPLAIN shows them."""
    if isinstance(node, exp.Window):
        return "window functions"
    if isinstance(node, exp.Anonymous):
        return f"function {fold_name(str(node.this))}"
    if isinstance(node, exp.Func):
        return f"function {node.sql_name().lower()}"
    return f"{node.key}: {node.sql(dialect='sqlite')[:60]}"


# ── bound expressions ─────────────────────────────────────────────────────────────────────────────────────────────────


def compare_rows(op: str, left: Sequence[BoundExpr], right: Sequence[BoundExpr]) -> BoundExpr:
    """Return the comparison `(a, b) op (c, d)` of row values: the first pair that is not equal decides.

    `(a, b) < (c, d)` becomes `a < c OR (a = c AND b < d)`.
    """
    if len(left) != len(right):
        raise UnsupportedConstruct("row values of different sizes")
    pairs = list(zip(left, right, strict=True))
    if op in ("=", "<>"):
        equal = And(tuple(Compare("=", *pair) for pair in pairs))
        return equal if op == "=" else Not(equal)
    found: BoundExpr = Compare(op, *pairs[-1])
    for pair in reversed(pairs[:-1]):
        found = Or((Compare(op[0], *pair), And((Compare("=", *pair), found))))
    return found
