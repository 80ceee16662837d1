"""SQL values for people and for programs.

value     on a terminal     in JSON
NULL      NULL              null
7, 2.5    7, 2.5            7, 2.5      infinities, which JSON does not have, are texts
text      text              text        on a terminal, control characters are escaped
blob      x'00ff'           {"hex": "00ff"}
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from rome.values import SqlValue

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_UNSAFE = "\0\r"
_PARTS = re.compile(f"([{_UNSAFE}])")
_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(value: SqlValue) -> str:
    """Return a value as one line of printable text, which can't control a terminal."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return printable(str(value))


def printable(text: str) -> str:
    """Return a text with its control characters escaped."""
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    return _NAMES.get(character) or (f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}")


def literal(value: SqlValue) -> str:
    """Return a value as an expression of SQL, for scripts.

    Whoever reads a script may end a text at NUL, and take a carriage return for a line feed, so both are written as
    numbers.
    """
    if isinstance(value, str):
        texts = (
            f"'{part}'" if part not in tuple(_UNSAFE) else f"char({ord(part)})"
            for part in _PARTS.split(value.replace("'", "''"))
        )
        return " || ".join(text for text in texts if text != "''") or "''"
    if isinstance(value, float):
        return "9e999" if value == math.inf else "-9e999" if value == -math.inf else repr(value)
    return shown(value)


def plain(value: SqlValue) -> str:
    """Return a value as the text of a CSV field: nothing for NULL, hexadecimal digits for a blob."""
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)


def jsonable(value: SqlValue) -> Any:
    """Return a value as what `json.dumps` takes."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def to_json(item: Any, indent: int | None = 2) -> str:
    """Return JSON as commands write it."""
    return json.dumps(item, ensure_ascii=False, indent=indent)
