"""Aggregate functions over the values of a group, as SQLite computes them. NULLs are ignored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rome.compiled.runtime.values import rank
from rome.fallback import UnsupportedValue

_INT64 = 2**63
_EXACT_INT = 2**52
"""The least integer that is not added to floats here: SQLite splits larger ones first."""


def count_values(values: Sequence[Any]) -> int:
    """Return count(x)."""
    return len(values) - values.count(None)


def least_of(values: Sequence[Any]) -> Any:
    """Return min(x)."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    try:
        return min(present)
    except TypeError:
        return min(present, key=rank)


def greatest_of(values: Sequence[Any]) -> Any:
    """Return max(x)."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    try:
        return max(present)
    except TypeError:
        return max(present, key=rank)


def _sum_and_count(values: Sequence[Any]) -> tuple[int | float, int]:
    """Return the sum of the values and their number. Floats are added as in SQLite, by Kahan-Babuska-Neumaier
    summation.
    """
    present = [value for value in values if value is not None]
    classes = {value.__class__ for value in present}
    if classes <= {int}:
        return sum(present), len(present)
    if not classes <= {int, float}:
        raise UnsupportedValue("a sum of texts or blobs")
    total, compensation = 0.0, 0.0
    for value in present:
        if value.__class__ is int and not -_EXACT_INT < value < _EXACT_INT:
            raise UnsupportedValue("a sum of floats and large integers")
        number = float(value)
        new = total + number
        compensation += (total - new) + number if abs(total) > abs(number) else (number - new) + total
        total = new
    result = total + compensation
    if result - result != 0:
        raise UnsupportedValue("an infinite sum")
    return result, len(present)


def sum_of(values: Sequence[Any]) -> Any:
    """Return sum(x): NULL without any value."""
    total, number = _sum_and_count(values)
    if not -_INT64 <= total < _INT64 and total.__class__ is int:
        raise UnsupportedValue("integer overflow")
    return total if number else None


def average_of(values: Sequence[Any]) -> Any:
    """Return avg(x)."""
    total, number = _sum_and_count(values)
    return _as_float(total) / number if number else None


def _as_float(total: int | float) -> float:
    if total.__class__ is int and not -_EXACT_INT < total < _EXACT_INT:
        raise UnsupportedValue("a large sum as a float")
    return float(total)
