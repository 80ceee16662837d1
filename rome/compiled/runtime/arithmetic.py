"""Operators and functions of numbers, as SQLite computes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rome.compiled.runtime.values import number_of
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
