"""Alembic's operations on ROME. Importing this module registers the implementation.

SQLite's ALTER TABLE can't change a column's type, NOT NULL, default or constraints. For these, the implementation
rebuilds the table (`remake`), so operations need no batch mode. Batch mode works as on SQLite. A migration is one
transaction.

    op.alter_column("servers", "name", nullable=False)      rebuild: name TEXT → name TEXT NOT NULL
    op.alter_column("servers", "name", new_column_name=…)   ALTER TABLE servers RENAME COLUMN name TO …
"""

from __future__ import annotations

from typing import Any

from alembic.ddl.sqlite import SQLiteImpl
from alembic.util import CommandError
from sqlalchemy import Computed, Identity, exc
from sqlalchemy.engine import Connection
from sqlalchemy.schema import Column, Constraint, PrimaryKeyConstraint, Table
from sqlalchemy.types import Text, TypeEngine, to_instance

from rome.folding import fold_name
from rome.integrations.alembic.batch_checks import fit_checks
from rome.integrations.alembic.remake import rebuilding_table, remake_table
from rome.sql.syntax.constraint_names import without_constraint
from rome.sql.syntax.create_table import ColumnText, TableText


class RomeImpl(SQLiteImpl):
    """The implementation for the dialect `rome`."""

    __dialect__ = "rome"
    transactional_ddl = True
    _batched: str | None = None
    """The table that batch mode is about to drop, after it has copied it."""

    def alter_column(
        self,
        table_name: str,
        column_name: str,
        *,
        nullable: bool | None = None,
        server_default: Any = False,
        name: str | None = None,
        type_: TypeEngine[Any] | None = None,
        schema: str | None = None,
        **existing: Any,
    ) -> None:
        """Change a column. Values keep their storage class unless the new type's affinity changes it.

        Raises NoSuchTableError, and CommandError for an unknown column.
        """

        def change(table: TableText) -> TableText:
            try:
                column = table.column(column_name)
            except KeyError:
                raise CommandError(f"no such column: {table_name}.{column_name}") from None
            return table.with_column(self._changed(column, nullable, server_default, type_))

        if nullable is not None or server_default is not False or type_ is not None:
            remake_table(self._live_connection(), table_name, change)
        if name is not None and name != column_name:
            super().alter_column(table_name, column_name, name=name, schema=schema)

    def _changed(
        self, column: ColumnText, nullable: bool | None, server_default: Any, type_: TypeEngine[Any] | None
    ) -> ColumnText:
        """Return the column's definition with the changes that are given. `server_default` is False for no change."""
        if type_ is not None:
            written = to_instance(type_).compile(dialect=self.dialect)
            if written.upper() != column.type.upper():
                column = ColumnText(column.name, column.written, written, column.clauses)
        if nullable is not None and nullable != column.nullable:
            column = column.without("NOT").without("NULL") if nullable else column.with_clause("NOT", "NOT NULL")
        if server_default is not False:
            default = self._default_text(server_default)
            if default is None:
                column = column.without("DEFAULT")
            elif default != column.default:
                column = column.with_clause("DEFAULT", f"DEFAULT {default}")
        return column

    def _default_text(self, server_default: Any) -> str | None:
        """Return the SQL of a default, in parentheses if it is an expression, or None if there is no default."""
        if isinstance(server_default, Computed | Identity):
            raise CommandError("an existing column can't become a generated or identity column: add a new column")
        if server_default is None:
            return None
        column: Column[Any] = Column("c", Text(), server_default=server_default)
        specification = self._ddl_compiler().get_column_specification(column)
        return str(specification).partition(" DEFAULT ")[2]

    def add_constraint(self, const: Constraint, **options: Any) -> None:
        """Add a constraint. Raises IntegrityError if rows violate it."""
        if const._create_rule is not None and not const._create_rule(self._ddl_compiler()):
            return
        text = self._ddl_compiler().process(const)
        if text:
            remake_table(self._live_connection(), _table_of(const), lambda table: table.with_constraint(str(text)))

    def drop_constraint(self, const: Constraint, **options: Any) -> None:
        """Drop a constraint. Raises CommandError if the table has none of that name."""
        name = const.name

        def change(table: TableText) -> TableText:
            try:
                return without_constraint(_table_of(const), table, str(name))
            except KeyError:
                if isinstance(const, PrimaryKeyConstraint):
                    return table.without_primary_key()
                raise CommandError(f"no such constraint: {name} of table {_table_of(const)}") from None

        if const._create_rule is None or const._create_rule(self._ddl_compiler()):
            remake_table(self._live_connection(), _table_of(const), change)

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        """Remember the table that batch mode is about to replace, and fit the CHECK constraints of the new one."""
        self._batched = table.name
        kept = {old: column.name for old, column in batch_impl.columns.items()}
        renamed = {fold_name(old): new for old, new in kept.items() if old != new}
        fit_checks(batch_impl.new_table, renamed, frozenset(fold_name(name) for name in table.c.keys() - kept.keys()))

    def drop_table(self, table: Table, **options: Any) -> None:
        """Drop a table. For the table that batch mode has copied, foreign keys that refer to it are kept."""
        if self.as_sql or table.name != self._batched:
            super().drop_table(table, **options)
            return
        self._batched = None
        with rebuilding_table(self._live_connection(), table.name):
            super().drop_table(table, **options)

    def _ddl_compiler(self) -> Any:
        return self.dialect.ddl_compiler(self.dialect, None)  # type: ignore[arg-type]

    def _live_connection(self) -> Connection:
        if self.as_sql or self.connection is None:
            raise CommandError(
                "on ROME, this operation reads the table's definition from the database, so offline mode (--sql) can't "
                "generate it; use batch mode with copy_from, or run the migration online"
            )
        return self.connection


def _table_of(const: Constraint) -> str:
    if const.table is None:
        raise exc.ArgumentError(f"constraint {const.name} has no table")
    return str(const.table.name)
