"""Reading the rows of the workspace's tables as the store has them: without virtual columns, whatever the texts are."""

from __future__ import annotations

from typing import Any

import apsw

from rome.catalog.model import Table
from rome.sql.syntax.tokens import quoted
from rome.sqlite.computed_texts import ComputedColumns, Row


def rows_of(sqlite: apsw.Connection, table: Table) -> dict[Row, tuple[int, Row]]:
    """Return every row of a table: its key (or rowid) → its rowid (0 without one) and its values."""
    key = [quoted(column) for column in table.key] or [table.rowid_name or ""]
    columns = stored_columns(table)
    cursor = sqlite.execute(
        f"SELECT {table.rowid_name or 0}, {', '.join(key)}, {columns.sql} FROM main.{quoted(table.name)}"
    )
    width = 1 + len(key)
    return {row[1:width]: (row[0], columns.read(row[width:])) for row in cursor}


def row_of(sqlite: apsw.Connection, table: Table, key: Row) -> Row | None:
    """Return the row of a key (or a rowid, in tables without one) as it is now; None if there is none."""
    where = " AND ".join([f"{quoted(column)} IS ?" for column in table.key or (table.rowid_name or "rowid",)])
    columns = stored_columns(table)
    rows: Any = sqlite.execute(f"SELECT {columns.sql} FROM main.{quoted(table.name)} WHERE {where}", key).fetchall()
    return columns.read(rows[0]) if rows else None


def stored_columns(table: Table, prefix: str = "") -> ComputedColumns:
    """Return the columns of a table's stored rows; `prefix`: before the name of each."""
    computed = {prefix + quoted(column.name) for column in table.stored if column.generated}
    return ComputedColumns([prefix + quoted(column.name) for column in table.stored], computed)
