"""Type affinity: how SQLite converts a value for a column, and for a comparison with a column.

Source: https://www.sqlite.org/datatype3.html, sections 3.1, 3.3 and 4.2.
"""

from __future__ import annotations

import enum
import re

from rome.fallback import NotConvertible

SqlValue = None | int | float | str | bytes
"""The five storage classes."""


class Affinity(enum.Enum):
    """The affinity of a column."""

    TEXT = "text"
    NUMERIC = "numeric"
    INTEGER = "integer"
    REAL = "real"
    BLOB = "blob"


def affinity_of(declared: str) -> Affinity:
    """The affinity of a column by its declared type."""
    name = declared.upper()
    if "INT" in name:
        return Affinity.INTEGER
    if "CHAR" in name or "CLOB" in name or "TEXT" in name:
        return Affinity.TEXT
    if not name or "BLOB" in name:
        return Affinity.BLOB
    if "REAL" in name or "FLOA" in name or "DOUB" in name:
        return Affinity.REAL
    return Affinity.NUMERIC


_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)[ \t\n\v\f\r]*", re.ASCII)


_EXACT = 19
"""Longer texts of numbers may be rounded by SQLite in its own way."""


def convert(value: SqlValue, affinity: Affinity) -> SqlValue:
    """`value` as SQLite compares it with, or stores it in, a column of this affinity.

    Raise NotConvertible where only SQLite itself could tell (a float as text, a text with very many digits as a
    number).
    """
    if value is None or isinstance(value, bytes):
        return value
    if affinity is Affinity.TEXT:
        if isinstance(value, float):
            raise NotConvertible
        return value if isinstance(value, str) else str(int(value))
    if affinity is Affinity.BLOB or not isinstance(value, str):
        return value
    match = _NUMBER.fullmatch(value)
    if match is None:
        return value
    text = match.group(1)
    if len(text) > _EXACT:
        raise NotConvertible
    if text.lstrip("+-").isdigit():
        whole = int(text)
        return whole if -(2**63) <= whole < 2**63 else float(text)
    return float(text)
