"""`Numeric`: as on SQLite an 8-byte float in the database. A decimal comes back exactly, or there is a warning.

SQLite has no decimals, so comparisons, order and sums are those of floats. A text would keep all digits, but `10 < 9`
as texts, and SQL's sum() makes floats of them all the same. So an application that needs more digits, or exact sums,
stores integers of its smallest unit.

A float keeps 15 significant decimal digits, and `repr` gives them back. (SQLAlchemy's own conversion formats the float
with a fixed number of decimal places: 9999999999.99999 comes back as 9999999999.9999904633.)
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import types, util

from rome.values import GREATEST_INTEGER

if TYPE_CHECKING:
    _Numeric = types.Numeric[Any]
else:
    _Numeric = types.Numeric  # not generic in SQLAlchemy 1.4

_LOSS = (
    "A Numeric value has more digits than an 8-byte float keeps, and is rounded (15 significant digits are exact). "
    "Consider storing integers of the smallest unit, or strings."
)


class RomeNumeric(_Numeric):
    """SQLAlchemy's Numeric over floats, without silent loss of digits."""

    def bind_processor(self, dialect: Any) -> Callable[[Any], float | None]:
        """Return the function that makes floats of values."""
        return _to_float

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Decimal | None] | None:
        """Return the function that makes decimals of floats and integers; None if floats are wanted."""
        if not self.asdecimal:
            return None
        places = f".{self._effective_decimal_return_scale}f"

        def to_decimal(value: Any) -> Decimal | None:
            return None if value is None else Decimal(format(_read(value), places))

        return to_decimal


def _to_float(value: Any) -> float | None:
    """Return a value as a float. Warn if it was a decimal or an integer that has more digits."""
    if value is None or isinstance(value, float):
        return value
    number = float(value)
    if isinstance(value, (int, Decimal)) and _is_rounded(Decimal(value), number):
        util.warn(_LOSS)
    return number


def _is_rounded(exact: Decimal, number: float) -> bool:
    """Return True if the float of a decimal is read as another decimal. SQLite stores whole floats as integers."""
    if exact == _read(number) or not exact.is_finite():
        return False
    return abs(number) > GREATEST_INTEGER or exact != Decimal(number)


def _read(value: Any) -> Decimal:
    return Decimal(repr(value) if isinstance(value, float) else value)
