"""Operators and functions of numbers, as SQLite computes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rome.compiled.runtime.values import cast_integer, number_of
from rome.fallback import UnsupportedValue
from rome.values import GREATEST_INTEGER, LEAST_INTEGER


def _finite(number: float) -> float | None:
    """Return a floating-point result: NaN becomes NULL."""
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return None
    raise UnsupportedValue("an infinite number")


def _compute(left: Any, right: Any, operation: Callable[[Any, Any], Any]) -> Any:
    """Return an integer of integers, if it fits into 64 bits; else compute in floating point."""
    if left is None or right is None:
        return None
    left, right = number_of(left), number_of(right)
    if left.__class__ is int and right.__class__ is int:
        whole = operation(left, right)
        if LEAST_INTEGER <= whole <= GREATEST_INTEGER:
            return whole
    try:
        return _finite(operation(float(left), float(right)))
    except OverflowError:
        raise UnsupportedValue("an infinite number") from None


def add(left: Any, right: Any) -> Any:
    """Return left + right."""
    return _compute(left, right, lambda one, other: one + other)


def subtract(left: Any, right: Any) -> Any:
    """Return left - right."""
    return _compute(left, right, lambda one, other: one - other)


def multiply(left: Any, right: Any) -> Any:
    """Return left * right."""
    return _compute(left, right, lambda one, other: one * other)


def divide(left: Any, right: Any) -> Any:
    """Return left / right: of integers rounded towards zero; NULL if right is 0."""
    if left is None or right is None:
        return None
    left, right = number_of(left), number_of(right)
    if right == 0:
        return None
    if left.__class__ is int and right.__class__ is int:
        whole = abs(left) // abs(right)
        whole = whole if (left < 0) == (right < 0) else -whole
        if whole <= GREATEST_INTEGER:
            return whole
    return _finite(float(left) / float(right))


def modulo(left: Any, right: Any) -> Any:
    """Return left % right, of their integer parts, with the sign of left; a float if one of them is a float."""
    if left is None or right is None:
        return None
    left, right = number_of(left), number_of(right)
    whole, by = cast_integer(left), cast_integer(right)
    if by == 0:
        return None
    rest = abs(whole) % abs(by)
    rest = rest if whole >= 0 else -rest
    return rest if left.__class__ is int and right.__class__ is int else float(rest)


def _bits(value: Any) -> int:
    if value.__class__ is not int:
        raise UnsupportedValue("a bitwise operation on a non-integer")
    return int(value)


def bit_and(left: Any, right: Any) -> Any:
    """Return left & right."""
    return None if left is None or right is None else _bits(left) & _bits(right)


def bit_or(left: Any, right: Any) -> Any:
    """Return left | right."""
    return None if left is None or right is None else _bits(left) | _bits(right)


def shift_left(value: Any, by: Any) -> Any:
    """Return value << by, in 64 bits; by a negative number, value >> -by."""
    if value is None or by is None:
        return None
    value, by = _bits(value), _bits(by)
    if by < 0:
        return value >> min(64, -by)
    shifted = (value << min(64, by)) & (2**64 - 1)
    return shifted - 2**64 if shifted > GREATEST_INTEGER else shifted


def shift_right(value: Any, by: Any) -> Any:
    """Return value >> by, with the sign kept."""
    return None if by is None else shift_left(value, -_bits(by))


def absolute(value: Any) -> Any:
    """Return abs(value)."""
    if value is None:
        return None
    if value.__class__ not in (int, float) or value == LEAST_INTEGER:
        raise UnsupportedValue("abs() of a text, or out of range")
    return abs(value)


def rounded(value: Any, digits: Any = 0) -> Any:
    """Return round(value, digits)."""
    if value is None or digits is None:
        return None
    if value.__class__ is int and digits.__class__ is int:
        return _round_half_away(float(value))
    if value.__class__ is not float or digits != 0:
        raise UnsupportedValue("round() to decimals")
    return _round_half_away(value)


def _round_half_away(value: float) -> float:
    if abs(value) >= 2**52:
        return value
    return float(math.trunc(value + (-0.5 if value < 0 else 0.5)))
