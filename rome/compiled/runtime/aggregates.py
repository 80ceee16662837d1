"""Aggregate functions over the values of a group, as SQLite computes them. NULLs are ignored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rome.compiled.runtime.values import rank
from rome.fallback import UnsupportedValue
from rome.values import GREATEST_INTEGER, LEAST_INTEGER

_NULL = type(None)
_INTEGERS = {int}

_EXACT_INT = 2**52
"""The least integer that is not taken for a float here: SQLite splits larger ones first."""


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


def _sum_and_count(values: Sequence[Any]) -> tuple[int, int]:
    """Return the sum of the values and their number. (SQLite adds floats with a compensation of rounding errors.)"""
    classes = set(map(type, values))
    if _NULL in classes:
        classes.discard(_NULL)
        values = [value for value in values if value is not None]
    if not classes <= _INTEGERS:
        raise UnsupportedValue("a sum of floats, texts or blobs")
    return sum(values), len(values)


def sum_of(values: Sequence[Any]) -> Any:
    """Return sum(x): NULL without any value."""
    total, number = _sum_and_count(values)
    if not LEAST_INTEGER <= total <= GREATEST_INTEGER:
        raise UnsupportedValue("integer overflow")
    return total if number else None


def average_of(values: Sequence[Any]) -> Any:
    """Return avg(x)."""
    total, number = _sum_and_count(values)
    if not -_EXACT_INT < total < _EXACT_INT:
        raise UnsupportedValue("a large sum as a float")
    return float(total) / number if number else None
