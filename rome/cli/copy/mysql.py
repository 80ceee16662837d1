"""The types of MySQL and MariaDB that hold what other databases do: long texts and blobs, microseconds."""

from __future__ import annotations

from sqlalchemy import Connection, DateTime, ForeignKeyConstraint, LargeBinary, Table, Text
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.types import String

_KEY_LENGTH = 255
"""The characters of a text in a key, if the source has no limit: MySQL needs one."""
_LONGEST = 2**32 - 1
"""The bytes of a LONGTEXT or LONGBLOB."""


def is_mysql(connection: Connection) -> bool:
    """Return True for MySQL and MariaDB."""
    return connection.dialect.name in ("mysql", "mariadb")


def fit_types(table: Table, notes: list[str]) -> None:
    """Change the types of a table's columns; note what is limited."""
    keyed = _keyed(table)
    for column in table.columns:
        kind = column.type
        if isinstance(kind, String) and not kind.length:
            column.type = String(_KEY_LENGTH) if column.name in keyed else Text(_LONGEST)
            if column.name in keyed:
                notes.append(f"{table.name}.{column.name} has at most {_KEY_LENGTH} characters, because it is in a key")
        elif isinstance(kind, LargeBinary) and column.name not in keyed:
            column.type = LargeBinary(_LONGEST)
        elif isinstance(kind, DateTime):
            column.type = DATETIME(fsp=6)


def _keyed(table: Table) -> set[str]:
    """Return the names of the columns of primary, unique and foreign keys, and of indexes."""
    found = {column.name for index in table.indexes for column in index.columns}
    for constraint in table.constraints:
        if isinstance(constraint, ForeignKeyConstraint):
            found.update(constraint.column_keys)
        else:
            found.update(column.name for column in getattr(constraint, "columns", ()))
    return found
