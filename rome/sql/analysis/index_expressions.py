"""Index terms that are more than a column: indexed expressions, and the predicates of partial indexes.

    CREATE INDEX i ON t (lower(name)) WHERE deleted = 0

    ... WHERE lower(t.name) = ? AND deleted = 0         may use i
    ... WHERE lower(t.name) = ?                         may not: i does not have all rows

An expression of a statement matches an indexed one if both are written alike, except for the case of letters, spaces
and qualifiers of columns. A partial index has all rows that matter if each of its predicates is also one of the
statement's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from sqlglot import exp

from rome.catalog.model import Column, Index, Table
from rome.folding import fold_name
from rome.sql.analysis.comparisons import Op, comparisons_of, conjuncts
from rome.sql.analysis.relation import Predicate, expand_sources
from rome.sql.syntax.operands import KeySource
from rome.sql.syntax.parse import normalize, parse
from rome.values import Affinity

_NOT_INDEXED = (exp.Column, exp.Cast, exp.Collate, exp.Paren, exp.Query, exp.Literal, exp.Placeholder)
"""Expressions that have an affinity or a collation, or that are constant."""


def expression_column(text: str) -> Column:
    """Return an indexed expression as a column. The result of an operator or a function has no affinity."""
    return Column(text, -2, Affinity.BLOB)


def normalize_expression(node: exp.Expr, name_of: Callable[[exp.Column], str | None]) -> str | None:
    """Return the text of an expression in one form; None if it cannot be indexed, or a column has no name."""
    if isinstance(node, _NOT_INDEXED) or node.find(exp.Query, exp.Placeholder, exp.AggFunc, exp.Window):
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
    """Return True for the `~` that normalization puts after the + between two terms."""
    return (
        isinstance(node.parent, exp.Add) and node.arg_key == "expression" and not isinstance(node.this, exp.BitwiseNot)
    )


def index_columns(table: Table, index: Index) -> tuple[Column, ...]:
    """Return the columns of an index, up to the first expression that is not understood."""
    found: list[Column] = []
    for at, name in enumerate(index.columns):
        if name is not None:
            found.append(table.by_name[fold_name(name)])
            continue
        text = _normalize_term(index.terms[at])
        if text is None:
            break
        found.append(expression_column(text))
    return tuple(found)


def partial_index_predicates(table: Table, index: Index) -> tuple[Predicate, ...] | None:
    """Return the predicates that all rows of an index fulfil, () if it is not partial; None: not understood."""
    if not index.partial:
        return ()
    comparisons = _parse_condition(index.where or "")
    if comparisons is None:
        return None
    columns = [table.by_name.get(name) for name, _, _ in comparisons]
    pairs = zip(columns, comparisons, strict=True)
    found = tuple(Predicate(column, op, sources) for column, (_, op, sources) in pairs if column is not None)
    return found if len(found) == len(comparisons) else None


def implies(predicates: Sequence[Predicate], required: Sequence[Predicate]) -> bool:
    """Return True if the predicates imply all required ones. (A comparison of a column implies that it is not NULL.)"""
    return all(
        each in predicates
        or (each.op is Op.NOT_NULL and any(one.column == each.column and one.rejects_null for one in predicates))
        for each in required
    )


@lru_cache(maxsize=1024)
def _normalize_term(term: str) -> str | None:
    normal = normalize(f"SELECT {term}")
    node = parse(normal) if normal is not None else None
    if not isinstance(node, exp.Select) or len(node.expressions) != 1:
        return None
    return normalize_expression(node.expressions[0].unnest(), lambda column: fold_name(column.name))


@lru_cache(maxsize=1024)
def _parse_condition(where: str) -> tuple[tuple[str, Op, tuple[KeySource, ...]], ...] | None:
    """Return column name, operator and values of each predicate of a partial index."""
    normal = normalize(f"SELECT 1 WHERE {where}")
    node = parse(normal) if normal is not None else None
    clause = node.args.get("where") if node is not None else None
    if clause is None or normal is None:
        return None
    read = [comparisons_of(conjunct) for conjunct in conjuncts(clause.this)]
    found = [comparison for each in read for comparison in each.comparisons]
    if not all(each.is_complete for each in read) or not all(isinstance(each.column, exp.Column) for each in found):
        return None
    return tuple((fold_name(each.column.name), each.op, expand_sources(each.sources, normal.lists)) for each in found)
