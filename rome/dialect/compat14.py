"""SQLAlchemy 1.4, for services that have not moved to 2.0: what it calls by another name.

Whatever 1.4 does on SQLite it does on ROME; so there is no RETURNING, which came with 2.0.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.types import TypeEngine

IN_USE = sqlalchemy.__version__.startswith("1.")
"""Whether this process has SQLAlchemy 1.4."""


def adapt(dialect: Any) -> Any:
    """Decorate a dialect class written for 2.0: add what 1.4 looks for."""
    if IN_USE:
        dialect.dbapi = classmethod(lambda cls: cls.import_dbapi())
        dialect.type_compiler = dialect.type_compiler_cls
        dialect.insert_executemany_returning = False  # 1.4 knows no RETURNING for SQLite
    return dialect


def variants_of(type_: TypeEngine[Any]) -> Any:
    """A type's variants, by the names of dialects. SQLAlchemy has no public way to ask."""
    if IN_USE:
        return getattr(type_, "mapping", {}) if type(type_).__name__ == "Variant" else {}
    return type_._variant_mapping


def generated_column(table: Any) -> Any:
    """The column of a table that the database makes up values for, or None."""
    return table._autoincrement_column if IN_USE else table.autoincrement_column
