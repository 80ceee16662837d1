"""Folding: names and texts in one case, as SQLite compares them. Only ASCII letters have two cases there.

    >>> fold_name("Straße"), fold_name("ÄPFEL")
    ('straße', 'Äpfel')

`str.lower` and `str.upper` also change other letters, and even make ASCII letters of them (`"ſ".upper()` is `"S"`), so
neither is ever right for the name of a table, column, index, savepoint or collation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import methodcaller

_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER = {lower: upper for upper, lower in _LOWER.items()}

_ANY = "surrogatepass"
"""`bytes.lower` knows ASCII only, and takes a tenth of the time of `str.translate`."""


def ascii_lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case."""
    return text.lower() if text.isascii() else text.encode(errors=_ANY).lower().decode(errors=_ANY)


def ascii_upper(text: str) -> str:
    """Return a text with its ASCII letters in upper case."""
    return text.upper() if text.isascii() else text.encode(errors=_ANY).upper().decode(errors=_ANY)


# Names are folded everywhere, so these two have no frame of Python.
fold_name: Callable[[str], str] = lru_cache(maxsize=10_000)(methodcaller("translate", _LOWER))
"""Return the form of a name that all its spellings share."""

upper_name: Callable[[str], str] = lru_cache(maxsize=10_000)(methodcaller("translate", _UPPER))
"""Return a keyword, or the name of a type or a collation, in upper case."""
