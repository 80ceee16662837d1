"""Expressions of a column that put a constant in the place of NULL, and what a comparison of one says of the column.

    coalesce(a, 0)                              ifnull(a, 0)
    CASE WHEN a IS NOT NULL THEN a ELSE 0 END   CASE WHEN a IS NULL THEN 0 ELSE a END

Services page by these: `CASE WHEN a IS NOT NULL THEN a ELSE '' END > ?`. Neither a function nor CASE has an affinity,
so the column's value is compared as it is (https://www.sqlite.org/datatype3.html, 3.2).
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from rome.sql.analysis.comparisons import Comparison, constant, null_test
from rome.sql.syntax.operands import AsIs, Const, Key, Param, Source


def of_column(comparison: Comparison) -> Comparison | None:
    """What a comparison of such an expression with one value says of the column; None if it is none."""
    (source,) = comparison.sources if len(comparison.sources) == 1 else (None,)
    found = _column_and_constant(comparison.column)
    if found is None or not isinstance(source, (Const, Param)):
        return None
    column, null_as = found
    return Comparison(column, comparison.op, (AsIs(source, None if null_as == Const(None) else null_as),))


def unfilled(key: Key) -> Key:
    """The same key for a column without NULL."""
    return replace(key, null_as=None) if isinstance(key, AsIs) else key


def _column_and_constant(node: exp.Expr) -> tuple[exp.Column, Source] | None:
    if isinstance(node, exp.Coalesce) and len(node.expressions) == 1:
        column, other = node.this.unnest(), node.expressions[0].unnest()
    elif isinstance(node, exp.Case):
        column, other = _branches(node)
    else:
        return None
    null_as = constant(other) if other is not None else Const(None)
    return (column, null_as) if isinstance(column, exp.Column) and null_as is not None else None


def _branches(node: exp.Case) -> tuple[exp.Expr | None, exp.Expr | None]:
    """What a CASE gives where a column is not NULL, which must be that column, and where it is."""
    branches = node.args["ifs"]
    test = null_test(branches[0].this.unnest()) if len(branches) == 1 and not node.this else None
    if test is None:
        return None, None
    column, is_null = test
    results = [each and each.unnest() for each in (branches[0].args["true"], node.args.get("default"))]
    there, missing = reversed(results) if is_null else results
    return (there, missing) if there == column else (None, None)
