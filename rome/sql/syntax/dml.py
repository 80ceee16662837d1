"""The shape of simple DML: the parts of an INSERT, and the UPDATE statements that name their row and its new values.

    INSERT INTO t (a, b) VALUES (?, 'x') RETURNING id

    columns (a, b), one row of two expressions, returning (id)

    UPDATE t SET a = ?, b = 'x' WHERE id = ? AND k = 3

    values {a: ?1, b: 'x'}, where {id: ?2, k: 3}

An INSERT is read once for each text: the rewriter that inserts ids, the planner that looks for the keys of the new
rows, and point DML all use the same `InsertStatement`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rome.folding import fold_name
from rome.sql.syntax.operands import Param, Source, literal, number_parameters
from rome.sql.syntax.tokens import Token, TokenKind, TokenReader

# ── INSERT ────────────────────────────────────────────────────────────────────────────────────────────────────────────

Span = tuple[int, int]
"""The positions of the first token and of the one after the last."""


class RowSource(enum.Enum):
    """The clause that the rows of an INSERT come from."""

    VALUES = "values"
    SELECT = "select"
    """A SELECT of any form, including VALUES as a part of one."""
    DEFAULT = "default values"


@dataclass(frozen=True, slots=True)
class InsertStatement:
    """An INSERT or REPLACE, by the positions of its tokens."""

    tokens: tuple[Token, ...]
    """Those of the whole text."""
    table: str
    """In lower case."""
    head: int
    """The position after the table's name and alias, where a column list is or could be."""
    columns: tuple[str, ...] | None
    """The column list in lower case, if there is one; it opens at `head`."""
    row_source: RowSource
    source: Span
    """VALUES …, SELECT … or DEFAULT VALUES."""
    values: tuple[tuple[Span, ...], ...] = ()
    """For RowSource.VALUES: the expressions of each row."""
    returning: tuple[str, ...] | None = ()
    """The names in lower case that RETURNING, directly after the source, consists of; None if of anything else."""
    has_with: bool = False
    replaces: bool = False
    """True for REPLACE, and for INSERT OR REPLACE."""


@lru_cache(maxsize=256)
def read_insert(sql: str) -> InsertStatement | None:
    """Return the INSERT of a text, perhaps after a WITH clause; None if the text is no well-formed INSERT."""
    reader = TokenReader(sql)
    has_with = reader.sees("WITH")
    return read_insert_at(reader, has_with=has_with) if reader.skip_with() else None


def read_insert_at(reader: TokenReader, *, has_with: bool = False) -> InsertStatement | None:
    """Return the INSERT at the reader's position; None if there is none.

    The reader steps over all of it but an upsert clause, and a RETURNING of anything but columns.
    """
    replaces = reader.take("REPLACE")
    if not replaces:
        if not reader.take("INSERT"):
            return None
        if reader.take("OR"):
            replaces = reader.sees("REPLACE")
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
    values: tuple[tuple[Span, ...], ...] = ()
    if reader.take("DEFAULT", "VALUES"):
        row_source = RowSource.DEFAULT
    elif values := _read_values(reader):
        row_source = RowSource.VALUES
    else:
        row_source = RowSource.SELECT
        reader.at = start
        _skip_select(reader)
        if reader.at == start:
            return None
    source = (start, reader.at)
    returning = _read_returning(reader)
    return InsertStatement(
        reader.tokens, fold_name(table), head, columns, row_source, source, values, returning, has_with, replaces
    )


def _read_columns(reader: TokenReader) -> tuple[str, ...]:
    end = _group_end(reader)
    found = [fold_name(token.name) for token in reader.tokens[reader.at + 1 : end] if token.is_name]
    reader.at = end + 1
    return tuple(found)


def _group_end(reader: TokenReader) -> int:
    """Return the position of the parenthesis that closes the one at the reader's position."""
    start = reader.at
    reader.skip_group()
    end, reader.at = reader.at - 1, start
    return end


def _read_values(reader: TokenReader) -> tuple[tuple[Span, ...], ...]:
    """Step over VALUES (…), (…) and return its rows; none if the source goes on after it."""
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
    """Return True if ON CONFLICT begins an upsert clause, and is not the ON of a join with a column named conflict."""
    if not reader.sees("ON", "CONFLICT"):
        return False
    start = reader.at
    reader.at += 2
    if reader.sees("("):
        reader.skip_group()
    found = reader.sees("DO") or reader.sees("WHERE")
    reader.at = start
    return found


def _read_returning(reader: TokenReader) -> tuple[str, ...] | None:
    """Step over RETURNING and return its names; () without RETURNING, None if one is no plain name."""
    start = reader.at
    found: list[str] = []
    if not reader.take("RETURNING"):
        return ()
    while (name := reader.name()) is not None:
        found.append(fold_name(name))
        if not reader.take(","):
            if reader.done or reader.sees(";"):
                return tuple(found)
            break
    reader.at = start
    return None


# ── UPDATE ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class SimpleUpdate(NamedTuple):
    """The new values of columns, and the values that WHERE requires of columns, by name in lower case."""

    values: Mapping[str, Source]
    where: Mapping[str, Source]
    returning: tuple[str, ...]
    """The columns of RETURNING, in lower case."""


def read_simple_update(sql: str) -> SimpleUpdate | None:
    """Return an UPDATE whose values are all parameters or literals, and whose WHERE consists of equalities."""
    reader = TokenReader(sql)
    if not reader.take("UPDATE"):
        return None
    table = reader.qualified_name()[1]
    if table is None or not reader.take("SET"):
        return None
    parameters = number_parameters(reader.tokens)
    values = _read_assignments(reader, parameters, ",", fold_name(table))
    where = _read_assignments(reader, parameters, "AND", fold_name(table)) if values and reader.take("WHERE") else None
    returning = _read_returning(reader)
    reader.take(";")
    if not values or not where or returning is None or not reader.done:
        return None
    return SimpleUpdate(values, where, returning)


def _read_assignments(
    reader: TokenReader, parameters: Mapping[int, Param], separator: str, table: str
) -> Mapping[str, Source] | None:
    """Step over `column = value` terms; return None if there is any other term, or a column occurs twice."""
    terms: dict[str, Source] = {}
    while True:
        schema, name = reader.qualified_name()
        if name is None or schema not in (None, table) or fold_name(name) in terms or not reader.take("="):
            return None
        source: Source | None = parameters.get(reader.at)
        if source is None:
            is_value = reader.token.kind in (TokenKind.STRING, TokenKind.NUMBER, TokenKind.BLOB) or reader.sees("NULL")
            source = literal(reader.tokens[reader.at : reader.at + 1]) if is_value else None
            if source is None:
                return None
        terms[fold_name(name)] = source
        reader.at += 1
        if not reader.take(separator):
            return terms
