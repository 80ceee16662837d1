"""LIKE, GLOB and the functions of texts, as SQLite computes them.

SQLite's functions stop at a NUL in a text, and format floats in their own way: both raise UnsupportedValue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from rome.fallback import UnsupportedValue
from rome.folding import ascii_lower, ascii_upper

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


# ── LIKE and GLOB ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _always_null(value: Any) -> None:
    """Match a value against a pattern that is NULL. (Whether LIKE takes blobs depends on how SQLite was built.)"""
    if value.__class__ is bytes:
        raise UnsupportedValue("LIKE of a blob")


def like_matcher(pattern: Any, escape: Any = "") -> Callable[[Any], int | None]:
    """Return a function that returns, for a value, 1 if it is LIKE the pattern, else 0; None for NULL."""
    if pattern is None or escape is None:
        return _always_null
    return _matcher(_text(pattern), _text(escape))


def glob_matcher(pattern: Any) -> Callable[[Any], int | None]:
    """Return the same function for GLOB."""
    return _always_null if pattern is None else _glob(_text(pattern))


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


@lru_cache(maxsize=256)
def _glob(pattern: str) -> Callable[[Any], int | None]:
    if "[" in pattern or len(pattern) > _LONGEST_PATTERN:
        raise UnsupportedValue("GLOB with a set")
    pieces = ["".join("." if one == "?" else re.escape(one) for one in piece) for piece in pattern.split("*")]
    return _matching(re.compile(_expression(pieces), re.DOTALL))


def _expression(pieces: Sequence[str]) -> str:
    """Return the regular expression of the pieces between a pattern's wildcards.

    A piece between two wildcards matches at its first place: if the rest does not match after that, it matches after no
    later place. The atomic groups keep `re` from trying them all, which takes n**k steps for k wildcards.
    """
    first, *rest = pieces
    if not rest:
        return first
    between, last = [piece for piece in rest[:-1] if piece], rest[-1]
    if len(between) == 1 and not last:
        return f"{first}.*{between[0]}.*"  # the same, and quicker
    return "".join((first, *(f"(?>.*?{piece})" for piece in between), ".*", last))


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


def length(value: Any) -> Any:
    """Return the length of a value: characters of a text, bytes of a blob."""
    if value is None:
        return None
    return len(value) if value.__class__ is bytes else len(_text(value))


def hex_of(value: Any) -> str:
    """Return hex(value): of NULL, the empty text."""
    if value is None:
        return ""
    return (value if value.__class__ is bytes else _text(value).encode()).hex().upper()


def _trim(strip: Callable[[str, str], str], value: Any, characters: Any) -> Any:
    if value is None or characters is None:
        return None
    value, characters = _text(value), _text(characters)
    return strip(value, characters) if characters else value


def trim(value: Any, characters: Any = " ") -> Any:
    """Remove characters from both ends of a text."""
    return _trim(str.strip, value, characters)


def ltrim(value: Any, characters: Any = " ") -> Any:
    """Remove characters from the beginning of a text."""
    return _trim(str.lstrip, value, characters)


def rtrim(value: Any, characters: Any = " ") -> Any:
    """Remove characters from the end of a text."""
    return _trim(str.rstrip, value, characters)


def replace(value: Any, old: Any, new: Any) -> Any:
    """Replace a part of a text. If `old` is empty, return the text, even if `new` is NULL."""
    if value is None or old is None:
        return None
    if old == "" and value.__class__ is str:
        return value
    if new is None:
        return None
    old = _text(old)
    if not old:
        raise UnsupportedValue("replace() of an empty text in a number")
    return _text(value).replace(old, _text(new))


def instr(value: Any, part: Any) -> Any:
    """Return the position of a part in a text, from 1; 0 if it is not in it."""
    if value is None or part is None:
        return None
    return _text(value).find(_text(part)) + 1


def substr(value: Any, start: Any, size: Any = 2**31) -> Any:
    """Return a part of a text. Positions count from 1, or from -1 at the end; a negative size is that of the part
    before.
    """
    if value is None or start is None or size is None:
        return None
    if start.__class__ is not int or size.__class__ is not int:
        raise UnsupportedValue("substr() with a position that is no integer")
    value = _text(value)
    begin, count = start, abs(size)
    if begin < 0:
        begin += len(value)
        if begin < 0:
            begin, count = 0, (max(0, count + begin) if size >= 0 else count + begin)
    elif begin > 0:
        begin -= 1
    elif count > 0:
        count -= 1
    if size < 0:
        begin -= count
        if begin < 0:
            begin, count = 0, count + begin
    return value[begin : begin + max(0, count)]
