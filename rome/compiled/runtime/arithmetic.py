"""Operators and functions of numbers, as SQLite computes them."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

from rome.compiled.runtime.values import number_of
from rome.fallback import UnsupportedValue
from rome.values import GREATEST_INTEGER, LEAST_INTEGER

_BITS = 64
_ALL_BITS = 2**_BITS - 1


def _finite(number: float) -> float | None:
    """Return a floating-point result: NaN becomes NULL."""
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return None
    raise UnsupportedValue("an infinite number")


def _operator(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return an operator of SQL: it makes an integer of integers, if that fits into 64 bits; else a float."""

    def compute(left: Any, right: Any) -> Any:
        if left.__class__ is not int or right.__class__ is not int:
            if left is None or right is None:
                return None
            left, right = number_of(left), number_of(right)
            if left.__class__ is not int or right.__class__ is not int:
                return _in_floating_point(operation, left, right)
        whole = operation(left, right)
        if LEAST_INTEGER <= whole <= GREATEST_INTEGER:
            return whole
        return _in_floating_point(operation, left, right)

    return compute


def _in_floating_point(operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    try:
        return _finite(operation(float(left), float(right)))
    except OverflowError:
        raise UnsupportedValue("an infinite number") from None


add = _operator(operator.add)
subtract = _operator(operator.sub)
multiply = _operator(operator.mul)


def divide(left: Any, right: Any) -> Any:
    """Return left / right: of integers without the fraction; NULL if right is 0."""
    if left is None or right is None:
        return None
    left, right = number_of(left), number_of(right)
    if right == 0:
        return None
    if left.__class__ is float or right.__class__ is float or (left == LEAST_INTEGER and right == -1):
        return _finite(float(left) / float(right))
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def absolute(value: Any) -> Any:
    """Return abs(x) of a number."""
    if value is None:
        return None
    if (value.__class__ is int and value != LEAST_INTEGER) or value.__class__ is float:
        return abs(value)
    raise UnsupportedValue("abs of a text, of a blob, or of the least integer")


# ── operators of integers ─────────────────────────────────────────────────────────────────────────────────────────────


def _integers(left: Any, right: Any) -> tuple[int, int] | None:
    """Return the operands of an operator of integers; None if one is NULL."""
    if left is None or right is None:
        return None
    left, right = number_of(left), number_of(right)
    if left.__class__ is int and right.__class__ is int:
        return left, right
    raise UnsupportedValue("an operator of integers with a float")


def remainder(left: Any, right: Any) -> Any:
    """Return left % right, with the sign of left; NULL if right is 0."""
    operands = _integers(left, right)
    if operands is None or operands[1] == 0:
        return None
    rest = abs(operands[0]) % abs(operands[1])
    return rest if operands[0] >= 0 else -rest


def bits_in_both(left: Any, right: Any) -> Any:
    """Return left & right."""
    operands = _integers(left, right)
    return None if operands is None else operands[0] & operands[1]


def bits_in_either(left: Any, right: Any) -> Any:
    """Return left | right."""
    operands = _integers(left, right)
    return None if operands is None else operands[0] | operands[1]


def _shifted(value: int, by: int) -> int:
    """Return a number shifted to the left within 64 bits, to the right if `by` is negative."""
    if by < 0:
        return value >> min(-by, _BITS)
    bits: int = (value << min(by, _BITS)) & _ALL_BITS
    return bits - _ALL_BITS - 1 if bits > GREATEST_INTEGER else bits


def shift_left(left: Any, right: Any) -> Any:
    """Return left << right."""
    operands = _integers(left, right)
    return None if operands is None else _shifted(*operands)


def shift_right(left: Any, right: Any) -> Any:
    """Return left >> right."""
    operands = _integers(left, right)
    return None if operands is None else _shifted(operands[0], -operands[1])


# ── CAST ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

_LEADING_INTEGER = re.compile(r"[ \t\n\v\f\r]*([+-]?\d+)", re.ASCII)


def cast_integer(value: Any) -> Any:
    """Return CAST(x AS INTEGER): a number without its fraction, the integer that a text begins with, else 0."""
    if value is None or value.__class__ is int:
        return value
    if value.__class__ is bytes:
        raise UnsupportedValue("CAST of a blob")
    if value.__class__ is str:
        found = _LEADING_INTEGER.match(value)
        value = 0 if found is None else int(found[1])
    return int(max(LEAST_INTEGER, min(GREATEST_INTEGER, value)))


def cast_real(value: Any) -> Any:
    """Return CAST(x AS REAL) of a number."""
    number = cast_numeric(value)
    return None if number is None else float(number)


def cast_numeric(value: Any) -> Any:
    """Return CAST(x AS NUMERIC) of a number."""
    if value is None or value.__class__ is int or value.__class__ is float:
        return value
    raise UnsupportedValue("CAST of a text or blob to a number")
