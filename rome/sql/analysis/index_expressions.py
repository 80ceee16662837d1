"""Indexed expressions and the conditions of partial indexes: the terms of an index that are more than a column.

An expression in a statement is the one of an index if both are written alike, but for the case of letters, spaces and
what columns are qualified with. A partial index has all rows that a statement looks at if its condition is among what
the statement demands; again, as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from sqlglot import exp

from rome.catalog.model import Column, Index, Table
from rome.sql.analysis.comparisons import Op, conjuncts, reading
from rome.sql.analysis.relation import Predicate, filled_sources
from rome.sql.syntax.operands import KeySource
from rome.sql.syntax.parse import normalize, parse
from rome.values import Affinity

_HAS_AFFINITY = (exp.Column, exp.Cast, exp.Collate, exp.Paren, exp.Query, exp.Literal, exp.Placeholder)
"""Expressions that are compared in another way than a value by itself, or are none of a row."""


def expression_column(text: str) -> Column:
    """An indexed expression as a column. What an operator or a function gives has no affinity."""
    return Column(text, -2, Affinity.BLOB)


def written(node: exp.Expr, name_of: Callable[[exp.Column], str | None]) -> str | None:
    """An expression in one form; None if one of its columns has no name, or it is none that can be indexed."""
    if isinstance(node, _HAS_AFFINITY) or node.find(exp.Query, exp.Placeholder, exp.AggFunc, exp.Window):
        return None
    if any(not _is_binary_plus(each) for each in node.find_all(exp.BitwiseNot)):
        return None
    names = [name_of(column) for column in node.find_all(exp.Column)]
    if not names or None in names:
        return None
    copy = node.copy()
    for column, name in zip(list(copy.find_all(exp.Column)), names, strict=True):
        column.replace(exp.Column(this=exp.Identifier(this=name, quoted=True)))
    return str(copy.sql(dialect="sqlite", normalize_functions="lower"))


def _is_binary_plus(node: exp.BitwiseNot) -> bool:
    """Whether this is what the normal text has written for the + between two terms, and nothing else."""
    return (
        isinstance(node.parent, exp.Add) and node.arg_key == "expression" and not isinstance(node.this, exp.BitwiseNot)
    )


def index_columns(table: Table, index: Index) -> tuple[Column, ...]:
    """The columns of an index, up to the first expression that is not understood."""
    found: list[Column] = []
    for at, name in enumerate(index.columns):
        text = _written_term(index.terms[at]) if name is None else None
        if name is None and text is None:
            break
        found.append(table.by_name[name.lower()] if name is not None else expression_column(text or ""))
    return tuple(found)


def partial_index_predicates(table: Table, index: Index) -> tuple[Predicate, ...] | None:
    """What is true of the rows of an index: nothing in particular, if it is not partial. None: it is not understood."""
    if not index.partial:
        return ()
    comparisons = _comparisons(index.where or "")
    if comparisons is None:
        return None
    columns = [table.by_name.get(name) for name, _, _ in comparisons]
    pairs = zip(columns, comparisons, strict=True)
    found = tuple(Predicate(column, op, sources) for column, (_, op, sources) in pairs if column is not None)
    return found if len(found) == len(comparisons) else None


def implies(predicates: Sequence[Predicate], wanted: Sequence[Predicate]) -> bool:
    """Whether all that is wanted is demanded. (What compares a column with anything demands that it is not NULL.)"""
    return all(
        each in predicates
        or (each.op is Op.NOT_NULL and any(one.column == each.column and one.rejects_null for one in predicates))
        for each in wanted
    )


@lru_cache(maxsize=1024)
def _written_term(term: str) -> str | None:
    normal = normalize(f"SELECT {term}")
    node = parse(normal) if normal is not None else None
    if not isinstance(node, exp.Select) or len(node.expressions) != 1:
        return None
    return written(node.expressions[0].unnest(), lambda column: column.name.lower())


@lru_cache(maxsize=1024)
def _comparisons(where: str) -> tuple[tuple[str, Op, tuple[KeySource, ...]], ...] | None:
    """The condition of a partial index: column name, operator, values."""
    normal = normalize(f"SELECT 1 WHERE {where}")
    node = parse(normal) if normal is not None else None
    clause = node.args.get("where") if node is not None else None
    if clause is None or normal is None:
        return None
    readings = [reading(conjunct) for conjunct in conjuncts(clause.this)]
    found = [comparison for each in readings for comparison in each.comparisons]
    if not all(each.is_all for each in readings) or not all(isinstance(each.column, exp.Column) for each in found):
        return None
    return tuple((each.column.name.lower(), each.op, filled_sources(each.sources, normal.lists)) for each in found)
