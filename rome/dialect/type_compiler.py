"""The DDL that differs from SQLite's: types of generated keys, and variants of types."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteTypeCompiler
from sqlalchemy.schema import Column
from sqlalchemy.types import TypeEngine

from rome.dialect.compat14 import generated_column
from rome.dialect.variants import chosen_type


class RomeTypeCompiler(SQLiteTypeCompiler):
    """Types as they stand in CREATE TABLE and CAST."""

    def process(self, type_: TypeEngine[Any], **kw: Any) -> str:
        """The text of a type.

        SQLite generates keys only for a column whose type reads INTEGER, so a BigInteger or SmallInteger key that
        SQLAlchemy expects to be generated becomes one. Nothing is lost: SQLite's integers have 64 bits either way.
        """
        if _is_generated_key(kw.get("type_expression")):
            return "INTEGER"
        return super().process(chosen_type(type_), **kw)


def _is_generated_key(column: object) -> bool:
    """Whether SQLAlchemy leaves it to the database to make up this column's values."""
    return (
        isinstance(column, Column)
        and column.primary_key
        and column.table is not None
        and len(column.table.primary_key.columns) == 1
        and generated_column(column.table) is column
    )
