"""Aggregate functions over the values of a group; exactly as SQLite. NULLs do not count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rome.compiled.runtime.text import concat
from rome.compiled.runtime.values import rank
from rome.fallback import UnsupportedValue

_INT64 = 2**63
_EXACT_INT = 2**52
"""Integers from here on are not added to floats: SQLite takes them apart first."""


def count_values(values: Sequence[Any]) -> int:
    """count(x)."""
    return len(values) - values.count(None)


def least_of(values: Sequence[Any]) -> Any:
    """min(x)."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    try:
        return min(known)
    except TypeError:
        return min(known, key=rank)


def greatest_of(values: Sequence[Any]) -> Any:
    """max(x)."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    try:
        return max(known)
    except TypeError:
        return max(known, key=rank)


def _added(values: Sequence[Any]) -> tuple[int | float, int]:
    """The sum of the values and their number. Floats are added as SQLite does, by Kahan, Babuska and Neumaier."""
    known = [value for value in values if value is not None]
    classes = {value.__class__ for value in known}
    if classes <= {int}:
        return sum(known), len(known)
    if not classes <= {int, float}:
        raise UnsupportedValue("a sum of texts or blobs")
    total, lost = 0.0, 0.0
    for value in known:
        if value.__class__ is int and not -_EXACT_INT < value < _EXACT_INT:
            raise UnsupportedValue("a sum of floats and large integers")
        number = float(value)
        new = total + number
        lost += (total - new) + number if abs(total) > abs(number) else (number - new) + total
        total = new
    result = total + lost
    if result - result != 0:
        raise UnsupportedValue("an infinite sum")
    return result, len(known)


def sum_of(values: Sequence[Any]) -> Any:
    """sum(x): NULL of nothing."""
    total, number = _added(values)
    if not -_INT64 <= total < _INT64 and total.__class__ is int:
        raise UnsupportedValue("integer overflow")
    return total if number else None


def total_of(values: Sequence[Any]) -> float:
    """total(x): 0.0 of nothing."""
    return _as_float(_added(values)[0])


def average_of(values: Sequence[Any]) -> Any:
    """avg(x)."""
    total, number = _added(values)
    return _as_float(total) / number if number else None


def _as_float(total: int | float) -> float:
    if total.__class__ is int and not -_EXACT_INT < total < _EXACT_INT:
        raise UnsupportedValue("a large sum as a float")
    return float(total)


def concat_of(values: Sequence[Any], separator: Any) -> Any:
    """group_concat(x, separator)."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if separator is None:
        separator = ""
    found = known[0]
    if found.__class__ is not str:
        found = concat("", found)
    for value in known[1:]:
        found = concat(concat(found, separator), value)
    return found
