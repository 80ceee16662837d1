"""LIKE and the functions of texts, as SQLite computes them.

SQLite's functions stop at a NUL in a text, and format floats in their own way: both raise UnsupportedValue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from rome.fallback import UnsupportedValue
from rome.folding import ascii_lower, ascii_upper
from rome.values import GREATEST_INTEGER

_LONGEST_PATTERN = 5000


def _text(value: Any) -> str:
    """Return a value that is not NULL as a text."""
    if value.__class__ is str:
        if "\0" in value:
            raise UnsupportedValue("a text with a NUL")
        return str(value)
    if value.__class__ is int:
        return str(value)
    raise UnsupportedValue("the text of a float or blob")


def concat(left: Any, right: Any) -> Any:
    """Return left || right."""
    if left is None or right is None:
        return None
    return _text(left) + _text(right)


# ── LIKE ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _always_null(value: Any) -> None:
    """Match a value against a pattern that is NULL. (Whether LIKE takes blobs depends on how SQLite was built.)"""
    if value.__class__ is bytes:
        raise UnsupportedValue("LIKE of a blob")


def like_matcher(pattern: Any, escape: Any = "") -> Callable[[Any], int | None]:
    """Return a function that returns, for a value, 1 if it is LIKE the pattern, else 0; None for NULL."""
    if pattern is None or escape is None:
        return _always_null
    return _matcher(_text(pattern), _text(escape))


@lru_cache(maxsize=256)
def _matcher(pattern: str, escape: str) -> Callable[[Any], int | None]:
    if len(escape) > 1 or len(pattern) > _LONGEST_PATTERN:
        raise UnsupportedValue("a long pattern, or ESCAPE of several characters")
    pieces = [""]
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            escaped = next(characters, None)
            pieces[-1] += r"(?!)" if escaped is None else re.escape(escaped)
        elif character == "%":
            pieces.append("")
        else:
            pieces[-1] += "." if character == "_" else re.escape(character)
    return _matching(re.compile(_expression(pieces), re.DOTALL | re.IGNORECASE | re.ASCII))


def _expression(pieces: Sequence[str]) -> str:
    """Return the regular expression of the pieces between a pattern's wildcards."""
    first, *rest = pieces
    if not rest:
        return first
    between, last = [piece for piece in rest[:-1] if piece], rest[-1]
    if len(between) == 1 and not last:
        return f"{first}.*{between[0]}.*"  # the same, and quicker
    return "".join((first, *map(_up_to, between), ".*", last))


def _up_to(piece: str) -> str:
    """Return the expression of all up to the first place of a piece.

    If the rest does not match after that, it matches after no later place. So nothing is given back (`*+`, `(?>…)`):
    trying all places takes n**k steps for k wildcards.
    """
    if not piece.strip("."):
        return piece
    return f"[^{piece}]*+{piece}" if len(piece.removeprefix("\\")) == 1 else f"(?>.*?{piece})"


def _matching(expression: re.Pattern[str]) -> Callable[[Any], int | None]:
    match = expression.fullmatch

    def matches(value: Any) -> int | None:
        if value is None:
            return None
        return 1 if match(_text(value)) else 0

    return matches


# ── functions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def lower(value: Any) -> Any:
    """Return a text in lower case, as SQL lower: ASCII letters only."""
    return None if value is None else ascii_lower(_text(value))


def upper(value: Any) -> Any:
    """Return a text in upper case, as SQL upper: ASCII letters only."""
    return None if value is None else ascii_upper(_text(value))


def cast_text(value: Any) -> Any:
    """Return CAST(x AS TEXT) of a text or an integer."""
    return None if value is None else _text(value)


def length_of(value: Any) -> Any:
    """Return length(x): characters of a text or a number, bytes of a blob."""
    if value is None:
        return None
    return len(value if value.__class__ is bytes else _text(value))


def substring(value: Any, start: Any, length: Any = GREATEST_INTEGER) -> Any:
    """Return substr(x, start, length): positions begin at 1, and at the end if they are negative.

    A negative length takes what is before the start. Position 0 is one before the first, and takes one of the length.
    """
    if value is None or start is None or length is None:
        return None
    if start.__class__ is not int or length.__class__ is not int:
        raise UnsupportedValue("substr with a position that is not an integer")
    whole = value if value.__class__ is bytes else _text(value)
    first = start - 1 if start > 0 else start + len(whole) if start < 0 else -1
    if length < 0:
        first += start == 0
        first, end = first + length, first
    else:
        end = first + length
    return whole[max(first, 0) : max(end, 0)]


def replaced(value: Any, old: Any, new: Any) -> Any:
    """Return replace(x, old, new)."""
    if value is None or old is None:
        return None
    whole, part = _text(value), _text(old)
    if not part:
        return whole
    return None if new is None else whole.replace(part, _text(new))


def position_in(value: Any, part: Any) -> Any:
    """Return instr(x, part): the position of the first occurrence, from 1; 0 if there is none."""
    if value is None or part is None:
        return None
    if value.__class__ is bytes and part.__class__ is bytes:
        return value.find(part) + 1
    return _text(value).find(_text(part)) + 1


def trimmed(value: Any) -> Any:
    """Return trim(x)."""
    return None if value is None else _text(value).strip(" ")


def left_trimmed(value: Any) -> Any:
    """Return ltrim(x)."""
    return None if value is None else _text(value).lstrip(" ")


def right_trimmed(value: Any) -> Any:
    """Return rtrim(x)."""
    return None if value is None else _text(value).rstrip(" ")
