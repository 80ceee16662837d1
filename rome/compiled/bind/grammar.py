"""Is the parser's tree the one that SQLite makes of the same text?

sqlglot knows SQLite's grammar well, but not to the last row of its table of precedences, and not in every version. A
tree in which every operand binds tighter than its operator, by SQLite's table, can only be what SQLite reads: so that
is asked of every operator. Parentheses can't always be trusted, because the parser adds some of its own around
comparisons: a comparison of a comparison is refused, whether in parentheses or not.
"""

from __future__ import annotations

from sqlglot import exp

from rome.fallback import UnsupportedConstruct

_RELATIONAL = 4
"""= <> IS IN LIKE GLOB BETWEEN. Level 5 are the inequalities."""

_LEVELS: dict[type[exp.Expr], int] = {
    exp.Or: 1,
    exp.And: 2,
    exp.Not: 3,
    **dict.fromkeys(
        (exp.EQ, exp.NEQ, exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ, exp.In, exp.Like, exp.Glob, exp.Between, exp.Escape),
        _RELATIONAL,
    ),
    **dict.fromkeys((exp.LT, exp.LTE, exp.GT, exp.GTE), 5),
    **dict.fromkeys((exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseLeftShift, exp.BitwiseRightShift), 7),
    **dict.fromkeys((exp.Add, exp.Sub), 8),
    **dict.fromkeys((exp.Mul, exp.Div, exp.Mod), 9),
    exp.DPipe: 10,
    exp.Collate: 11,
    exp.Neg: 12,
    exp.BitwiseNot: 12,
}
"""SQLite's precedences (the %left and %right of its parse.y), from weak to strong. What has no level is an atom."""

_ATOM = 99


def _level(node: exp.Expr) -> int:
    return _LEVELS.get(type(node), _ATOM)


def check_operands(node: exp.Expr, left: exp.Expr, right: exp.Expr | None = None) -> None:
    """Raise UnsupportedConstruct unless these operands of an operator are certain."""
    level = _level(node)
    for operand in (left, right):
        if operand is None:
            continue
        if _RELATIONAL <= level <= _RELATIONAL + 1 and _level(operand.unnest()) <= _RELATIONAL + 1:
            raise UnsupportedConstruct("a comparison of a comparison")
        if _level(operand) < level or (operand is right and _level(operand) == level):
            raise UnsupportedConstruct(f"the precedence of {node.key}")


def plus_mark(right: exp.Expr) -> exp.BitwiseNot:
    """The `~` that the normal text has behind every `+` (so that a unary plus can be seen): no operator of the user's.

    `right`: the right operand of an addition.
    """
    node = right
    while isinstance(node, (exp.Binary, exp.Paren)):
        node = node.this
    if not isinstance(node, exp.BitwiseNot):
        raise UnsupportedConstruct("an addition in a text that is not in the normal form")
    return node


def only(node: exp.Expr, *known: str) -> None:
    """Raise UnsupportedConstruct if the node has arguments that are not in `known`."""
    for name, value in node.args.items():
        if value not in (None, False, []) and name not in known and not name.startswith("_"):
            raise UnsupportedConstruct(f"{node.key} with {name}")
