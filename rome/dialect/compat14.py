"""SQLAlchemy 1.4, for services that have not moved to 2.0: attributes that have another name there.

On 1.4, ROME supports what 1.4 supports on SQLite. There is no RETURNING, which came with 2.0.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.types import TypeEngine

IN_USE = sqlalchemy.__version__.startswith("1.")
"""True if this process uses SQLAlchemy 1.4."""


def adapt(dialect: Any) -> Any:
    """Add the attributes that 1.4 looks up to a dialect class that is written for 2.0."""
    if IN_USE:
        dialect.dbapi = classmethod(lambda cls: cls.import_dbapi())
        dialect.type_compiler = dialect.type_compiler_cls
        dialect.insert_executemany_returning = False  # 1.4 has no RETURNING for SQLite
    return dialect


def variants_of(type_: TypeEngine[Any]) -> Any:
    """Return a type's variants by dialect name. SQLAlchemy has no public API for it."""
    if IN_USE:
        return getattr(type_, "mapping", {}) if type(type_).__name__ == "Variant" else {}
    return type_._variant_mapping


def autoincrement_column(table: Any) -> Any:
    """Return the column of a table whose values the database generates, or None."""
    return table._autoincrement_column if IN_USE else table.autoincrement_column
