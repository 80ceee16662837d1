"""Is a query block plain: does each of its rows come from one combination of rows of its tables, and each on its own?

Then a row of a table that a condition from outside rejects may be left out. Not so where rows are counted, grouped,
numbered or cut off: there, a row that is missing changes what comes out for others.
"""

from __future__ import annotations

from sqlglot import exp

from rome.sql.syntax.ast_walk import walk

_PARTS = ("group", "having", "limit", "offset", "windows")

_ROW_BY_ROW = (
    exp.And, exp.Or, exp.Xor, exp.Exists, exp.Case, exp.If, exp.Cast, exp.Coalesce, exp.Nullif, exp.Lower, exp.Upper,
    exp.Length, exp.Abs, exp.Round, exp.Substring, exp.Replace, exp.Trim, exp.Concat
)  # fmt: skip
"""Functions that look at one row. Of others it is not known here whether they do."""


def is_pushdown_safe(block: exp.Expr) -> bool:
    """Whether a SELECT is plain. (DISTINCT does no harm: equal rows are rejected together.)"""
    return not any(block.args.get(part) for part in _PARTS) and is_row_wise(block)


def is_row_wise(block: exp.Expr) -> bool:
    """Whether what a SELECT shows of a row, and orders it by, needs no other row."""
    if not isinstance(block, exp.Select):
        return False
    shown = [*block.expressions, *([block.args["order"]] if block.args.get("order") else ())]
    found = (each for node in shown for each in walk(node) if isinstance(each, (exp.Func, exp.Window)))
    return all(isinstance(each, _ROW_BY_ROW) for each in found)
