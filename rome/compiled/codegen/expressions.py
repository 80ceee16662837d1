"""From terms to Python expressions.

A term has up to three forms:

* `value`: an expression for its value. It is one operand: it never needs parentheses.
* `true`: an expression that is true in Python where the term is true, and false where it is false or NULL. This is what
  WHERE, ON and CASE ask, and it is much shorter than the value: `r0[1] == x0` instead of three cases.
* `false`: the same for where the term is false. NOT turns one into the other, so that NOT costs nothing.

Both of the latter lean on Python: None is equal to nothing but None, and where a side may be None it is looked at. A
parameter that is NULL is replaced by NEVER, which compares as false with everything, so rows need not be looked at.

In an inexact program, < and > are Python's. They raise TypeError for a text beside a number, which SQLite puts in
order; the program is run again in its exact form then, where a helper compares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rome.compiled.codegen.program import Program
from rome.compiled.ir.expressions import (
    And,
    Arithmetic,
    Call,
    Case,
    Cast,
    Collated,
    ColumnExpr,
    Compare,
    Constant,
    Exists,
    InList,
    InQuery,
    InRows,
    IsTrue,
    Like,
    Not,
    Or,
    Parameter,
    Plain,
    Same,
    Scalar,
    Slot,
    Term,
    Truth,
    any_term,
    refs,
)
from rome.compiled.ir.queries import Query
from rome.compiled.runtime import values
from rome.fallback import UnsupportedConstruct, UnsupportedValue
from rome.values import Affinity

Rows = dict[int, str]
"""Source → the code of its row, where that is not simply its variable."""

_NEGATED = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_PYTHON = {"=": "==", "<>": "!="}
_HELPERS = {"=": "equal", "<>": "unequal", "<": "less", "<=": "at_most", ">": "more", ">=": "at_least"}
_FOLDS = {"NOCASE": "nocase", "RTRIM": "rtrimmed"}
_CASTS = {
    Affinity.INTEGER: "cast_integer",
    Affinity.TEXT: "cast_text",
    Affinity.REAL: "cast_real",
    Affinity.NUMERIC: "cast_numeric",
}
NUMERIC = frozenset({Affinity.NUMERIC, Affinity.INTEGER, Affinity.REAL})


class QueryWriter(Protocol):
    """What writes the queries inside of expressions."""

    def exists(self, query: Query, rows: Rows) -> str:
        """An expression that is true if the query has a row."""

    def scalar(self, query: Query, rows: Rows) -> str:
        """An expression for the only value of a query; None if it has no row."""

    def rows(self, query: Query, rows: Rows) -> str:
        """An expression for the list of a query's rows."""

    def column(self, query: Query, rows: Rows) -> str:
        """An expression for the list of a query's values, which has one column."""

    def holds(self, query: Query, condition: Callable[[Term], Term], rows: Rows) -> str | None:
        """An expression that is true if the condition on its column is true of a row of the query. None: not so."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison, ready to be compared. `fixed`: the same for all rows."""

    code: str
    nullable: bool
    fixed: bool
    simple: bool
    """Whether the code may be written twice."""


class Expressions:
    """Writes the terms of a program."""

    def __init__(self, program: Program, queries: QueryWriter) -> None:
        self.program = program
        self.queries = queries

    # ── value ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def value(self, term: Term, rows: Rows) -> str:
        """The term's value."""
        if not isinstance(term, (Constant, Parameter, Slot, ColumnExpr)) and self._is_fixed(term):
            return self.program.hoist(self._value(term, rows))
        return self._value(term, rows)

    def _value(self, term: Term, rows: Rows) -> str:
        return _VALUES[type(term)](self, term, rows)

    def _is_fixed(self, term: Term) -> bool:
        return not refs(term) and not _has_slot(term)

    def _column(self, term: ColumnExpr, rows: Rows) -> str:
        return f"{rows.get(term.source, f'r{term.source}')}[{term.at}]"

    def _slot(self, term: Slot, _rows: Rows) -> str:
        return term.code

    def _constant(self, term: Constant, _rows: Rows) -> str:
        code = repr(term.value)
        return f"({code})" if code.startswith("-") else code

    def _parameter(self, term: Parameter, _rows: Rows) -> str:
        return self.program.placeholder(term.placeholder)

    def _inner(self, term: Plain | Collated, rows: Rows) -> str:
        return self.value(term.term, rows)

    def _cast(self, term: Cast, rows: Rows) -> str:
        return f"{_CASTS[term.to]}({self.value(term.term, rows)})"

    def _arithmetic(self, term: Arithmetic, rows: Rows) -> str:
        return f"{term.op}({self.value(term.left, rows)}, {self.value(term.right, rows)})"

    def _call(self, term: Call, rows: Rows) -> str:
        return f"{term.helper}({', '.join(self.value(one, rows) for one in term.arguments)})"

    def _case(self, term: Case, rows: Rows) -> str:
        code = self.value(term.default, rows)
        for condition, result in reversed(term.branches):
            code = f"{self.value(result, rows)} if {self.true(condition, rows)} else {code}"
        return f"({code})"

    def _scalar(self, term: Scalar, rows: Rows) -> str:
        return self.queries.scalar(term.query, rows)

    def _truth_of(self, term: Term, rows: Rows) -> str:
        """1, 0 or None (or a bool), as the term is true, false or NULL."""
        return self.value(term, rows) if isinstance(term, Truth) else f"truth({self.value(term, rows)})"

    def _compared_value(self, term: Compare, rows: Rows) -> str:
        left, right = self.sides(term.left, term.right, rows)
        return f"{_HELPERS[term.op]}_value({left.code}, {right.code})"

    def _true_or_false(self, term: Term, rows: Rows) -> str:
        return f"(1 if {self.true(term, rows)} else 0)"

    def _like_value(self, term: Like, rows: Rows) -> str:
        matcher = f"{term.helper}_matcher({self._pattern(term, rows)})"
        if self._is_fixed(term.pattern) and (term.escape is None or self._is_fixed(term.escape)):
            matcher = self.program.hoist(matcher)
        return f"{matcher}({self.value(term.term, rows)})"

    def _pattern(self, term: Like, rows: Rows) -> str:
        parts = [term.pattern] if term.escape is None else [term.pattern, term.escape]
        return ", ".join(self.value(part, rows) for part in parts)

    def _not_value(self, term: Not, rows: Rows) -> str:
        return f"not_value({self._truth_of(term.term, rows)})"

    def _and_value(self, term: And, rows: Rows) -> str:
        return f"and_value({', '.join(self._truth_of(part, rows) for part in term.parts)})"

    def _or_value(self, term: Or, rows: Rows) -> str:
        return f"or_value({', '.join(self._truth_of(part, rows) for part in term.parts)})"

    def _in_value(self, term: InList | InQuery, rows: Rows) -> str:
        left, members = self._members(term, rows)
        return f"in_value({left.code}, {members})"

    # ── true and false ────────────────────────────────────────────────────────────────────────────────────────────

    def true(self, term: Term, rows: Rows) -> str:
        """True where the term is true. Like `value`, it never needs parentheses."""
        if not isinstance(term, Constant) and self._is_fixed(term):
            return self.program.hoist(self._true(term, rows))
        return self._true(term, rows)

    def _true(self, term: Term, rows: Rows) -> str:
        method = _TRUES.get(type(term))
        return method(self, term, rows) if method is not None else f"truth({self.value(term, rows)})"

    def false(self, term: Term, rows: Rows) -> str:
        """True where the term is false."""
        method = _FALSES.get(type(term))
        if method is not None:
            return method(self, term, rows)
        return f"(truth({self.value(term, rows)}) is False)"

    def _compared(self, term: Compare, rows: Rows) -> str:
        return self._comparison(term.op, term, rows)

    def _compared_false(self, term: Compare, rows: Rows) -> str:
        return self._comparison(_NEGATED[term.op], term, rows)

    def _comparison(self, op: str, term: Compare, rows: Rows) -> str:
        left, right = self.sides(term.left, term.right, rows)
        if "None" in (left.code, right.code):
            return "False"
        if op != "=" and ((self.program.exact and op != "<>") or not (left.simple and right.simple)):
            return f"{_HELPERS[op]}({left.code}, {right.code})"
        left, right = self._never_null(left), self._never_null(right)
        test = f"{left.code} {_PYTHON.get(op, op)} {right.code}"
        if op == "=":
            return f"({test} is not None)" if left.nullable and right.nullable else f"({test})"
        guards = [f"{side.code} is not None" for side in (left, right) if side.nullable]
        return f"({' and '.join([*guards, test])})"

    def _never_null(self, side: Side) -> Side:
        """A fixed side that may be NULL with NEVER in its place."""
        if not (side.fixed and side.nullable):
            return side
        return Side(self.program.hoist(f"never({side.code})"), False, True, True)

    def _same(self, term: Same, rows: Rows) -> str:
        left, right = self.sides(term.left, term.right, rows)
        if right.code == "None":
            return f"({left.code} is None)" if left.nullable else "False"
        return f"({left.code} == {right.code})"

    def _same_false(self, term: Same, rows: Rows) -> str:
        left, right = self.sides(term.left, term.right, rows)
        if right.code == "None":
            return f"({left.code} is not None)" if left.nullable else "True"
        return f"({left.code} != {right.code})"

    def _is_true(self, term: IsTrue, rows: Rows) -> str:
        return self.true(term.term, rows) if term.wanted else self.false(term.term, rows)

    def _is_true_false(self, term: IsTrue, rows: Rows) -> str:
        return f"(not {self._is_true(term, rows)})"

    def _not_true(self, term: Not, rows: Rows) -> str:
        return self.false(term.term, rows)

    def _not_false(self, term: Not, rows: Rows) -> str:
        return self.true(term.term, rows)

    def _and_true(self, term: And, rows: Rows) -> str:
        return f"({' and '.join(self.true(part, rows) for part in term.parts)})"

    def _and_false(self, term: And, rows: Rows) -> str:
        return f"({' or '.join(self.false(part, rows) for part in term.parts)})"

    def _or_true(self, term: Or, rows: Rows) -> str:
        return f"({' or '.join(self.true(part, rows) for part in term.parts)})"

    def _or_false(self, term: Or, rows: Rows) -> str:
        return f"({' and '.join(self.false(part, rows) for part in term.parts)})"

    def _like_true(self, term: Like, rows: Rows) -> str:
        return self._like_value(term, rows)

    def _like_false(self, term: Like, rows: Rows) -> str:
        return f"({self._like_value(term, rows)} == 0)"

    def _exists_true(self, term: Exists, rows: Rows) -> str:
        return self.queries.exists(term.query, rows)

    def _exists_false(self, term: Exists, rows: Rows) -> str:
        return f"(not {self.queries.exists(term.query, rows)})"

    def _in_true(self, term: InList | InQuery, rows: Rows) -> str:
        if isinstance(term, InQuery) and term.query.free:
            found = self.queries.holds(term.query, lambda column: Compare("=", term.term, column), rows)
            if found is not None:
                return found
            left, members = self._members(term, rows)
            return f"(in_value({left.code}, {members}) == 1)"
        left, members = self._members(term, rows)
        return f"({left.code} in {self.program.hoist(f'{members}.present')})"

    def _in_false(self, term: InList | InQuery, rows: Rows) -> str:
        left, members = self._members(term, rows)
        if (isinstance(term, InQuery) and term.query.free) or not left.simple:
            return f"(in_value({left.code}, {members}) == 0)"
        excluding = self.program.hoist(f"{members}.excluding")
        if not left.nullable:
            return f"({left.code} not in {excluding})"
        empty = self.program.hoist(f"{members}.empty")
        return f"(({left.code} is not None and {left.code} not in {excluding}) or {empty})"

    def _members(self, term: InList | InQuery, rows: Rows) -> tuple[Side, str]:
        """The left side of IN, and the code of the `Members` on its right, both converted."""
        if isinstance(term, InQuery):
            right = term.query.outputs[0].term
            affinity = comparison_affinity(term.term, right)
            fold = _FOLDS.get(_collation(term.term, right))
            listed = self.queries.column(term.query, rows)
            convert = _conversion(right, affinity)
            left = self._side(term.term, affinity, _collation(term.term, right), rows)
        else:
            affinity = _kind(term.term.affinity)
            fold = _FOLDS.get(term.term.collation or "")
            listed = "()" if term.placeholder is None else self.program.placeholder(term.placeholder, is_list=True)
            convert = {"numeric": "as_number", "text": "as_text"}.get(affinity or "")
            left = self._side(term.term, None, term.term.collation or "BINARY", rows)
        steps = [step for step in (convert, fold) if step is not None]
        code = f"members({', '.join([listed, *steps])})"
        if isinstance(term, InQuery) and term.query.free:
            return left, code
        return left, self.program.hoist(code)

    def _in_rows_value(self, term: InRows, rows: Rows) -> str:
        query = term.query
        right = term.rows[0] if query is None else tuple(output.term for output in query.outputs)
        steps, lefts = [], []
        for one, other in zip(term.terms, right, strict=True):
            affinity, collation = comparison_affinity(one, other), _collation(one, other)
            wanted = [step for step in (_conversion(other, affinity), _FOLDS.get(collation)) if step is not None]
            steps.append(_tuple(wanted))
            lefts.append(self._side(one, affinity, collation, rows).code)
        listed = self.queries.rows(query, rows) if query is not None else _tuple([self._row(row) for row in term.rows])
        members = f"RowMembers({listed}, {_tuple(steps)})"
        if query is None or not query.free:
            members = self.program.hoist(members)
        return f"{members}.contain({_tuple(lefts)})"

    def _row(self, terms: tuple[Term, ...]) -> str:
        return _tuple([self.value(term, {}) for term in terms])

    def _in_rows_true(self, term: InRows, rows: Rows) -> str:
        return f"({self._in_rows_value(term, rows)} == 1)"

    def _in_rows_false(self, term: InRows, rows: Rows) -> str:
        return f"({self._in_rows_value(term, rows)} == 0)"

    # ── comparing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def sides(self, left: Term, right: Term, rows: Rows) -> tuple[Side, Side]:
        """Both sides of a comparison, converted to its affinity and folded by its collation."""
        affinity, collation = comparison_affinity(left, right), _collation(left, right)
        return self._side(left, affinity, collation, rows), self._side(right, affinity, collation, rows)

    def side(self, term: Term, other: Term, rows: Rows) -> Side:
        """The side of a comparison that `term` is, with `other` on the other side; `term` is written first."""
        return self._side(term, comparison_affinity(term, other), _collation(term, other), rows)

    def _side(self, term: Term, affinity: str | None, collation: str, rows: Rows) -> Side:
        conversion, fold = _conversion(term, affinity), _FOLDS.get(collation)
        steps = [step for step in (conversion, fold) if step is not None]
        if isinstance(term, Constant):
            return self._constant_side(term, steps)
        code = self.value(term, rows)
        for step in steps:
            code = f"{step}({code})"
        fixed = self._is_fixed(term)
        if fixed and steps:
            code = self.program.hoist(code)
        inner = term.term if isinstance(term, (Collated, Plain)) else term
        simple = fixed or (not steps and isinstance(inner, (ColumnExpr, Slot)))
        return Side(code, term.nullable, fixed, simple)

    def _constant_side(self, term: Constant, steps: list[str]) -> Side:
        value: Any = term.value
        try:
            for step in steps:
                value = getattr(values, step)(value)
        except UnsupportedValue as error:
            raise UnsupportedConstruct(f"the constant {term.value!r}: {error}") from error
        return Side(self._constant(Constant(value), {}), value is None, True, True)


def _tuple(codes: Sequence[str]) -> str:
    return f"({', '.join(codes)}{',' if len(codes) == 1 else ''})"


def comparison_affinity(left: Term, right: Term) -> str | None:
    """What a comparison converts its sides to: "numeric", "text", or None (SQLite's `sqlite3CompareAffinity`)."""
    one, two = left.affinity, right.affinity
    if one is not None and two is not None:
        return "numeric" if one in NUMERIC or two in NUMERIC else None
    return _kind(one or two)


def _kind(affinity: Affinity | None) -> str | None:
    if affinity is None or affinity is Affinity.BLOB:
        return None
    return "numeric" if affinity in NUMERIC else "text"


def _conversion(term: Term, affinity: str | None) -> str | None:
    """The helper that converts a side; None if its values are converted already."""
    if affinity == "numeric":
        return None if term.affinity in NUMERIC or _is_number(term) else "as_number"
    if affinity == "text":
        return None if term.affinity is Affinity.TEXT else "as_text"
    return None


def _is_number(term: Term) -> bool:
    return isinstance(term, Truth) or (isinstance(term, Arithmetic) and term.op != "concat")


def _collation(left: Term, right: Term) -> str:
    """The collation of a comparison: an explicit one, else that of the left side, else of the right."""
    if left.forced:
        return left.collation or "BINARY"
    if right.forced:
        return right.collation or "BINARY"
    return left.collation or right.collation or "BINARY"


def _has_slot(term: Term) -> bool:
    return any_term(term, lambda part: isinstance(part, Slot))


_VALUES: dict[type[Term], Callable[[Expressions, Any, Rows], str]] = {
    ColumnExpr: Expressions._column,
    Slot: Expressions._slot,
    Constant: Expressions._constant,
    Parameter: Expressions._parameter,
    Plain: Expressions._inner,
    Collated: Expressions._inner,
    Cast: Expressions._cast,
    Arithmetic: Expressions._arithmetic,
    Call: Expressions._call,
    Case: Expressions._case,
    Scalar: Expressions._scalar,
    Compare: Expressions._compared_value,
    Same: Expressions._true_or_false,
    IsTrue: Expressions._true_or_false,
    Exists: Expressions._true_or_false,
    Like: Expressions._like_value,
    Not: Expressions._not_value,
    And: Expressions._and_value,
    Or: Expressions._or_value,
    InList: Expressions._in_value,
    InQuery: Expressions._in_value,
    InRows: Expressions._in_rows_value,
}

_TRUES: dict[type[Term], Callable[[Expressions, Any, Rows], str]] = {
    Compare: Expressions._compared,
    Same: Expressions._same,
    IsTrue: Expressions._is_true,
    Exists: Expressions._exists_true,
    Like: Expressions._like_true,
    Not: Expressions._not_true,
    And: Expressions._and_true,
    Or: Expressions._or_true,
    InList: Expressions._in_true,
    InQuery: Expressions._in_true,
    InRows: Expressions._in_rows_true,
}

_FALSES: dict[type[Term], Callable[[Expressions, Any, Rows], str]] = {
    Compare: Expressions._compared_false,
    Same: Expressions._same_false,
    IsTrue: Expressions._is_true_false,
    Exists: Expressions._exists_false,
    Like: Expressions._like_false,
    Not: Expressions._not_false,
    And: Expressions._and_false,
    Or: Expressions._or_false,
    InList: Expressions._in_false,
    InQuery: Expressions._in_false,
    InRows: Expressions._in_rows_false,
}
