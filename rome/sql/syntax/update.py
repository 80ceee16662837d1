"""The UPDATE statements that say outright which row they change, and to what.

UPDATE t SET a = ?, b = 'x' WHERE id = ? AND k = 3
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rome.sql.syntax.operands import Param, Source, literal, number_parameters
from rome.sql.syntax.token_reader import Reader
from rome.sql.syntax.tokens import TokenKind


class UpdateShape(NamedTuple):
    """Where the values of columns (names in lower case) come from: those that are set, and those of the row."""

    values: Mapping[str, Source]
    where: Mapping[str, Source]


def read_update(sql: str) -> UpdateShape | None:
    """The shape of an UPDATE in which all values are parameters or literals, and WHERE has nothing but equalities."""
    reader = Reader(sql)
    if not reader.take("UPDATE"):
        return None
    table = reader.qualified_name()[1]
    if table is None or not reader.take("SET"):
        return None
    parameters = number_parameters(reader.tokens)
    values = _read_terms(reader, parameters, ",", table.lower())
    where = _read_terms(reader, parameters, "AND", table.lower()) if values and reader.take("WHERE") else None
    reader.take(";")
    return UpdateShape(values, where) if values and where and reader.done else None


def _read_terms(
    reader: Reader, parameters: Mapping[int, Param], between: str, table: str
) -> Mapping[str, Source] | None:
    """Step over `column = value` terms; None if there is another one, or a column is named twice."""
    terms: dict[str, Source] = {}
    while True:
        schema, name = reader.qualified_name()
        if name is None or schema not in (None, table) or name.lower() in terms or not reader.take("="):
            return None
        source = parameters.get(reader.at)
        if source is None:
            is_value = reader.token.kind in (TokenKind.STRING, TokenKind.NUMBER, TokenKind.BLOB) or reader.sees("NULL")
            constant = literal(reader.tokens[reader.at : reader.at + 1]) if is_value else None
            if constant is None:
                return None
            terms[name.lower()] = constant
        else:
            terms[name.lower()] = source
        reader.at += 1
        if not reader.take(between):
            return terms
