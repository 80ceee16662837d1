"""Types in DDL and in values: SQLite's, except for generated keys and type variants.

Generated keys: SQLite generates values only for a primary key whose type is spelt INTEGER.

    id = Column(BigInteger, primary_key=True)      →      id INTEGER NOT NULL, … PRIMARY KEY (id)

Type variants: models written without ROME in mind carry variants such as `BigInteger().with_variant(Integer,
"sqlite")`. SQLAlchemy looks variants up by the dialect's name, so under the name `rome` they would be lost, although
the columns are SQLite's. `select_variant` takes a variant for `rome` if there is one, else the one for `sqlite`.
SQLAlchemy resolves types in two places and `RomeDialect` calls `select_variant` in both: `type_descriptor` (bind and
result values) and the type compiler's `process` (DDL and CAST).

Two other lookups by dialect name happen inside SQLAlchemy, where a dialect can't intervene. They do not fall back to
`sqlite`:

* `@compiles(Construct, "sqlite")`: name both, `@compiles(Construct, "sqlite", "rome")`.
* `DDL(…).execute_if(dialect="sqlite")`: name both, `execute_if(dialect=("sqlite", "rome"))`.

An application that compares `dialect.name` with "sqlite", and can't be changed, takes `sqlite+rome://…`
(`rome.dialect.sqlite_name`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteTypeCompiler
from sqlalchemy.schema import Column
from sqlalchemy.types import TypeEngine

from rome.dialect import compat14


class RomeTypeCompiler(SQLiteTypeCompiler):
    """Compile types for CREATE TABLE and CAST."""

    def process(self, type_: TypeEngine[Any], **kw: Any) -> str:
        """Return the SQL of a type.

        A BigInteger or SmallInteger key whose values SQLAlchemy expects the database to generate becomes INTEGER.
        Nothing is lost: SQLite's integers have 64 bits in either case.
        """
        if _is_generated_key(kw.get("type_expression")):
            return "INTEGER"
        return super().process(select_variant(type_), **kw)


def select_variant(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the variant of a type for `rome`, else the one for `sqlite`, else the type itself."""
    variants = compat14.variants_of(type_)
    for name in ("rome", "sqlite"):
        if name in variants:
            variant: TypeEngine[Any] = variants[name]
            return variant
    return type_


def _is_generated_key(column: object) -> bool:
    """Return True if SQLAlchemy expects the database to generate this column's values."""
    return (
        isinstance(column, Column)
        and column.primary_key
        and column.table is not None
        and len(column.table.primary_key.columns) == 1
        and compat14.autoincrement_column(column.table) is column
    )
