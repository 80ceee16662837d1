"""The SELECT of the rows that an UPDATE, a DELETE or an INSERT … SELECT changes, for tables with a primary key.

    UPDATE t SET v = v + ? WHERE k > ?      SELECT "id", "k", "v", v + ? FROM "t" WHERE k > ?
    DELETE FROM t WHERE k > ?               SELECT "id", "k", "v" FROM "t" WHERE k > ?
    INSERT INTO u (a, b) SELECT v, 1 …      SELECT v, 1 …

The parameters keep their order. The new values of an UPDATE come after the stored columns. SQLite computes them row by
row, so an UPDATE whose new values have a subquery, which may read rows that it has changed, has no such SELECT.
"""

from __future__ import annotations

from typing import NamedTuple

from rome.catalog.model import Table
from rome.folding import fold_name
from rome.sql.syntax.dml import RowSource, read_insert
from rome.sql.syntax.statement import Statement, StatementKind
from rome.sql.syntax.tokens import TokenReader, names, quoted


class SourceSelect(NamedTuple):
    """The text of a SELECT, and the columns, in lower case, that an UPDATE sets or an INSERT gives values for."""

    sql: str
    columns: tuple[str, ...] = ()
    is_of_all: bool = False
    """True for a DELETE of all rows."""


def source_select(statement: Statement, sql: str, table: Table) -> SourceSelect | None:
    """Return the SELECT of a statement that changes a table; None for a form that is not known."""
    if statement.on_conflict or statement.has_upsert or statement.has_returning:
        return None
    if statement.kind is StatementKind.INSERT:
        return _of_insert(sql, table)
    if not table.key:
        return None
    return _of_update(sql, table) if statement.kind is StatementKind.UPDATE else _of_delete(sql, table)


def _of_insert(sql: str, table: Table) -> SourceSelect | None:
    insert = read_insert(sql)
    if insert is None or insert.row_source is not RowSource.SELECT or insert.has_with:
        return None
    first, last = (insert.tokens[at] for at in (insert.source[0], insert.source[1] - 1))
    columns = insert.columns or tuple(table.position)
    if len(set(columns)) < len(columns) or not table.position.keys() >= set(columns):
        return None
    return SourceSelect(sql[first.start : last.end], columns)


def _of_update(sql: str, table: Table) -> SourceSelect | None:
    reader = TokenReader(sql)
    reader.take("UPDATE")
    reader.qualified_name()
    if not reader.take("SET"):
        return None
    values: dict[str, str] = {}
    while True:
        column = fold_name(reader.name() or "")
        if column not in table.position or column in values or not reader.take("="):
            return None
        values[column] = _read_expression(reader)
        if not reader.take(","):
            break
    if any("select" in names(value) for value in values.values()):
        return None
    rest = _read_where(reader, table)
    return None if rest is None else SourceSelect(f"{_columns(table)}, {', '.join(values.values())}{rest}", (*values,))


def _of_delete(sql: str, table: Table) -> SourceSelect | None:
    reader = TokenReader(sql)
    reader.take("DELETE", "FROM")
    reader.qualified_name()
    is_of_all = reader.done or reader.sees(";")
    rest = _read_where(reader, table)
    return None if rest is None else SourceSelect(f"{_columns(table)}{rest}", is_of_all=is_of_all)


def _read_expression(reader: TokenReader) -> str:
    start = reader.token.start
    while not (reader.done or any(reader.sees(each) for each in (",", "WHERE", "FROM", ";"))):
        reader.skip_group()
    return reader.sql[start : reader.look(-1).end]


def _read_where(reader: TokenReader, table: Table) -> str | None:
    """Return the end of the SELECT, from FROM on; None if anything but WHERE follows in the statement."""
    start = reader.token.start
    if reader.take("WHERE"):
        while not (reader.done or reader.sees(";")):
            reader.skip_group()
    elif not (reader.done or reader.sees(";")):
        return None
    return f" FROM {quoted(table.name)} {reader.sql[start : reader.look(-1).end]}"


def _columns(table: Table) -> str:
    return f"SELECT {', '.join(quoted(column.name) for column in table.stored)}"
