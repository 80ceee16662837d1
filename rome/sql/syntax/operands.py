"""Where a value in a statement comes from: a constant of the text, or a parameter that is only known when it runs.

What is derived from a statement's text is kept and shared between executions, so it holds sources, never values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rome.catalog.model import Column
from rome.fallback import ValueNotKnown
from rome.sql.syntax.tokens import Token, TokenKind
from rome.values import SqlValue

Parameters = Sequence[Any] | Mapping[str, Any]
"""The parameters of one execution, as they reach the cursor."""


@dataclass(frozen=True, slots=True)
class Const:
    """A constant."""

    value: SqlValue

    def __str__(self) -> str:
        if self.value is None:
            return "NULL"
        if isinstance(self.value, str):
            return "'" + self.value.replace("'", "''") + "'"
        if isinstance(self.value, bytes):
            return f"x'{self.value.hex()}'"
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter: its place in the sequence of parameters (from 0), and its name if it is written with one."""

    index: int
    name: str | None = None

    def __str__(self) -> str:
        return f"?{self.index + 1}" if self.name is None else f":{self.name}"


Source = Const | Param


@dataclass(frozen=True, slots=True)
class FromColumn:
    """The distinct values that a column has in the rows which were fetched for another table reference."""

    table_ref: int
    """The number of the table reference."""
    name: str
    """Its name in the statement."""
    column: Column
    position: int
    """The place of the column's value in a row."""

    def __str__(self) -> str:
        return f"{self.name}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """The right side of LIKE or GLOB: a text, and perhaps a constant one after it (`? || '%'`)."""

    source: Source
    suffix: str = ""
    is_like: bool = False
    escape: str = ""

    def __str__(self) -> str:
        suffix = f" || '{self.suffix}'" if self.suffix else ""
        return f"{'LIKE' if self.is_like else 'GLOB'} {self.source}{suffix}"


@dataclass(frozen=True, slots=True)
class WithoutAffinity:
    """A value that a column is compared with as it is, whatever the column's affinity: coalesce(a, null_as) < source.

    `null_as`: what NULL in the column counts as; None where there is no NULL.
    """

    source: Source
    null_as: Source | None = None

    def __str__(self) -> str:
        return str(self.source)


KeySource = Source | FromColumn | Pattern | WithoutAffinity
"""Where the values that rows are looked up by come from."""


def may_match_null(key: KeySource) -> bool:
    """Whether a comparison other than IS with this may be true of NULL."""
    return isinstance(key, WithoutAffinity) and key.null_as is not None


def value_of(source: Source, parameters: Parameters) -> SqlValue:
    """The value of a source, as SQLite would see it. Raises ValueNotKnown."""
    if isinstance(source, Const):
        return source.value
    try:
        # (A parameter without a name is in no mapping: KeyError.)
        return _plain(parameters[source.name if isinstance(parameters, Mapping) else source.index])  # type: ignore[index]
    except LookupError:
        raise ValueNotKnown from None


def _plain(value: Any) -> SqlValue:
    """A parameter's value as one of the storage classes."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise ValueNotKnown


def number_parameters(tokens: Sequence[Token]) -> dict[int, Param]:
    """Position of each PARAM token → the parameter it stands for, numbered as SQLite does.

    `?` is one more than the greatest number so far, `?7` is the seventh, and a name has one number wherever it occurs.
    """
    found: dict[int, Param] = {}
    named: dict[str, Param] = {}
    count = 0
    for at, token in enumerate(tokens):
        if token.kind is not TokenKind.PARAM:
            continue
        text = token.text
        if text in named:
            found[at] = named[text]
            continue
        if text.startswith("?"):
            param = Param(int(text[1:]) - 1 if len(text) > 1 else count)
        else:
            param = named[text] = Param(count, text[1:])
        count = max(count, param.index + 1)
        found[at] = param
    return found


_WORDS = {"NULL": Const(None), "TRUE": Const(1), "FALSE": Const(0)}


def literal(tokens: Sequence[Token]) -> Const | None:
    """The constant that an expression is, if it is just a literal, perhaps with a sign or in parentheses."""
    while len(tokens) > 2 and tokens[0].is_op("(") and tokens[-1].is_op(")"):
        tokens = tokens[1:-1]
    if len(tokens) == 2 and tokens[0].text in ("-", "+") and tokens[1].kind is TokenKind.NUMBER:
        return number(tokens[1].text, negative=tokens[0].text == "-")
    if len(tokens) != 1:
        return None
    token = tokens[0]
    if token.kind is TokenKind.STRING:
        return Const(token.name)
    if token.kind is TokenKind.NUMBER:
        return number(token.text)
    if token.kind is TokenKind.BLOB:
        return Const(bytes.fromhex(token.text[2:-1]))
    return _WORDS.get(token.word())


_EXACT_DIGITS = 15


def number(text: str, *, negative: bool = False) -> Const | None:
    """The value of a numeric literal. None for a float of so many digits that SQLite may round it its own way."""
    text = text.replace("_", "")
    if text[:2] in ("0x", "0X"):
        whole = int(text, 16)
        if whole >= 2**64:
            return None
        whole -= 2**64 if whole >= 2**63 else 0
        return None if whole == -(2**63) else Const(-whole if negative else whole)
    sign = -1 if negative else 1
    if text.isdigit() and -(2**63) <= sign * int(text) < 2**63:
        return Const(sign * int(text))
    digits = text.lower().partition("e")[0].replace(".", "").strip("0")
    return Const(sign * float(text)) if len(digits) <= _EXACT_DIGITS else None
