"""Rebuild a table under a changed definition, with its indexes and triggers, within the open transaction.

SQLite's ALTER TABLE is limited, so its documentation advises to rebuild the table, and this module does it that way:

    CREATE TABLE _rome_rows AS SELECT … FROM t      copy the rows
    DROP TABLE t
    CREATE TABLE t (…)                              the changed definition
    INSERT INTO t (…) SELECT … FROM _rome_rows
    DROP TABLE _rome_rows
    CREATE INDEX …; CREATE TRIGGER …                as they were

Foreign keys of other tables refer to the table by name and stay as they are. During the rebuild foreign keys are not
enforced, because DROP TABLE would delete the child rows. Afterwards PRAGMA foreign_key_check validates the rows, if the
connection enforces foreign keys.

A row that another transaction inserts into the table meanwhile would be lost; instead, the commit raises Conflict.
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
    """Rebuild a table with the definition that `change` returns for the present one; do nothing if they are equal.

    Raises NoSuchTableError, and SQLite's errors for an invalid definition or for rows that violate it.
    """
    before = read_table_text(_definition(connection, name))
    after = change(before)
    if after == before:
        return
    with connection.begin_nested(), rebuilding_table(connection, name):
        _rebuild(connection, name, after)


@contextmanager
def rebuilding_table(connection: Connection, name: str) -> Iterator[None]:
    """Allow the table to be dropped and created again: see `rome.dbapi.Connection.rebuilding_table`."""
    driver = connection.connection.dbapi_connection
    with driver.rebuilding_table(name):  # type: ignore[union-attr]
        yield


def _definition(connection: Connection, name: str) -> str:
    sql = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?)"
    definition = connection.exec_driver_sql(sql, (name,)).scalar()
    if definition is None:
        raise exc.NoSuchTableError(name)
    return str(definition)


def _rebuild(connection: Connection, name: str, after: TableText) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    table = quote(name)
    indexes_and_triggers = _indexes_and_triggers(connection, name)
    columns = ", ".join(quote(column.name) for column in after.columns if not column.generated)
    for sql in (
        f"CREATE TABLE {_ROWS} AS SELECT {columns} FROM {table}",
        f"DROP TABLE {table}",
        after.text,
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {_ROWS}",
        f"DROP TABLE {_ROWS}",
        *indexes_and_triggers,
    ):
        connection.exec_driver_sql(sql)
    _check_references(connection, table)


def _indexes_and_triggers(connection: Connection, name: str) -> list[str]:
    """Return the SQL of the table's indexes and triggers, in the order of their creation."""
    sql = (
        "SELECT sql FROM sqlite_master WHERE lower(tbl_name) = lower(?) "
        "AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY rowid"
    )
    return [str(text) for (text,) in connection.exec_driver_sql(sql, (name,))]


def _check_references(connection: Connection, table: str) -> None:
    """Raise IntegrityError if a row of the table violates a foreign key, provided that they are enforced."""
    if not connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
        return
    statement = f"PRAGMA foreign_key_check({table})"
    violation = connection.exec_driver_sql(statement).first()
    if violation is not None:
        error = IntegrityError("FOREIGN KEY constraint failed", table=violation.table, parent=violation.parent)
        raise exc.IntegrityError(statement, None, error)
