"""Translate expressions and views between the SQL of databases, where they mean the same in both.

    PostgreSQL                                                       SQLite
    (price >= (0)::numeric)                                          ("price" >= 0)
    ((state)::text = ANY ((ARRAY['on'::text, 'off'::text])::text[])) ("state" IN ('on', 'off'))
    name ~ '^[a-z]'                                                  Untranslatable: RegexpLike

sqlglot parses and writes. Only constructs of a list pass, because it also writes what the other database does not know
or understands otherwise. Not on the list: divisions, LIKE, dates, and functions of texts but the simplest. Texts are
compared for equality only, as their order depends on collations, and not at all with MySQL, which ignores case.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_DIALECTS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql", "sqlite": "sqlite", "rome": "sqlite"}

_VALUES = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Tuple, exp.Neg, exp.Add, exp.Sub,
    exp.Mul, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between,
    exp.Case, exp.If, exp.Coalesce, exp.Abs, exp.Length, exp.Lower, exp.Upper,
)  # fmt: skip
_QUERIES = (
    exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Distinct, exp.Union,
    exp.Alias, exp.Table, exp.TableAlias, exp.Star, exp.Subquery, exp.Exists, exp.With, exp.CTE, exp.Count, exp.Sum,
    exp.Avg, exp.Min, exp.Max,
)  # fmt: skip
_FUNCTIONS = frozenset({"json_valid"})
_NUMBERS = exp.DataType.NUMERIC_TYPES
_TEXTS = exp.DataType.TEXT_TYPES
_ORDERING = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.Min, exp.Max)
_EQUALITY = (exp.EQ, exp.NEQ, exp.In, exp.Group, exp.Distinct)


class Kind(enum.Enum):
    """The kind of a column's values, as far as it matters for comparisons."""

    TEXT = "text"
    INTEGER = "integer"
    OTHER = "other"


Kinds = Mapping[str, Kind]
"""By the name of a column."""


class Untranslatable(Exception):
    """The SQL has a construct that the other database does not have, or understands otherwise."""


def translated(sql: str, source: str, target: str, kinds: Kinds, schema: str | None = None) -> str:
    """Return an expression, a SELECT, or that of a CREATE VIEW, in the SQL of another dialect. Raise Untranslatable.

    `kinds`: what the columns hold. `schema`: the one whose name may be left out.
    """
    if source not in _DIALECTS or target not in _DIALECTS:
        raise Untranslatable(f"the SQL of {source}")
    try:
        tree = sqlglot.parse_one(sql, read=_DIALECTS[source])
    except SqlglotError as error:
        raise Untranslatable("SQL that does not parse") from error
    if isinstance(tree, exp.Create):
        if not isinstance(tree.this, exp.Table) or tree.expression is None:
            raise Untranslatable("names of its columns")
        tree = tree.expression
    root = exp.Paren(this=tree)
    _simplify(root, kinds)
    ignores_case = "mysql" in (_DIALECTS[source], _DIALECTS[target])
    for node in root.walk():
        _check(node, kinds, schema, ignores_case)
    return str(root.this.sql(dialect=_DIALECTS[target], identify=True))


def _check(node: exp.Expr, kinds: Kinds, schema: str | None, ignores_case: bool) -> None:
    is_known = isinstance(node, exp.Anonymous) and node.name.lower() in _FUNCTIONS
    if not is_known and not isinstance(node, (*_VALUES, *_QUERIES)):
        raise Untranslatable(type(node).__name__ if not isinstance(node, exp.Anonymous) else f"{node.name}()")
    if isinstance(node, exp.Length) and node.args.get("binary"):
        raise Untranslatable("the length in bytes")
    if isinstance(node, exp.Distinct) and node.args.get("on"):
        raise Untranslatable("DISTINCT ON")
    if isinstance(node, (exp.Table, exp.Column)):
        if (node.db or schema) != schema:
            raise Untranslatable(f"a name of another schema, {node.db}")
        node.set("db", None)
        node.set("catalog", None)
    has_texts = isinstance(node, (*_ORDERING, *_EQUALITY)) and any(_is_text(each, kinds) for each in _operands(node))
    if has_texts and isinstance(node, _ORDERING):
        raise Untranslatable("the order of texts")
    if has_texts and ignores_case:
        raise Untranslatable("texts that are compared in upper and lower case")


def _operands(node: exp.Expr) -> list[exp.Expr]:
    found = []
    for each in node.iter_expressions():
        while isinstance(each, exp.Paren):
            each = each.this  # noqa: PLW2901 - the operand in parentheses
        found.append(each)
    return found


def _is_text(node: exp.Expr, kinds: Kinds) -> bool:
    if isinstance(node, exp.Column):
        return kinds.get(node.name) is Kind.TEXT
    return isinstance(node, (exp.Lower, exp.Upper)) or (isinstance(node, exp.Literal) and node.is_string)


def _simplify(root: exp.Expr, kinds: Kinds) -> None:
    """Remove what PostgreSQL adds when it stores SQL: casts, and arrays in the place of lists."""
    for node in reversed(list(root.find_all(exp.Cast, exp.EQ, exp.NEQ))):  # the inner ones first
        if isinstance(node, exp.Cast):
            if _is_superfluous(node, kinds):
                node.replace(node.this)
            continue
        array = _array_of(node.expression, "ANY" if isinstance(node, exp.EQ) else "ALL")
        if array is not None:
            found = exp.In(this=node.this, expressions=array.expressions)
            node.replace(found if isinstance(node, exp.EQ) else exp.Not(this=exp.Paren(this=found)))


def _is_superfluous(cast: exp.Cast, kinds: Kinds) -> bool:
    operand: exp.Expr = cast.this
    while isinstance(operand, (exp.Paren, exp.Neg)):
        operand = operand.this
    if isinstance(operand, exp.Literal) and not operand.is_string:
        return cast.to.this in _NUMBERS
    if isinstance(operand, exp.Column) and kinds.get(operand.name) is Kind.INTEGER:
        return cast.to.this in _NUMBERS
    return _is_text(operand, kinds) and cast.to.this in _TEXTS


def _array_of(node: exp.Expr, quantifier: str) -> exp.Array | None:
    """Return the array of ANY (ARRAY[…]), or of ALL."""
    if isinstance(node, exp.Anonymous) and node.name.upper() == quantifier and len(node.expressions) == 1:
        inner = node.expressions[0]
    elif isinstance(node, (exp.Any, exp.All)) and type(node).__name__.upper() == quantifier:
        inner = node.this
    else:
        return None
    while isinstance(inner, (exp.Paren, exp.Cast)):
        inner = inner.this
    return inner if isinstance(inner, exp.Array) else None
