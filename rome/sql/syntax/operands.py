"""Operands: the sources of values in a statement. A constant is in the text; a parameter is known when it runs.

    WHERE a = 5 AND b = ?2 AND c = p.id AND d LIKE ?3 || '%' AND coalesce(e, 0) > ?

    Const(5) · Param(1) · FromColumn(p.id) · Pattern(Param(2), "%") · WithoutAffinity(Param(3), null_as=Const(0))

Whatever is derived from a statement's text is cached and shared between executions, so it contains sources, never the
values of parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from rome.catalog.model import Column
from rome.fallback import ValueNotKnown
from rome.sql.syntax.tokens import Token, TokenKind
from rome.values import SqlValue

Parameters = Sequence[Any] | Mapping[str, Any]
"""The parameters of one execution, as they reach the cursor."""


@dataclass(frozen=True, slots=True)
class Const:
    """A constant of the text."""

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
    """A parameter: its position in the sequence of parameters, from 0, and its name if it has one."""

    index: int
    name: str | None = None

    def __str__(self) -> str:
        return f"?{self.index + 1}" if self.name is None else f":{self.name}"


Source = Const | Param


@dataclass(frozen=True, slots=True)
class FromColumn:
    """The distinct values of a column in the rows that were fetched for another table reference."""

    table_ref: int
    """The number of the table reference."""
    name: str
    """The table reference's name in the statement."""
    column: Column
    position: int
    """The position of the column's value in a row."""

    def __str__(self) -> str:
        return f"{self.name}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """The right side of LIKE or GLOB: a source, and a constant that is concatenated to it (`? || '%'`)."""

    source: Source
    suffix: str = ""
    is_like: bool = False
    escape: str = ""

    def __str__(self) -> str:
        suffix = f" || '{self.suffix}'" if self.suffix else ""
        return f"{'LIKE' if self.is_like else 'GLOB'} {self.source}{suffix}"


@dataclass(frozen=True, slots=True)
class WithoutAffinity:
    """A value that is compared without the column's affinity: coalesce(a, null_as) < source.

    `null_as`: the value in place of NULL; None if NULL is not replaced, or the column is never NULL.
    """

    source: Source
    null_as: Source | None = None

    def __str__(self) -> str:
        return str(self.source)


KeySource = Source | FromColumn | Pattern | WithoutAffinity
"""The source of the values of an index key."""


def may_match_null(key: KeySource) -> bool:
    """Return True if a comparison other than IS with this source may be true of NULL."""
    return isinstance(key, WithoutAffinity) and key.null_as is not None


def value_of(source: Source, parameters: Parameters) -> SqlValue:
    """Return the value of a source as SQLite sees it. Raise ValueNotKnown for a missing or unsupported parameter."""
    if isinstance(source, Const):
        return source.value
    try:
        # (A parameter without a name is in no mapping: KeyError.)
        return _storage_value(parameters[source.name if isinstance(parameters, Mapping) else source.index])  # type: ignore[index]
    except LookupError:
        raise ValueNotKnown from None


def listed_parameters(sources: Sequence[Source | KeySource], parameters: Parameters) -> list[Any] | None:
    """Return the parameters that the sources of an IN list are, as they were given: not in their storage classes.

    Return None if a source is something else, or `parameters` has names or not enough items.
    """
    if isinstance(parameters, Mapping) or set(map(type, sources)) != {Param}:
        return None
    try:
        return [parameters[source.index] for source in sources]  # type: ignore[union-attr] # all are Params
    except LookupError:
        return None


def _storage_value(value: Any) -> SqlValue:
    """Return a parameter's value in its storage class. Raise ValueNotKnown for other types."""
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


_PARAM = TokenKind.PARAM


def number_parameters(tokens: Sequence[Token]) -> dict[int, Param]:
    """Return the parameter of each PARAM token by the token's position, numbered as SQLite does.

    `?` has one more than the greatest number so far, `?7` is the seventh, and a name has one number wherever it occurs.
    """
    found: dict[int, Param] = {}
    if _PARAM not in map(itemgetter(0), tokens):
        return found
    named: dict[str, Param] = {}
    count = 0
    for at, (kind, text, _, _) in enumerate(tokens):
        if kind is not _PARAM:
            continue
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
    """Return a literal, possibly with a sign or in parentheses, as a constant; None for any other expression."""
    depth, last = 0, len(tokens) - 1
    while last - depth > depth + 1 and tokens[depth].is_op("(") and tokens[last - depth].is_op(")"):
        depth += 1
    tokens = tokens[depth : len(tokens) - depth]
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
    """Return the value of a numeric literal; None for a float whose digits SQLite may round differently."""
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
