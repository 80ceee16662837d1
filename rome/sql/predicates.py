"""Predicates: what the conjuncts of a condition say about a plain column and values that are known when it runs.

    a = ?1 AND 5 < b AND c IN (?2, 'x') AND d IS NULL AND lower(e) = 'y'

gives four comparisons; the last conjunct is left to the evaluator.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from rome.sql.normal import PLACEHOLDER
from rome.sql.sources import Const, Source, number


class Op(enum.Enum):
    """How a column is compared."""

    EQUAL = "="
    """With any of the sources; NULL is equal to nothing."""
    SAME = "IS"
    """NULL is the same as NULL. The only one that can be true of a NULL column."""
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column op sources`, where the column is a node of the parser's tree and not yet looked up."""

    column: exp.Column
    op: Op
    sources: tuple[Source, ...]

    @property
    def rejects_null(self) -> bool:
        """Whether the comparison can't be true where the column is NULL."""
        return self.op is not Op.SAME


_OPS: dict[type[exp.Expr], Op] = {
    exp.EQ: Op.EQUAL,
    exp.LT: Op.LESS,
    exp.LTE: Op.AT_MOST,
    exp.GT: Op.MORE,
    exp.GTE: Op.AT_LEAST,
}
_TURNED = {Op.LESS: Op.MORE, Op.MORE: Op.LESS, Op.AT_MOST: Op.AT_LEAST, Op.AT_LEAST: Op.AT_MOST}


def conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of a condition that must all be true for it to be true."""
    pending = [condition]
    while pending:
        node = pending.pop().unnest()
        if isinstance(node, exp.And):
            pending += (node.expression, node.this)
        else:
            yield node


def comparisons(conjunct: exp.Expr, lists: Sequence[tuple[Source, ...]]) -> Iterator[Comparison]:
    """What a conjunct says of plain columns; `lists` is what the placeholders stand for (`NormalText.lists`)."""
    if type(conjunct) in _OPS:
        yield from _compared(conjunct.this.unnest(), _OPS[type(conjunct)], conjunct.expression.unnest(), lists)
    elif isinstance(conjunct, (exp.NullSafeEQ, exp.Is)):
        yield from _same(conjunct.this.unnest(), conjunct.expression.unnest(), lists)
    elif isinstance(conjunct, exp.In):
        yield from _in_list(conjunct, lists)
    elif isinstance(conjunct, exp.Between):
        yield from _between(conjunct, lists)


def equalities(conjunct: exp.Expr) -> Iterator[tuple[exp.Column, exp.Column]]:
    """The pairs of plain columns that a conjunct says are equal."""
    if isinstance(conjunct, exp.EQ):
        yield from paired(conjunct.this.unnest(), conjunct.expression.unnest())


def paired(left: exp.Expr, right: exp.Expr) -> Iterator[tuple[exp.Column, exp.Column]]:
    """The pairs of plain columns that are equal if two expressions, or two row values, are."""
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        yield left, right
    elif isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
        for one, other in _members(left, right):
            yield from paired(one, other)


def _members(left: exp.Tuple, right: exp.Tuple) -> list[tuple[exp.Expr, exp.Expr]]:
    """The members of two row values side by side; none if they are not of one length, which is an error."""
    lefts, rights = ([member.unnest() for member in each.expressions] for each in (left, right))
    return list(zip(lefts, rights, strict=True)) if len(lefts) == len(rights) else []


def _compared(left: exp.Expr, op: Op, right: exp.Expr, lists: Sequence[tuple[Source, ...]]) -> Iterator[Comparison]:
    if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
        for one, other in _members(left, right) if op is Op.EQUAL else ():
            yield from _compared(one, op, other, lists)
        return
    if not isinstance(left, exp.Column):
        left, op, right = right, _TURNED.get(op, op), left
    source = _constant(right, lists)
    if isinstance(left, exp.Column) and source is not None:
        yield Comparison(left, op, (source,))


def _same(left: exp.Expr, right: exp.Expr, lists: Sequence[tuple[Source, ...]]) -> Iterator[Comparison]:
    """IS. (`a IS TRUE` asks whether `a` is true, not whether it is 1.)"""
    if not isinstance(left, exp.Column):
        left, right = right, left
    source = _constant(right, lists)
    if isinstance(left, exp.Column) and source is not None and not isinstance(right, exp.Boolean):
        is_value = isinstance(source, Const) and source.value is not None
        yield Comparison(left, Op.EQUAL if is_value else Op.SAME, (source,))


def _in_list(node: exp.In, lists: Sequence[tuple[Source, ...]]) -> Iterator[Comparison]:
    column = node.this.unnest()
    if not isinstance(column, exp.Column) or any(
        node.args[name] for name in node.args.keys() - {"this", "expressions"}
    ):
        return
    sources: list[Source] = []
    for item in node.expressions:
        found = _listed(item.unnest(), lists)
        if found is None:
            return
        sources += found
    yield Comparison(column, Op.EQUAL, tuple(sources))


def _between(node: exp.Between, lists: Sequence[tuple[Source, ...]]) -> Iterator[Comparison]:
    column = node.this.unnest()
    low, high = _constant(node.args["low"].unnest(), lists), _constant(node.args["high"].unnest(), lists)
    if isinstance(column, exp.Column) and low is not None and high is not None and not node.args.get("symmetric"):
        yield Comparison(column, Op.AT_LEAST, (low,))
        yield Comparison(column, Op.AT_MOST, (high,))


def _listed(node: exp.Expr, lists: Sequence[tuple[Source, ...]]) -> tuple[Source, ...] | None:
    """The sources that a member of an IN list stands for."""
    if isinstance(node, exp.Placeholder):
        return lists[int(node.name.removeprefix(PLACEHOLDER))]
    source = _constant(node, lists)
    return None if source is None else (source,)


def _constant(node: exp.Expr, lists: Sequence[tuple[Source, ...]]) -> Source | None:
    """The source that an expression is, if it is a parameter or a literal."""
    if isinstance(node, exp.Placeholder):
        return lists[int(node.name.removeprefix(PLACEHOLDER))][0]
    if isinstance(node, exp.Literal):
        return Const(node.this) if node.is_string else number(node.this)
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return number(node.this.this, negative=True)
    if isinstance(node, exp.Null):
        return Const(None)
    if isinstance(node, exp.Boolean):
        return Const(int(node.this))
    if isinstance(node, exp.HexString):
        return Const(bytes.fromhex(node.this))
    return None
