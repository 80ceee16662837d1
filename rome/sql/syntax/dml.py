"""The parts of an INSERT statement, as positions of its tokens.

The UPDATE statements that say outright which row they change, and to what.

UPDATE t SET a = ?, b = 'x' WHERE id = ? AND k = 3
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rome.sql.syntax.operands import Param, Source, literal, number_parameters
from rome.sql.syntax.tokens import TokenKind, TokenReader

Span = tuple[int, int]
"""Positions of tokens: the first, and the one behind the last."""


class Rows(enum.Enum):
    """Where the rows of an INSERT come from."""

    VALUES = "values"
    SELECT = "select"
    """A SELECT of any form, also VALUES as a part of one."""
    DEFAULT = "default values"


@dataclass(frozen=True, slots=True)
class InsertShape:
    """An INSERT or REPLACE."""

    table: str
    """In lower case."""
    head: int
    """The position behind the table's name and alias: a column list stands here, or could."""
    columns: tuple[str, ...] | None
    """The column list in lower case, if there is one; it opens at `head`."""
    rows: Rows
    source: Span
    """VALUES …, SELECT … or DEFAULT VALUES."""
    values: tuple[tuple[Span, ...], ...] = ()
    """For Rows.VALUES: the expressions of each row."""


def read_insert(reader: TokenReader) -> InsertShape | None:
    """The shape of the INSERT at the reader's place (behind a WITH clause, if any); None if it is not formed as one.

    The reader is left at the end of the statement.
    """
    if not reader.take("REPLACE"):
        if not reader.take("INSERT"):
            return None
        if reader.take("OR"):
            reader.at += 1
    if not reader.take("INTO"):
        return None
    table = reader.qualified_name()[1]
    if table is None:
        return None
    if reader.take("AS"):
        reader.name()
    head = reader.at
    columns = _read_columns(reader) if reader.sees("(") else None
    start = reader.at
    if reader.take("DEFAULT", "VALUES"):
        return InsertShape(table.lower(), head, columns, Rows.DEFAULT, (start, reader.at))
    values = _read_values(reader)
    if values:
        return InsertShape(table.lower(), head, columns, Rows.VALUES, (start, reader.at), values)
    reader.at = start
    _skip_select(reader)
    if reader.at == start:
        return None
    return InsertShape(table.lower(), head, columns, Rows.SELECT, (start, reader.at))


def _read_columns(reader: TokenReader) -> tuple[str, ...]:
    end = _group_end(reader)
    found = [token.name.lower() for token in reader.tokens[reader.at + 1 : end] if token.is_name]
    reader.at = end + 1
    return tuple(found)


def _group_end(reader: TokenReader) -> int:
    """The position of the parenthesis that closes the one at the reader's place."""
    start = reader.at
    reader.skip_group()
    end, reader.at = reader.at - 1, start
    return end


def _read_values(reader: TokenReader) -> tuple[tuple[Span, ...], ...]:
    """Step over VALUES (…), (…); empty if that is not all of the source."""
    rows: list[tuple[Span, ...]] = []
    if not reader.take("VALUES"):
        return ()
    while reader.sees("("):
        rows.append(_read_row(reader))
        if not reader.take(","):
            break
    ends = reader.done or any(reader.sees(word) for word in (";", "RETURNING", "ON"))
    return tuple(rows) if ends else ()


def _read_row(reader: TokenReader) -> tuple[Span, ...]:
    end = _group_end(reader)
    reader.at += 1
    expressions: list[Span] = []
    start = reader.at
    while reader.at < end:
        if reader.sees(","):
            expressions.append((start, reader.at))
            start = reader.at + 1
        reader.skip_group()
    expressions.append((start, end))
    reader.at = end + 1
    return tuple(expressions)


def _skip_select(reader: TokenReader) -> None:
    """Step to the end of the source: an upsert clause, RETURNING, or the end of the statement."""
    while not (reader.done or reader.sees(";") or reader.sees("RETURNING") or _at_upsert(reader)):
        reader.skip_group()


def _at_upsert(reader: TokenReader) -> bool:
    """Whether ON CONFLICT comes next as an upsert clause, not as the ON of a join with a column named conflict."""
    if not reader.sees("ON", "CONFLICT"):
        return False
    start = reader.at
    reader.at += 2
    if reader.sees("("):
        reader.skip_group()
    found = reader.sees("DO") or reader.sees("WHERE")
    reader.at = start
    return found


class UpdateShape(NamedTuple):
    """Where the values of columns (names in lower case) come from: those that are set, and those of the row."""

    values: Mapping[str, Source]
    where: Mapping[str, Source]


def read_update(sql: str) -> UpdateShape | None:
    """The shape of an UPDATE in which all values are parameters or literals, and WHERE has nothing but equalities."""
    reader = TokenReader(sql)
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
    reader: TokenReader, parameters: Mapping[int, Param], between: str, table: str
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
