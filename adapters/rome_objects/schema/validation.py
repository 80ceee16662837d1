"""The checks of a mirror before it is installed: a fault in a trigger would stop the old release."""

from __future__ import annotations

from collections.abc import Callable, Collection

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from rome_objects.errors import SchemaError
from rome_objects.schema.mirrors import Columns, Mirror


def check(connection: sa.Connection, mirror: Mirror) -> None:
    """Raise SchemaError if the triggers of a mirror would fail."""
    if isinstance(mirror, Columns):
        for expression in (*mirror.old.values(), *mirror.new.values()):
            _check_expression(connection, mirror, expression)
        _check_nullable(connection, mirror, mirror.table, lambda name: name in mirror.old or name in mirror.new)
        return
    old, new = set(mirror.columns), set(mirror.columns.values())
    _check_columns(connection, mirror, mirror.old, old)
    _check_columns(connection, mirror, mirror.new, new)
    _check_nullable(connection, mirror, mirror.old, lambda name: name not in old)
    _check_nullable(connection, mirror, mirror.new, lambda name: name not in new)


def _check_expression(connection: sa.Connection, mirror: Columns, expression: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    try:
        connection.exec_driver_sql(f"SELECT {expression} FROM {quote(mirror.table)} LIMIT 0")
    except DBAPIError as error:
        raise SchemaError(reason=f"mirror {mirror.name}: {expression}: {error.orig}") from error


def _check_columns(connection: sa.Connection, mirror: Mirror, table: str, wanted: Collection[str]) -> None:
    inspector = sa.inspect(connection)
    found = {column["name"] for column in inspector.get_columns(table)} if inspector.has_table(table) else set()
    missing = sorted(set(wanted) - found)
    if missing:
        raise SchemaError(reason=f"mirror {mirror.name}: table {table} has no column {', '.join(missing)}")


def _check_nullable(connection: sa.Connection, mirror: Mirror, table: str, unknown: Callable[[str], bool]) -> None:
    """Raise SchemaError if a column must have a value that the other release does not write."""
    for column in sa.inspect(connection).get_columns(table):
        if unknown(column["name"]) and not column["nullable"] and column["default"] is None:
            raise SchemaError(
                reason=f"mirror {mirror.name}: column {table}.{column['name']} is NOT NULL, and one of the releases "
                "does not write it: make it nullable in expand(), or give it a default"
            )
