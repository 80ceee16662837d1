"""Reflection of constraints: as SQLite's dialect reflects them, and each has a name.

SQL servers give a name to each constraint that was declared without one, and migrations that are written for them
reflect it and drop the constraint by it. `rome.sql.syntax.constraint_names` says how the names are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from rome.folding import fold_name
from rome.sql.syntax.constraint_names import Constraint, constraints_of
from rome.sql.syntax.create_table import read_table_text


class NamedConstraints(SQLiteDialect):
    """SQLite's dialect with a name for each constraint."""

    supports_statement_cache = True
    names_constraints = True
    """False: constraints that were declared without a name have none."""

    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        found: Any = super().get_pk_constraint(connection, table_name, schema, **kw)
        if not found["constrained_columns"]:
            return found
        (named,) = self._named([found], "constrained_columns", "pkey", connection, table_name, schema, kw)
        return named

    def get_foreign_keys(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        found = super().get_foreign_keys(connection, table_name, schema, **kw)
        return self._named(found, "constrained_columns", "fkey", connection, table_name, schema, kw)

    def get_unique_constraints(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        found = super().get_unique_constraints(connection, table_name, schema, **kw)
        return self._named(found, "column_names", "key", connection, table_name, schema, kw)

    def get_check_constraints(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        found = super().get_check_constraints(connection, table_name, schema, **kw)
        return self._named(found, None, "check", connection, table_name, schema, kw)

    def _named(
        self,
        found: list[Any],
        columns: str | None,
        kind: str,
        connection: Any,
        table_name: str,
        schema: str | None,
        kw: dict[str, Any],
    ) -> list[Any]:
        """Return reflected constraints of a kind, each with a name, and in the order of the names as SQL servers do.

        `columns`: the item with a constraint's columns. CHECKs have none: they come in the order of the table's text.
        """
        text = self._get_table_sql(connection, table_name, schema=schema, **kw) if self.names_constraints else None
        if text is None or not found:
            return found
        reflected = {each["name"] for each in found}
        constraints = constraints_of(table_name, read_table_text(text))
        rest = [each for each in constraints if each.kind == kind and each.name not in reflected]
        named = [each if each["name"] else {**each, "name": _take(rest, columns and each[columns])} for each in found]
        return sorted(named, key=lambda each: each["name"] or "")


def _take(rest: list[Constraint], columns: Sequence[str] | None) -> str | None:
    """Remove the first constraint that is about these columns, or the first of all. Return its name."""
    wanted = None if columns is None else [fold_name(column) for column in columns]
    for at, constraint in enumerate(rest):
        if wanted is None or [fold_name(column) for column in constraint.columns] == wanted:
            return rest.pop(at).name
    return None
