"""Making a table anew under a changed definition, with all that belongs to it, within the transaction that is open.

SQLite's SQL has few ways to change a table, so this is done much as its documentation advises: the rows go to a table
beside it, the table is dropped and made again, the rows come back, and so do indexes and triggers. Foreign keys of
other tables refer to it by its name and are not touched. While it is gone, foreign keys are not enforced (dropping it
would delete its children); afterwards the rows are checked, if they are enforced otherwise.

A row that another transaction writes to the table meanwhile would be lost, so it makes the commit a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import exc
from sqlalchemy.engine import Connection

from rome.errors import IntegrityError
from rome.sql.syntax.create_table import TableText, read_table_text

_ROWS = "_rome_rows"


def remake_table(connection: Connection, name: str, change: Callable[[TableText], TableText]) -> None:
    """Give a table the definition that `change` makes of its present one; nothing is done if that is the same.

    Raises NoSuchTableError, and what SQLite says of a wrong definition or of rows that do not fit it.
    """
    before = read_table_text(_definition(connection, name))
    after = change(before)
    if after == before:
        return
    with connection.begin_nested(), rebuilding_table(connection, name):
        _remake(connection, name, after)


@contextmanager
def rebuilding_table(connection: Connection, name: str) -> Iterator[None]:
    """Within, the table may be dropped and made again: see `rome.dbapi.Connection.rebuilding_table`."""
    driver = connection.connection.dbapi_connection
    with driver.rebuilding_table(name):  # type: ignore[union-attr]
        yield


def _definition(connection: Connection, name: str) -> str:
    sql = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?)"
    found = connection.exec_driver_sql(sql, (name,)).scalar()
    if found is None:
        raise exc.NoSuchTableError(name)
    return str(found)


def _remake(connection: Connection, name: str, after: TableText) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    table = quote(name)
    columns = ", ".join(quote(column.name) for column in after.columns if not column.generated)
    belongings = _belongings(connection, name)
    for sql in (
        f"CREATE TABLE {_ROWS} AS SELECT {columns} FROM {table}",
        f"DROP TABLE {table}",
        after.text,
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {_ROWS}",
        f"DROP TABLE {_ROWS}",
        *belongings,
    ):
        connection.exec_driver_sql(sql)
    _check_references(connection, table)


def _belongings(connection: Connection, name: str) -> list[str]:
    """The SQL of the table's indexes and triggers, in the order of their creation."""
    sql = (
        "SELECT sql FROM sqlite_master WHERE lower(tbl_name) = lower(?) "
        "AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY rowid"
    )
    return [str(text) for (text,) in connection.exec_driver_sql(sql, (name,))]


def _check_references(connection: Connection, table: str) -> None:
    """Raise an IntegrityError if a row of the table has no parent."""
    if not connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
        return
    statement = f"PRAGMA foreign_key_check({table})"
    found = connection.exec_driver_sql(statement).first()
    if found is not None:
        failed = IntegrityError("FOREIGN KEY constraint failed", table=found.table, parent=found.parent)
        raise exc.IntegrityError(statement, None, failed)
