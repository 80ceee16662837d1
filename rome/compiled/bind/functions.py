"""Which scalar functions are known, under which names of the parser, and the helper that does each.

A function that is not here is refused. What the helpers do is in `text` and `values`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp


@dataclass(frozen=True)
class Function:
    """A function: its helper, its arguments by their names in the parser's tree (in the order of the helper's), and
    how many of them there must be.
    """

    helper: str
    arguments: tuple[str, ...]
    least: int = 1
    compares: bool = False
    """Whether it compares its arguments, by their collation."""
    never_null: bool = False


PARSED: dict[type[exp.Expr], Function] = {
    exp.Abs: Function("absolute", ("this",)),
    exp.Coalesce: Function("coalesce", ("this", "expressions"), 2),
    exp.Greatest: Function("greatest", ("this", "expressions"), 2, compares=True),
    exp.Hex: Function("hex_of", ("this",), never_null=True),
    exp.Least: Function("least", ("this", "expressions"), 2, compares=True),
    exp.Length: Function("length", ("this",)),
    exp.Lower: Function("lower", ("this",)),
    exp.Max: Function("greatest", ("this", "expressions"), 2, compares=True),
    exp.Min: Function("least", ("this", "expressions"), 2, compares=True),
    exp.Nullif: Function("nullif", ("this", "expression"), 2, compares=True),
    exp.Replace: Function("replace", ("this", "expression", "replacement"), 3),
    exp.Round: Function("rounded", ("this", "decimals")),
    exp.StrPosition: Function("instr", ("this", "substr"), 2),
    exp.Substring: Function("substr", ("this", "start", "length"), 2),
    exp.Typeof: Function("typeof", ("this",), never_null=True),
    exp.Upper: Function("upper", ("this",)),
}

NAMED: dict[str, Function] = {
    "likely": Function("same", ("expressions",)),
    "typeof": Function("typeof", ("expressions",), never_null=True),
    "unlikely": Function("same", ("expressions",)),
}
"""Functions that the parser has no node for, by their names in lower case."""

TRIMS = {"": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}
"""The helper for each position of the parser's Trim."""
