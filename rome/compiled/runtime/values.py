"""Conversions, comparisons and three-valued logic over values, as SQLite computes them.

Values are SQLite's five storage classes in Python: None, int, float, str, bytes. The result of NULL is NULL, unless a
docstring says otherwise. A function raises UnsupportedValue where SQLite's result is not certain.
"""

from __future__ import annotations

import re
from typing import Any

from rome.fallback import NotConvertible, UnsupportedValue
from rome.folding import ascii_lower
from rome.values import number_in


class _Never:
    """A value that every comparison with is false: NULL in a filter."""

    __slots__ = ()

    def __eq__(self, _other: object) -> bool:
        return False

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__


NEVER = _Never()


# ── conversions ───────────────────────────────────────────────────────────────────────────────────────────────────────

_BEGINS_AS_NUMBER = re.compile(r"[ \t\n\v\f\r]*[+-]?\.?\d", re.ASCII)


def as_number(value: Any) -> Any:
    """Apply numeric affinity: return the number that a text is; any other value unchanged."""
    if value.__class__ is not str:
        return value
    try:
        number = number_in(value)
    except NotConvertible as error:
        raise UnsupportedValue(str(error)) from error
    return value if number is None else number


def as_text(value: Any) -> Any:
    """Apply text affinity: return a number as text; any other value unchanged."""
    if value.__class__ is int:
        return str(value)
    if value.__class__ is float:
        raise UnsupportedValue("the text of a float")
    return value


def number_of(value: Any) -> Any:
    """Return a value that is not NULL as an operand of arithmetic."""
    if value.__class__ is int or value.__class__ is float:
        return value
    if value.__class__ is str:
        number = as_number(value)
        if number.__class__ is not str:
            return number
        if _BEGINS_AS_NUMBER.match(value) is None and "\0" not in value:
            return 0
    raise UnsupportedValue("a number in a text or blob")


def truth(value: Any) -> bool | None:
    """Return True if a value is true, False if it is false, None for NULL."""
    if value is None:
        return None
    return bool(number_of(value) != 0)


def nocase(value: Any) -> Any:
    """Fold a value for the collation NOCASE: ASCII letters become lower case."""
    if value.__class__ is not str:
        return value
    if "\0" in value:
        raise UnsupportedValue("NOCASE of a text with a NUL")
    return ascii_lower(value)


def rtrimmed(value: Any) -> Any:
    """Fold a value for the collation RTRIM: remove spaces at the end."""
    return value.rstrip(" ") if value.__class__ is str else value


# ── comparisons of order ──────────────────────────────────────────────────────────────────────────────────────────────

_CLASS = {int: 1, float: 1, str: 2, bytes: 3}


def rank(value: Any) -> tuple[int, Any]:
    """Return a key that Python compares as SQLite compares values: NULL < numbers < texts < blobs."""
    return (0, 0) if value is None else (_CLASS[value.__class__], value)


def rank_nulls_last(value: Any) -> tuple[int, Any]:
    """Return a key as `rank` does, in which NULL is greater than any value."""
    return (4, 0) if value is None else (_CLASS[value.__class__], value)


def less(left: Any, right: Any) -> bool:
    """Return True if left < right."""
    if left is None or right is None:
        return False
    try:
        return bool(left < right)
    except TypeError:
        return rank(left) < rank(right)


def at_most(left: Any, right: Any) -> bool:
    """Return True if left <= right."""
    return left is not None and right is not None and not less(right, left)


def more(left: Any, right: Any) -> bool:
    """Return True if left > right."""
    return less(right, left)


def at_least(left: Any, right: Any) -> bool:
    """Return True if left >= right."""
    return left is not None and right is not None and not less(left, right)


def unequal(left: Any, right: Any) -> bool:
    """Return True if left <> right."""
    return left is not None and right is not None and left != right


def equal(left: Any, right: Any) -> bool:
    """Return True if left = right."""
    return left is not None and left == right


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def coalesce(*values: Any) -> Any:
    """Return the first value that is not NULL."""
    for value in values:
        if value is not None:
            return value
    return None


def null_if(value: Any, other: Any) -> Any:
    """Return nullif(x, y): NULL if both are equal, else x."""
    return None if value is not None and other is not None and rank(value) == rank(other) else value


def greatest(*values: Any) -> Any:
    """Return max(x, y, …): NULL if a value is NULL."""
    return None if None in values else max(values, key=rank)


def least(*values: Any) -> Any:
    """Return min(x, y, …): NULL if a value is NULL. Of equal numbers the last one, as SQLite does."""
    return None if None in values else min(reversed(values), key=rank)


_TYPES = {type(None): "null", int: "integer", float: "real", str: "text", bytes: "blob"}


def type_of(value: Any) -> str:
    """Return typeof(x)."""
    return _TYPES[value.__class__]
