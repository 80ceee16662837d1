"""Values: SQLite's storage classes, the affinity of columns, conversions, and collations.

    storage class     in Python      order
    NULL              None           before all others
    INTEGER, REAL     int, float     by number: 1 = 1.0
    TEXT              str            by the collation
    BLOB              bytes          by bytes

A column's affinity says how a value is converted when it is stored and when it is compared with the column:

    affinity                    stored                            compared with
    TEXT                        numbers become texts              numbers become texts
    NUMERIC, INTEGER, REAL      texts of numbers become numbers   texts of numbers become numbers
    BLOB (no affinity)          unchanged                         unchanged

Some conversions are SQLite's alone: the text of a float, and the number in a text of many digits, which SQLite may
round in another way than Python. These raise NotConvertible; the caller then takes a path that leaves them to SQLite.

A collation is applied to a text as a *fold*: texts are equal and ordered under the collation as their folds are.

Source: https://www.sqlite.org/datatype3.html, sections 3.1, 3.3 and 4.2.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence

from rome.errors import NotSupportedError
from rome.fallback import NotConvertible
from rome.folding import ascii_lower, upper_name

SqlValue = None | int | float | str | bytes
"""A value of one of the five storage classes."""

Columns = Sequence[Sequence[SqlValue]]
"""The values of many rows, column by column. Many rows are kept so: there is no object for each."""

STORAGE_CLASSES = frozenset({type(None), int, float, str, bytes})
"""The types of these values. Subclasses of them (bool, an enumeration) are not among them."""

LEAST_INTEGER, GREATEST_INTEGER = -(2**63), 2**63 - 1


def is_identical(one: Sequence[SqlValue], other: Sequence[SqlValue]) -> bool:
    """Return True if two rows have the same values of the same storage classes: 1 and 1.0 are equal, not identical."""
    return one == other and all(type(a) is type(b) for a, b in zip(one, other, strict=True))


# ── affinity ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Affinity(enum.Enum):
    """The affinity of a column."""

    TEXT = "text"
    NUMERIC = "numeric"
    INTEGER = "integer"
    REAL = "real"
    BLOB = "blob"


NUMERIC_AFFINITIES = frozenset({Affinity.NUMERIC, Affinity.INTEGER, Affinity.REAL})
"""Those that turn texts of numbers into numbers. Columns of these are compared with each other without conversion."""

STORED_UNCHANGED: Mapping[Affinity, frozenset[type]] = {
    Affinity.TEXT: frozenset({str, bytes}),
    Affinity.NUMERIC: frozenset({int, bytes}),
    Affinity.INTEGER: frozenset({int, bytes}),
    Affinity.REAL: frozenset({bytes}),
    Affinity.BLOB: frozenset({int, str, bytes}),
}
"""The types whose values a column of this affinity stores as they are."""

COMPARED_UNCHANGED: Mapping[Affinity, frozenset[type]] = {
    Affinity.TEXT: frozenset({str}),
    Affinity.NUMERIC: frozenset({int}),
    Affinity.INTEGER: frozenset({int}),
    Affinity.REAL: frozenset({int}),
    Affinity.BLOB: frozenset({int, str, bytes}),
}
"""The types whose values are compared as they are with a column of this affinity: they are encoded as keys."""


def affinity_of(declared: str) -> Affinity:
    """Return the affinity of a column of this declared type."""
    name = upper_name(declared)
    if "INT" in name:
        return Affinity.INTEGER
    if "CHAR" in name or "CLOB" in name or "TEXT" in name:
        return Affinity.TEXT
    if not name or "BLOB" in name:
        return Affinity.BLOB
    if "REAL" in name or "FLOA" in name or "DOUB" in name:
        return Affinity.REAL
    return Affinity.NUMERIC


def comparison_affinity(one: Affinity | None, other: Affinity | None) -> Affinity | None:
    """Return the affinity by which a comparison converts its operands: NUMERIC, TEXT, or None.

    `one`, `other`: those of the operands; None for an expression that has none. See SQLite's `sqlite3CompareAffinity`.
    """
    if one is not None and other is not None:
        return Affinity.NUMERIC if not NUMERIC_AFFINITIES.isdisjoint((one, other)) else None
    return applied_affinity(one or other)


def applied_affinity(affinity: Affinity | None) -> Affinity | None:
    """Return the affinity by which values are converted that are compared with one: NUMERIC, TEXT, or None."""
    if affinity is None or affinity is Affinity.BLOB:
        return None
    return Affinity.NUMERIC if affinity in NUMERIC_AFFINITIES else Affinity.TEXT


def are_compared_unconverted(one: Affinity, other: Affinity) -> bool:
    """Return True if columns of these affinities hold what comparisons take them for: none is converted."""
    return one is other or (one in NUMERIC_AFFINITIES and other in NUMERIC_AFFINITIES)


def has_one_key(source: Affinity, target: Affinity) -> bool:
    """Return True if a value of a column, converted for another one, is the only key that equals it there.

    Else equal values of `target` may have several keys: the texts of one number, for example.
    """
    if target in NUMERIC_AFFINITIES:
        return True
    if target is Affinity.TEXT:
        return source in (Affinity.TEXT, Affinity.BLOB)
    return source is target


# ── conversions ───────────────────────────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile(
    r"[ \t\n\v\f\r]*([+-]?)(?:(\d+)|(\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE]([+-]?\d+))?)[ \t\n\v\f\r]*", re.ASCII
)

_EXACT_DIGITS, _EXACT_POWER = 15, 22
"""Decimal numbers within these limits have one nearest float, which every way of conversion finds."""


def number_in(text: str) -> int | float | None:
    """Return the number that a text is; None if it is none.

    Raise NotConvertible for a number of too many digits, and for a text with a NUL, which ends some of SQLite's
    conversions.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        if "\0" in text:
            raise NotConvertible("a text with a NUL")
        return None
    sign, whole, decimal, exponent = match.groups()
    if whole is not None:
        number = int(sign + whole)
        if LEAST_INTEGER <= number <= GREATEST_INTEGER:
            return number
        raise NotConvertible("a text that is a large number")
    if len(decimal.replace(".", "").lstrip("0")) > _EXACT_DIGITS or abs(int(exponent or 0)) > _EXACT_POWER:
        raise NotConvertible("a text that is a number of many digits")
    return float(match.group())


def convert(value: SqlValue, affinity: Affinity) -> SqlValue:
    """Return a value as SQLite compares it with a column of this affinity. Raise NotConvertible."""
    if value is None or isinstance(value, bytes):
        return value
    if affinity is Affinity.TEXT:
        if isinstance(value, float):
            raise NotConvertible("the text of a float")
        return value if isinstance(value, str) else str(int(value))
    if affinity is Affinity.BLOB or not isinstance(value, str):
        return value
    number = number_in(value)
    return value if number is None else number


_MAYBE_NUMBER = re.compile(r"[ \t-\r]*[+-]?[0-9.]+(?:[eE][+-]?[0-9]*)?[ \t-\r]*")
"""Any other text stays a text in a column of numbers, unless it has a NUL."""


def convert_to_store(value: SqlValue, affinity: Affinity) -> SqlValue:
    """Return a value as a column of this affinity stores it. Raise NotConvertible."""
    kind = type(value)
    if value is None or kind in STORED_UNCHANGED[affinity]:
        return value
    if isinstance(value, str) and kind is str and not (_MAYBE_NUMBER.fullmatch(value) or "\0" in value):
        return value
    # NaN is stored as NULL.
    if isinstance(value, float) and kind is float and value == value:
        if affinity is Affinity.REAL:
            return value + 0.0  # a REAL column has no negative zero
        # Columns of integers and NUMERIC store a float without a fraction as an integer.
        if affinity is Affinity.BLOB or (affinity is not Affinity.TEXT and value % 1):
            return value
    if kind is int and affinity is Affinity.TEXT:
        return str(value)
    raise NotConvertible("only SQLite knows what the column stores")


# ── collations ────────────────────────────────────────────────────────────────────────────────────────────────────────


def collate(value: SqlValue, collation: str) -> SqlValue:
    """Return the fold of a value under one of SQLite's collations. Only texts change.

    Raise NotSupportedError for a collation that SQLite does not have built in.
    """
    if collation == "BINARY" or not isinstance(value, str):
        return value
    try:
        return COLLATIONS[upper_name(collation)](value)
    except KeyError:
        raise NotSupportedError(f"no such collation sequence: {collation}") from None


def collate_each(values: Sequence[SqlValue], collation: str) -> Sequence[SqlValue]:
    """Return the folds of many values, as `collate` does one by one. Raise NotSupportedError."""
    return values if collation == "BINARY" else [collate(value, collation) for value in values]


def _nocase(text: str) -> str:
    """Fold ASCII letters. Of what follows a NUL, SQLite's NOCASE compares only the length."""
    lower = ascii_lower(text)
    head, nul, tail = lower.partition("\0")
    return head + nul + "\0" * len(tail.encode()) if nul else lower


def _rtrim(text: str) -> str:
    """Remove spaces at the end."""
    return text.rstrip(" ")


COLLATIONS: Mapping[str, Callable[[str], str]] = {"BINARY": str, "NOCASE": _nocase, "RTRIM": _rtrim}
"""The fold of each collation that SQLite has built in, by its name in upper case."""


# ── texts that are not UTF-8 ──────────────────────────────────────────────────────────────────────────────────────────

# No application can write one, but SQLite computes them: lower(x'ff') is a text of this one byte. ROME keeps the bytes
# of such a text in stored generated columns and in indexes of expressions, as a str with surrogates (PEP 383).


def text_of(data: bytes) -> str:
    """Return the text of some bytes, with surrogates in the place of those that are not UTF-8."""
    return data.decode("utf-8", "surrogateescape")


def has_surrogates(value: SqlValue) -> bool:
    """Return True for a text that UTF-8 can't encode."""
    if not isinstance(value, str) or value.isascii():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
