"""Predicates: what a condition says about plain columns and values that are known when it runs.

    a = ?1 AND 5 < b AND c IN (?2, 'x') AND d IS NULL AND lower(e) = 'y'

has four comparisons; the last conjunct is left to the evaluator. NOT is pushed inwards: NOT (a < 1 OR b <> 2) is
a >= 1 AND b = 2. What OR says are alternatives, and so is what row values say of their order:

    (a, b) > (1, 2)         a > 1 OR (a = 1 AND b > 2)

The parameters here are those of the normal text, its placeholders, of which one may stand for a whole list.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlglot import exp

from rome.sql.syntax.operands import Const, KeySource, Param, Pattern, Source, may_match_null, number
from rome.sql.syntax.parse import PLACEHOLDER


class Op(enum.Enum):
    """How a column is compared."""

    EQUAL = "="
    """With any of the sources; NULL is equal to nothing."""
    IS = "IS"
    """NULL is the same as NULL. The only one that can be true of a NULL column."""
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    NOT_NULL = "IS NOT NULL"
    """There are no sources."""
    LIKE = "LIKE"
    """The source is a pattern, of which only the beginning is looked at."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column op sources`, where the column is a node of the parser's tree and not yet looked up.

    It may also be an expression of columns, which an index may have.
    """

    column: exp.Expr
    op: Op
    sources: tuple[KeySource, ...]

    @property
    def rejects_null(self) -> bool:
        """Whether the comparison can't be true where the column, or all that are in the expression, is NULL."""
        return isinstance(self.column, exp.Column) and rejects_null(self.op, self.sources)


def rejects_null(op: Op, sources: Sequence[KeySource]) -> bool:
    """Whether such a comparison can't be true of NULL in the column."""
    return op is not Op.IS and not any(map(may_match_null, sources))


class Conjunct(NamedTuple):
    """A part of a condition that must be true, or, if it is negated, must be false."""

    node: exp.Expr
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The comparisons that must be true for a condition to be. `is_all`: if they are, so is the condition."""

    comparisons: tuple[Comparison, ...]
    is_all: bool


_OPS: dict[type[exp.Expr], Op] = {
    exp.EQ: Op.EQUAL,
    exp.LT: Op.LESS,
    exp.LTE: Op.AT_MOST,
    exp.GT: Op.GREATER,
    exp.GTE: Op.AT_LEAST,
}
_NEGATED: dict[type[exp.Expr], Op] = {
    exp.NEQ: Op.EQUAL,
    exp.LT: Op.AT_LEAST,
    exp.LTE: Op.GREATER,
    exp.GT: Op.AT_MOST,
    exp.GTE: Op.LESS,
}
_TURNED = {Op.LESS: Op.GREATER, Op.GREATER: Op.LESS, Op.AT_MOST: Op.AT_LEAST, Op.AT_LEAST: Op.AT_MOST}
_STRICT = {Op.AT_MOST: Op.LESS, Op.AT_LEAST: Op.GREATER}
_WEAK = {Op.LESS: Op.AT_MOST, Op.GREATER: Op.AT_LEAST}


MOST_ALTERNATIVES = 16
"""How many alternatives the members of an OR are made into."""


def conjuncts(condition: exp.Expr, *, negated: bool = False) -> Iterator[Conjunct]:
    """The parts of a condition that must all be true for it to be true (or, for it to be false, if it is negated)."""
    pending = [Conjunct(condition, negated)]
    while pending:
        node, negated = pending.pop()
        node = node.unnest()
        if isinstance(node, exp.Not) and isinstance(node.this, exp.Paren):
            pending.append(Conjunct(node.this, not negated))
        elif isinstance(node, exp.Or if negated else exp.And):
            pending += (Conjunct(node.expression, negated), Conjunct(node.this, negated))
        else:
            yield Conjunct(node, negated)


def reading(conjunct: Conjunct) -> Reading:
    """What a conjunct says of plain columns."""
    node, negated = conjunct
    found: tuple[Comparison, ...] = ()
    if not is_known(node):
        return Reading((), is_all=False)
    if type(node) in (_NEGATED if negated else _OPS):
        return _compared(node, (_NEGATED if negated else _OPS)[type(node)])
    if isinstance(node, exp.Not):
        found = tuple(_null_test(node.this, present=not negated))
    elif negated:
        found = tuple(_null_test(node, present=True))
    elif isinstance(node, (exp.NullSafeEQ, exp.Is)):
        found = tuple(_same(node.this.unnest(), node.expression.unnest()))
    elif isinstance(node, exp.In):
        found = tuple(_in_list(node))
    elif isinstance(node, exp.Between):
        found = tuple(_between(node))
    elif isinstance(node, (exp.Like, exp.Glob, exp.Escape)):
        return Reading(tuple(_begins(node)), is_all=False)
    return Reading(found, bool(found))


def alternatives(conjunct: Conjunct) -> tuple[Reading, ...]:
    """The readings of which one at least must be true; none if the conjunct has no such form."""
    node, negated = conjunct
    joint = exp.And if negated else exp.Or
    if not is_known(node):
        return ()
    if isinstance(node, joint):
        members = _members_of(node, joint)
        return tuple(each for member in members for each in _together(conjuncts(member, negated=negated)))
    if type(node) in (_NEGATED if negated else _OPS):
        return _in_row_order(node, (_NEGATED if negated else _OPS)[type(node)])
    return ()


def equalities(conjunct: Conjunct) -> Iterator[tuple[exp.Column, exp.Column]]:
    """The pairs of plain columns that a conjunct says are equal."""
    node, negated = conjunct
    if isinstance(node, exp.NEQ if negated else exp.EQ) and is_known(node):
        yield from paired(node.this.unnest(), node.expression.unnest())


def paired(left: exp.Expr, right: exp.Expr) -> Iterator[tuple[exp.Column, exp.Column]]:
    """The pairs of plain columns that are equal if two expressions, or two row values, are."""
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        yield left, right
    elif isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
        for one, other in _members(left, right):
            yield from paired(one, other)


_PARTS = frozenset({"this", "expression", "expressions", "query", "low", "high"})
"""The parts of a condition that are understood. (NOT LIKE is a LIKE with another part.)"""


def is_known(node: exp.Expr) -> bool:
    """Whether a condition has no other parts than its kind is read with here."""
    return not any(part for name, part in node.args.items() if name not in _PARTS)


def _members_of(node: exp.Expr, joint: type[exp.Expr]) -> Iterator[exp.Expr]:
    """The members of nested ORs (or ANDs)."""
    pending = [node]
    while pending:
        each = pending.pop().unnest()
        if isinstance(each, joint):
            pending += (each.args["expression"], each.this)
        else:
            yield each


def _together(parts: Iterable[Conjunct]) -> list[Reading]:
    """The readings of which one must be true if all parts are: a = 1 AND (b > 2 OR b IS NULL) are two."""
    found = [Reading((), is_all=True)]
    for part in parts:
        choices = alternatives(part) or (reading(part),)
        if len(found) * len(choices) > MOST_ALTERNATIVES:
            choices = (Reading((), is_all=False),)
        found = [
            Reading(one.comparisons + other.comparisons, one.is_all and other.is_all)
            for one in found
            for other in choices
        ]
    return found


def _members(left: exp.Tuple, right: exp.Tuple) -> list[tuple[exp.Expr, exp.Expr]]:
    """The members of two row values side by side; none if they are not of one length, which is an error."""
    lefts, rights = ([member.unnest() for member in each.expressions] for each in (left, right))
    return list(zip(lefts, rights, strict=True)) if len(lefts) == len(rights) else []


def _compared(node: exp.Expr, op: Op) -> Reading:
    """A comparison of two values, or of two row values (of whose order only the first members tell)."""
    left, right = node.this.unnest(), node.args["expression"].unnest()
    if not (isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple)):
        found = _comparison(left, op, right)
        return Reading((found,) if found else (), found is not None)
    members = _members(left, right)
    if op is Op.EQUAL and isinstance(node, exp.EQ):
        equal = [found for one, other in members if (found := _comparison(one, op, other))]
        return Reading(tuple(equal), len(equal) == len(members) > 0)
    first = _comparison(members[0][0], _WEAK.get(op, op), members[0][1]) if members else None
    return Reading((first,) if first and op is not Op.EQUAL else (), is_all=False)


def _in_row_order(node: exp.Expr, op: Op) -> tuple[Reading, ...]:
    """(a, b) < (1, 2) as alternatives."""
    left, right = node.this.unnest(), node.args["expression"].unnest()
    if op is Op.EQUAL or not (isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple)):
        return ()
    members = _members(left, right)
    equal = [_comparison(one, Op.EQUAL, other) for one, other in members]
    found: list[Reading] = []
    for at, (one, other) in enumerate(members):
        last = _comparison(one, op if at == len(members) - 1 else _STRICT.get(op, op), other)
        parts = [each for each in (*equal[:at], last) if each is not None]
        found.append(Reading(tuple(parts), len(parts) == at + 1))
    return tuple(found)


def _comparison(left: exp.Expr, op: Op, right: exp.Expr) -> Comparison | None:
    if constant(right) is None:
        left, op, right = right, _TURNED.get(op, op), left
    source = constant(right)
    return Comparison(left, op, (source,)) if source is not None and left.find(exp.Column) else None


def _begins(node: exp.Expr) -> Iterator[Comparison]:
    """LIKE and GLOB."""
    escape = ""
    if isinstance(node, exp.Escape):
        escape = node.expression.name if isinstance(node.expression, exp.Literal) else ""
        node = node.this
        if len(escape) != 1:
            return
    if not isinstance(node, (exp.Like, exp.Glob)) or not is_known(node):
        return
    if not isinstance(node.this.unnest(), exp.Column):
        return
    right, suffix = node.expression.unnest(), ""
    if isinstance(right, exp.DPipe) and isinstance(right.expression, exp.Literal) and right.expression.is_string:
        right, suffix = right.this.unnest(), right.expression.this
    source = constant(right)
    if source is not None:
        yield Comparison(node.this.unnest(), Op.LIKE, (Pattern(source, suffix, isinstance(node, exp.Like), escape),))


def _null_test(node: exp.Expr, *, present: bool) -> Iterator[Comparison]:
    """`node`, which must be IS NULL, turned into its contrary if `present`."""
    column, is_null = null_test(node.unnest()) or (None, False)
    if column is not None and is_null:
        yield Comparison(column, Op.NOT_NULL, ()) if present else Comparison(column, Op.IS, (Const(None),))


def _same(left: exp.Expr, right: exp.Expr) -> Iterator[Comparison]:
    """IS. (`a IS TRUE` asks whether `a` is true, not whether it is 1.)"""
    if not isinstance(left, exp.Column):
        left, right = right, left
    source = constant(right)
    if isinstance(left, exp.Column) and source is not None and not isinstance(right, exp.Boolean):
        is_value = isinstance(source, Const) and source.value is not None
        yield Comparison(left, Op.EQUAL if is_value else Op.IS, (source,))


def _in_list(node: exp.In) -> Iterator[Comparison]:
    column = node.this.unnest()
    if not isinstance(column, exp.Column) or any(
        node.args[name] for name in node.args.keys() - {"this", "expressions"}
    ):
        return
    sources: list[Source] = []
    for item in node.expressions:
        source = constant(item.unnest())
        if source is None:
            return
        sources.append(source)
    yield Comparison(column, Op.EQUAL, tuple(sources))


def _between(node: exp.Between) -> Iterator[Comparison]:
    column = node.this.unnest()
    low, high = constant(node.args["low"].unnest()), constant(node.args["high"].unnest())
    if isinstance(column, exp.Column) and low is not None and high is not None and not node.args.get("symmetric"):
        yield Comparison(column, Op.AT_LEAST, (low,))
        yield Comparison(column, Op.AT_MOST, (high,))


def null_test(node: exp.Expr) -> tuple[exp.Column, bool] | None:
    """The column of `a IS NULL` (true) or `a IS NOT NULL` (false), if an expression is one."""
    is_null = not isinstance(node, exp.Not)
    test = node if is_null else node.this.unnest()
    if not isinstance(test, exp.Is) or not isinstance(test.expression, exp.Null):
        return None
    column = test.this.unnest()
    return (column, is_null) if isinstance(column, exp.Column) else None


def constant(node: exp.Expr) -> Source | None:
    """The source that an expression is, if it is a parameter or a literal."""
    if isinstance(node, exp.Placeholder):
        return Param(int(node.name.removeprefix(PLACEHOLDER)))
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
