"""Comparisons: what a condition requires of columns, in terms of constants and parameters.

    a = ?1 AND 5 < b AND c IN (?2, 'x') AND d IS NULL AND lower(e) = 'y'

    a = ?1 · b > 5 · c = any of (?2, 'x') · d IS NULL · lower(e) = 'y'

NOT is pushed inwards: NOT (a < 1 OR b <> 2) is a >= 1 AND b = 2. The members of an OR are disjuncts; so are those of an
ordering of row values:

    (a, b) > (1, 2)         a > 1 OR (a = 1 AND b > 2)

The parameters here are the placeholders of the normalized text, of which one may stand for a whole list.
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
    """The operator between a column and its sources."""

    EQUAL = "="
    """Equal to any of the sources. NULL is equal to nothing."""
    IS = "IS"
    """As EQUAL, but NULL is NULL: the only operator that is true of a NULL column."""
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    NOT_NULL = "IS NOT NULL"
    """Without sources."""
    LIKE = "LIKE"
    """LIKE or GLOB. The source is a pattern; only its prefix narrows."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column op sources`, where `column` is an unresolved node of the tree: a column, or an expression of columns."""

    column: exp.Expr
    op: Op
    sources: tuple[KeySource, ...]

    @property
    def rejects_null(self) -> bool:
        """Return True if the comparison is never true of a NULL column."""
        return isinstance(self.column, exp.Column) and rejects_null(self.op, self.sources)


def rejects_null(op: Op, sources: Sequence[KeySource]) -> bool:
    """Return True if such a comparison is never true of a NULL column."""
    return op is not Op.IS and not any(map(may_match_null, sources))


class Conjunct(NamedTuple):
    """A member of a conjunction: a node that must be true, or false if `negated`."""

    node: exp.Expr
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Comparisons that a condition implies. `is_complete`: they also imply the condition."""

    comparisons: tuple[Comparison, ...]
    is_complete: bool


_OPS: dict[type[exp.Expr], Op] = {
    exp.EQ: Op.EQUAL,
    exp.LT: Op.LESS,
    exp.LTE: Op.AT_MOST,
    exp.GT: Op.GREATER,
    exp.GTE: Op.AT_LEAST,
}
_NEGATED_OPS: dict[type[exp.Expr], Op] = {
    exp.NEQ: Op.EQUAL,
    exp.LT: Op.AT_LEAST,
    exp.LTE: Op.GREATER,
    exp.GT: Op.AT_MOST,
    exp.GTE: Op.LESS,
}
_SWAPPED = {Op.LESS: Op.GREATER, Op.GREATER: Op.LESS, Op.AT_MOST: Op.AT_LEAST, Op.AT_LEAST: Op.AT_MOST}
_STRICT = {Op.AT_MOST: Op.LESS, Op.AT_LEAST: Op.GREATER}
_NOT_STRICT = {Op.LESS: Op.AT_MOST, Op.GREATER: Op.AT_LEAST}

MAX_DISJUNCTS = 16
"""The greatest number of disjuncts that the members of an OR are multiplied out into."""

_KNOWN_PARTS = frozenset({"this", "expression", "expressions", "query", "low", "high"})
"""The parts of a condition that this module knows. (sqlglot has NOT LIKE as a LIKE with one more part.)"""


def conjuncts(condition: exp.Expr, *, negated: bool = False) -> list[Conjunct]:
    """Return the members of a conjunction; of a negated condition, those that must be false."""
    found: list[Conjunct] = []
    pending = [Conjunct(condition, negated)]
    while pending:
        node, negated = pending.pop()
        node = node.unnest()
        if isinstance(node, exp.Not) and isinstance(node.this, exp.Paren):
            pending.append(Conjunct(node.this, not negated))
        elif isinstance(node, exp.Or if negated else exp.And):
            pending += (Conjunct(node.expression, negated), Conjunct(node.this, negated))
        else:
            found.append(Conjunct(node, negated))
    return found


def has_known_parts(node: exp.Expr) -> bool:
    """Return True if a condition has only parts that this module knows."""
    return {name for name, part in node.args.items() if part} <= _KNOWN_PARTS


def comparisons_of(conjunct: Conjunct) -> Comparisons:
    """Return the comparisons that a conjunct implies."""
    node, negated = conjunct
    found: tuple[Comparison, ...] = ()
    if not has_known_parts(node):
        return Comparisons((), is_complete=False)
    op = (_NEGATED_OPS if negated else _OPS).get(type(node))
    if op is not None:
        return _read_comparison(node, op)
    if isinstance(node, exp.Not):
        found = tuple(_read_null_test(node.this, negate=not negated))
    elif negated:
        found = tuple(_read_null_test(node, negate=True))
    elif isinstance(node, (exp.NullSafeEQ, exp.Is)):
        found = tuple(_read_is(node.this.unnest(), node.expression.unnest()))
    elif isinstance(node, exp.In):
        found = tuple(_read_in_list(node))
    elif isinstance(node, exp.Between):
        found = tuple(_read_between(node))
    elif isinstance(node, (exp.Like, exp.Glob, exp.Escape)):
        return Comparisons(tuple(_read_like(node)), is_complete=False)
    return Comparisons(found, bool(found))


def disjuncts_of(conjunct: Conjunct) -> tuple[Comparisons, ...]:
    """Return the disjuncts of which at least one is true; none if the conjunct is no disjunction."""
    node, negated = conjunct
    if not has_known_parts(node):
        return ()
    operator = exp.And if negated else exp.Or
    if isinstance(node, operator):
        members = _operands(node, operator)
        return tuple([each for member in members for each in _multiply_out(conjuncts(member, negated=negated))])
    op = (_NEGATED_OPS if negated else _OPS).get(type(node))
    return () if op is None else _expand_row_ordering(node, op)


def column_equalities(conjunct: Conjunct) -> Sequence[tuple[exp.Column, exp.Column]]:
    """Return the pairs of columns that a conjunct requires to be equal."""
    node, negated = conjunct
    if not isinstance(node, exp.NEQ if negated else exp.EQ) or not has_known_parts(node):
        return ()
    return column_pairs(node.this.unnest(), node.expression.unnest())


def alternative_equalities(conjunct: Conjunct) -> Sequence[tuple[exp.Column, exp.Column]]:
    """Return the pairs of columns of which at least one is equal: `a = b OR a = c`, `a IN (b, c)`; else none."""
    node, negated = conjunct
    if isinstance(node, exp.In):
        listed = [each.unnest() for each in node.expressions]
        is_known = not negated and has_known_parts(node) and all(isinstance(each, exp.Column) for each in listed)
        return [pair for each in listed for pair in column_pairs(node.this.unnest(), each)] if is_known else ()
    operator = exp.And if negated else exp.Or
    if not isinstance(node, operator):
        return ()
    found = [column_equalities(Conjunct(member, negated)) for member in _operands(node, operator)]
    return [pairs[0] for pairs in found] if all(len(pairs) == 1 for pairs in found) else ()


def column_pairs(left: exp.Expr, right: exp.Expr) -> Sequence[tuple[exp.Column, exp.Column]]:
    """Return the pairs of columns that are equal if two columns, or two row values, are."""
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        return [(left, right)]
    if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
        return [pair for one, other in _row_value_pairs(left, right) for pair in column_pairs(one, other)]
    return ()


# ── AND, OR and row values ────────────────────────────────────────────────────────────────────────────────────────────


def _operands(node: exp.Expr, operator: type[exp.Expr]) -> Iterator[exp.Expr]:
    """Yield the operands of nested ORs (or ANDs)."""
    pending = [node]
    while pending:
        each = pending.pop().unnest()
        if isinstance(each, operator):
            pending += (each.args["expression"], each.this)
        else:
            yield each


def _multiply_out(members: Iterable[Conjunct]) -> list[Comparisons]:
    """Distribute AND over OR: `a = 1 AND (b > 2 OR b IS NULL)` has two disjuncts."""
    found = [Comparisons((), is_complete=True)]
    for member in members:
        choices = disjuncts_of(member) or (comparisons_of(member),)
        if len(found) * len(choices) > MAX_DISJUNCTS:
            choices = (Comparisons((), is_complete=False),)
        found = [
            Comparisons(one.comparisons + other.comparisons, one.is_complete and other.is_complete)
            for one in found
            for other in choices
        ]
    return found


def _row_value_pairs(left: exp.Tuple, right: exp.Tuple) -> list[tuple[exp.Expr, exp.Expr]]:
    """Pair the members of two row values; none if they differ in length, which SQLite refuses."""
    lefts, rights = [[member.unnest() for member in each.expressions] for each in (left, right)]
    return list(zip(lefts, rights, strict=True)) if len(lefts) == len(rights) else []


def _read_comparison(node: exp.Expr, op: Op) -> Comparisons:
    """Read a comparison of two values or two row values; an ordering of row values implies that of their first ones."""
    left, right = node.this.unnest(), node.args["expression"].unnest()
    if not (isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple)):
        found = _compare(left, op, right)
        return Comparisons((found,) if found else (), found is not None)
    members = _row_value_pairs(left, right)
    if op is Op.EQUAL and isinstance(node, exp.EQ):
        equal = [found for one, other in members if (found := _compare(one, op, other))]
        return Comparisons(tuple(equal), len(equal) == len(members) > 0)
    first = _compare(members[0][0], _NOT_STRICT.get(op, op), members[0][1]) if members else None
    return Comparisons((first,) if first and op is not Op.EQUAL else (), is_complete=False)


def _expand_row_ordering(node: exp.Expr, op: Op) -> tuple[Comparisons, ...]:
    """Expand `(a, b) < (1, 2)` into disjuncts."""
    left, right = node.this.unnest(), node.args["expression"].unnest()
    if op is Op.EQUAL or not (isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple)):
        return ()
    members = _row_value_pairs(left, right)
    equal = [_compare(one, Op.EQUAL, other) for one, other in members]
    found: list[Comparisons] = []
    for at, (one, other) in enumerate(members):
        last = _compare(one, op if at == len(members) - 1 else _STRICT.get(op, op), other)
        parts = [each for each in (*equal[:at], last) if each is not None]
        found.append(Comparisons(tuple(parts), len(parts) == at + 1))
    return tuple(found)


# ── single comparisons ────────────────────────────────────────────────────────────────────────────────────────────────


def _compare(left: exp.Expr, op: Op, right: exp.Expr) -> Comparison | None:
    """Return the comparison of an expression of columns with a constant on either side."""
    source = constant(right)
    if source is None:
        left, op, source = right, _SWAPPED.get(op, op), constant(left)
    return Comparison(left, op, (source,)) if source is not None and left.find(exp.Column) else None


def _read_like(node: exp.Expr) -> Iterator[Comparison]:
    """Read LIKE and GLOB."""
    escape = ""
    if isinstance(node, exp.Escape):
        escape = node.expression.name if isinstance(node.expression, exp.Literal) else ""
        node = node.this
        if len(escape) != 1:
            return
    if not isinstance(node, (exp.Like, exp.Glob)) or not has_known_parts(node):
        return
    if not isinstance(node.this.unnest(), exp.Column):
        return
    right, suffix = node.expression.unnest(), ""
    if isinstance(right, exp.DPipe) and isinstance(right.expression, exp.Literal) and right.expression.is_string:
        right, suffix = right.this.unnest(), right.expression.this
    source = constant(right)
    if source is not None:
        yield Comparison(node.this.unnest(), Op.LIKE, (Pattern(source, suffix, isinstance(node, exp.Like), escape),))


def _read_null_test(node: exp.Expr, *, negate: bool) -> Iterator[Comparison]:
    """Read `a IS NULL`, as IS NOT NULL if `negate`."""
    column, is_null = null_test(node.unnest()) or (None, False)
    if column is not None and is_null:
        yield Comparison(column, Op.NOT_NULL, ()) if negate else Comparison(column, Op.IS, (Const(None),))


def _read_is(left: exp.Expr, right: exp.Expr) -> Iterator[Comparison]:
    """Read IS. (`a IS TRUE` is true of every true `a`, not only of 1.)"""
    if not isinstance(left, exp.Column):
        left, right = right, left
    source = constant(right)
    if isinstance(left, exp.Column) and source is not None and not isinstance(right, exp.Boolean):
        is_value = isinstance(source, Const) and source.value is not None
        yield Comparison(left, Op.EQUAL if is_value else Op.IS, (source,))


def _read_in_list(node: exp.In) -> Iterator[Comparison]:
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


def _read_between(node: exp.Between) -> Iterator[Comparison]:
    column = node.this.unnest()
    low, high = constant(node.args["low"].unnest()), constant(node.args["high"].unnest())
    if isinstance(column, exp.Column) and low is not None and high is not None and not node.args.get("symmetric"):
        yield Comparison(column, Op.AT_LEAST, (low,))
        yield Comparison(column, Op.AT_MOST, (high,))


def null_test(node: exp.Expr) -> tuple[exp.Column, bool] | None:
    """Return the column of `a IS NULL` (and True) or `a IS NOT NULL` (and False); None for anything else."""
    is_null = not isinstance(node, exp.Not)
    test = node if is_null else node.this.unnest()
    if not isinstance(test, exp.Is) or not isinstance(test.expression, exp.Null):
        return None
    column = test.this.unnest()
    return (column, is_null) if isinstance(column, exp.Column) else None


def constant(node: exp.Expr) -> Source | None:
    """Return a parameter or literal as a source; None for any other expression."""
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
