"""What compiled statements do with values: compare, convert, calculate, put in order; exactly as SQLite.

Values are SQLite's five storage classes as Python has them: None, int, float, str, bytes. A helper that can't be sure
raises Unfit. NULL goes in and comes out as None, unless a docstring says otherwise.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rome.execution.compiled.refusal import Unfit

__all__ = ["defaultdict"]

ONCE = ((),)
"""What a SELECT without FROM goes through."""

_LEAST, _GREATEST = -(2**63), 2**63 - 1


class _Never:
    """A value that is not equal to anything, not unequal, not less and not more: NULL, as a filter sees it."""

    __slots__ = ()

    def __eq__(self, _other: object) -> bool:
        return False

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__


NEVER = _Never()


def never(value: Any) -> Any:
    """The value, or NEVER for NULL."""
    return NEVER if value is None else value


# ── conversions ───────────────────────────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile(
    r"[ \t\n\v\f\r]*([+-]?)(?:(\d+)|(\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE]([+-]?\d+))?)[ \t\n\v\f\r]*", re.ASCII
)
_BEGINS_AS_NUMBER = re.compile(r"[ \t\n\v\f\r]*[+-]?\.?\d", re.ASCII)
_EXACT_DIGITS, _EXACT_POWER = 15, 22


def as_number(value: Any) -> Any:
    """A text that is a number as that number, as numeric affinity has it; all else as it is."""
    if value.__class__ is not str:
        return value
    match = _NUMBER.fullmatch(value)
    if match is None:
        return value
    sign, whole, decimal, exponent = match.groups()
    if whole is not None:
        number = int(sign + whole)
        if _LEAST <= number <= _GREATEST:
            return number
        raise Unfit("a text that is a large number")
    if len(decimal.replace(".", "").lstrip("0")) > _EXACT_DIGITS or abs(int(exponent or 0)) > _EXACT_POWER:
        raise Unfit("a text that is a number of many digits")
    return float(match.group())


def as_text(value: Any) -> Any:
    """A number as text, as text affinity has it; all else as it is."""
    if value.__class__ is int:
        return str(value)
    if value.__class__ is float:
        raise Unfit("the text of a float")
    return value


def _operand(value: Any) -> Any:
    """A value that is not NULL as a number to calculate with."""
    if value.__class__ is int or value.__class__ is float:
        return value
    if value.__class__ is str:
        number = as_number(value)
        if number.__class__ is not str:
            return number
        if _BEGINS_AS_NUMBER.match(value) is None and "\0" not in value:
            return 0
    raise Unfit("a number in a text or blob")


def truth(value: Any) -> bool | None:
    """Whether a value is true."""
    if value is None:
        return None
    return bool(_operand(value) != 0)


def nocase(value: Any) -> Any:
    """What the collation NOCASE compares of a value: ASCII letters are all small."""
    if value.__class__ is not str:
        return value
    if "\0" in value:
        raise Unfit("NOCASE of a text with a NUL")
    return value.lower() if value.isascii() else value.translate(ASCII_LOWER)


ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
ASCII_UPPER = {code + 32: code for code in range(ord("A"), ord("Z") + 1)}


def rtrimmed(value: Any) -> Any:
    """What the collation RTRIM compares of a value: no spaces at the end."""
    return value.rstrip(" ") if value.__class__ is str else value


def cast_integer(value: Any) -> Any:
    """CAST AS INTEGER."""
    if value.__class__ is float:
        return max(_LEAST, min(_GREATEST, math.trunc(value)))
    if value is None or value.__class__ is int:
        return value
    number = _operand(value)
    if number.__class__ is float:
        raise Unfit("the integer in a text")
    return number


def cast_real(value: Any) -> Any:
    """CAST AS REAL."""
    return None if value is None else float(_operand(value))


def cast_numeric(value: Any) -> Any:
    """CAST AS NUMERIC."""
    if value is None or value.__class__ is int or value.__class__ is float:
        return value
    number = _operand(value)
    if number.__class__ is float and number.is_integer():
        raise Unfit("a text that is a whole float")
    return number


def cast_text(value: Any) -> Any:
    """CAST AS TEXT."""
    if value.__class__ is bytes:
        raise Unfit("the text of a blob")
    return as_text(value)


# ── comparisons of order ──────────────────────────────────────────────────────────────────────────────────────────────

_CLASS = {int: 1, float: 1, str: 2, bytes: 3}


def rank(value: Any) -> tuple[int, Any]:
    """What Python compares as SQLite compares values: NULL < numbers < texts < blobs."""
    return (0, 0) if value is None else (_CLASS[value.__class__], value)


def rank_nulls_last(value: Any) -> tuple[int, Any]:
    """As `rank`, but NULL is greater than anything."""
    return (4, 0) if value is None else (_CLASS[value.__class__], value)


def less(left: Any, right: Any) -> bool:
    """`left < right` is true."""
    if left is None or right is None:
        return False
    try:
        return bool(left < right)
    except TypeError:
        return rank(left) < rank(right)


def at_most(left: Any, right: Any) -> bool:
    """`left <= right` is true."""
    return left is not None and right is not None and not less(right, left)


def more(left: Any, right: Any) -> bool:
    """`left > right` is true."""
    return less(right, left)


def at_least(left: Any, right: Any) -> bool:
    """`left >= right` is true."""
    return left is not None and right is not None and not less(left, right)


def unequal(left: Any, right: Any) -> bool:
    """`left <> right` is true."""
    return left is not None and right is not None and left != right


def equal(left: Any, right: Any) -> bool:
    """`left = right` is true."""
    return left is not None and left == right


def _valued(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], int | None]:
    """A comparison's value: 1, 0 or NULL."""

    def value(left: Any, right: Any) -> int | None:
        return None if left is None or right is None else int(test(left, right))

    value.__module__ = __name__
    return value


equal_value = _valued(equal)
unequal_value = _valued(unequal)
less_value = _valued(less)
at_most_value = _valued(at_most)
more_value = _valued(more)
at_least_value = _valued(at_least)


# ── three-valued logic ────────────────────────────────────────────────────────────────────────────────────────────────


def not_value(value: Any) -> int | None:
    """NOT."""
    return None if value is None else int(not value)


def and_value(*values: Any) -> int | None:
    """AND: false beats NULL."""
    known = True
    for value in values:
        if value is None:
            known = False
        elif not value:
            return 0
    return 1 if known else None


def or_value(*values: Any) -> int | None:
    """OR: true beats NULL."""
    known = True
    for value in values:
        if value is None:
            known = False
        elif value:
            return 1
    return 0 if known else None


class Everything:
    """What contains all values."""

    def __contains__(self, _value: object) -> bool:
        return True


class Members:
    """The right side of IN. `present` is in it; `excluding` holds what NOT IN is not true of."""

    __slots__ = ("empty", "excluding", "has_null", "present")

    def __init__(self, present: frozenset[Any], has_null: bool) -> None:
        self.present = present
        self.has_null = has_null
        self.empty = not present and not has_null
        self.excluding: Any = Everything() if has_null else present


def members(listed: Sequence[Any], *steps: Callable[[Any], Any]) -> Members:
    """The right side of IN, each value put through the steps."""
    for step in steps:
        listed = [step(value) for value in listed]
    found = frozenset(listed)
    return Members(found - {None}, None in found)


def in_value(value: Any, right: Members) -> int | None:
    """IN."""
    if right.empty:
        return 0
    if value is None:
        return None
    if value in right.present:
        return 1
    return None if right.has_null else 0


class RowMembers:
    """The right side of IN for row values. `steps`: for each column, what its values are put through."""

    __slots__ = ("_incomplete", "_present")

    def __init__(self, rows: Sequence[Sequence[Any]], steps: Sequence[Sequence[Callable[[Any], Any]]]) -> None:
        if any(steps):
            rows = [tuple(map(_stepped, row, steps)) for row in rows]
        self._present = frozenset(tuple(row) for row in rows)
        self._incomplete = [row for row in self._present if None in row]

    def contain(self, row: tuple[Any, ...]) -> int | None:
        """IN. NULL, if only a NULL stands between the row and one of the members."""
        if None not in row:
            if row in self._present:
                return 1
            candidates: Iterable[tuple[Any, ...]] = self._incomplete
        else:
            candidates = self._present
        for candidate in candidates:
            pairs = zip(row, candidate, strict=True)
            if all(one is None or other is None or one == other for one, other in pairs):
                return None
        return 0


def _stepped(value: Any, steps: Sequence[Callable[[Any], Any]]) -> Any:
    for step in steps:
        value = step(value)
    return value


# ── arithmetic ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _result(number: float) -> float | None:
    """A result in floating point: what is no number is NULL."""
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return None
    raise Unfit("an infinite number")


def _calculated(left: Any, right: Any, operation: Callable[[Any, Any], Any]) -> Any:
    """Integers give an integer, if it has a place in 64 bits; else it is done in floating point."""
    if left is None or right is None:
        return None
    left, right = _operand(left), _operand(right)
    if left.__class__ is int and right.__class__ is int:
        whole = operation(left, right)
        if _LEAST <= whole <= _GREATEST:
            return whole
    try:
        return _result(operation(float(left), float(right)))
    except OverflowError:
        raise Unfit("an infinite number") from None


def add(left: Any, right: Any) -> Any:
    """`+`."""
    return _calculated(left, right, lambda one, other: one + other)


def subtract(left: Any, right: Any) -> Any:
    """`-`."""
    return _calculated(left, right, lambda one, other: one - other)


def multiply(left: Any, right: Any) -> Any:
    """`*`."""
    return _calculated(left, right, lambda one, other: one * other)


def divide(left: Any, right: Any) -> Any:
    """`/`: integers are cut towards zero; by zero is NULL."""
    if left is None or right is None:
        return None
    left, right = _operand(left), _operand(right)
    if right == 0:
        return None
    if left.__class__ is int and right.__class__ is int:
        whole = abs(left) // abs(right)
        whole = whole if (left < 0) == (right < 0) else -whole
        if whole <= _GREATEST:
            return whole
    return _result(float(left) / float(right))


def modulo(left: Any, right: Any) -> Any:
    """`%`: of integers, with the sign of the left one; a float among them makes the result one."""
    if left is None or right is None:
        return None
    left, right = _operand(left), _operand(right)
    whole, by = cast_integer(left), cast_integer(right)
    if by == 0:
        return None
    rest = abs(whole) % abs(by)
    rest = rest if whole >= 0 else -rest
    return rest if left.__class__ is int and right.__class__ is int else float(rest)


def _bits(value: Any) -> int:
    if value.__class__ is not int:
        raise Unfit("the bits of no integer")
    return int(value)


def bit_and(left: Any, right: Any) -> Any:
    """`&`."""
    return None if left is None or right is None else _bits(left) & _bits(right)


def bit_or(left: Any, right: Any) -> Any:
    """`|`."""
    return None if left is None or right is None else _bits(left) | _bits(right)


def shift_left(value: Any, by: Any) -> Any:
    """`<<`: bits that leave the 64 are lost; by less than nothing is to the right."""
    if value is None or by is None:
        return None
    value, by = _bits(value), _bits(by)
    if by < 0:
        return value >> min(64, -by)
    shifted = (value << min(64, by)) & (2**64 - 1)
    return shifted - 2**64 if shifted > _GREATEST else shifted


def shift_right(value: Any, by: Any) -> Any:
    """`>>`: the sign stays."""
    return None if by is None else shift_left(value, -_bits(by))


def absolute(value: Any) -> Any:
    """SQL abs."""
    if value is None:
        return None
    if value.__class__ not in (int, float) or value == _LEAST:
        raise Unfit("abs() of a text, or out of range")
    return abs(value)


def rounded(value: Any, digits: Any = 0) -> Any:
    """SQL round."""
    if value is None or digits is None:
        return None
    if value.__class__ is int and digits.__class__ is int:
        return _rounded_whole(float(value))
    if value.__class__ is not float or digits != 0:
        raise Unfit("round() to decimals")
    return _rounded_whole(value)


def _rounded_whole(value: float) -> float:
    if abs(value) >= 2**52:
        return value
    return float(math.trunc(value + (-0.5 if value < 0 else 0.5)))


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def same(value: Any) -> Any:
    """likely() and unlikely(): the value."""
    return value


def coalesce(*values: Any) -> Any:
    """The first that is not NULL."""
    for value in values:
        if value is not None:
            return value
    return None


def nullif(value: Any, other: Any) -> Any:
    """SQL nullif."""
    return None if value == other else value


def greatest(*values: Any) -> Any:
    """SQL max of several arguments; NULL if one of them is."""
    if None in values:
        return None
    return max(values, key=rank)


def least(*values: Any) -> Any:
    """SQL min of several arguments; NULL if one of them is."""
    if None in values:
        return None
    return min(values, key=rank)


def typeof(value: Any) -> str:
    """SQL typeof."""
    return _TYPES[value.__class__]


_TYPES = {type(None): "null", int: "integer", float: "real", str: "text", bytes: "blob"}


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ordered(
    rows: Iterable[Any], fast: Callable[[Any], Any], exact: Callable[[Any], Any], descending: bool
) -> list[Any]:
    """Rows by a key; equal ones stay in their order. `fast` is tried first, `exact` can always be compared."""
    rows = list(rows)
    try:
        return sorted(rows, key=fast, reverse=descending)
    except TypeError:
        return sorted(rows, key=exact, reverse=descending)


def _limit(value: Any) -> int:
    if value.__class__ is not int:
        raise Unfit("LIMIT of no integer")
    return int(value)


def start_of(offset: Any) -> int:
    """The position of the first row behind an OFFSET."""
    return max(0, _limit(offset))


def stop_of(limit: Any, offset: Any) -> int | None:
    """The position behind the last row that LIMIT and OFFSET leave. A negative limit is none."""
    limit = _limit(limit)
    return None if limit < 0 else limit + start_of(offset)


def only_value(rows: Sequence[Sequence[Any]]) -> Any:
    """The value of a scalar subquery."""
    if len(rows) > 1:
        raise Unfit("a scalar subquery of several rows")
    return rows[0][0] if rows else None


def first_value(rows: Sequence[Sequence[Any]]) -> Any:
    """The value of a scalar subquery with a LIMIT."""
    return rows[0][0] if rows else None


def _ranks(row: Iterable[Any]) -> list[tuple[int, Any]]:
    return [rank(value) for value in row]


def grouped(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, list[Any]]]:
    """Each group key with its members, in the order of the keys: SQLite sorts to group, and programs rely on it."""
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, member in pairs:
        found[key].append(member)
    return [(key, found[key]) for key in sorted(found, key=_ranks)]


def rows_united(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    """UNION; in order, as that of the others, because SQLite sorts to compare."""
    return sorted({*left, *right}, key=_ranks)


def rows_except(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    """EXCEPT."""
    return sorted(set(left).difference(right), key=_ranks)


def rows_in_both(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    """INTERSECT."""
    return sorted(set(left).intersection(right), key=_ranks)
