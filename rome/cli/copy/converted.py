"""Copies from or to other databases: the reflected schema, as far as both databases have it.

Keys, foreign keys, unique constraints, indexes, and simple defaults are copied; CHECK constraints, generated columns,
views, and partial and expression indexes where they can be translated. A column of a type that SQLAlchemy knows only
for one database becomes text, an array becomes JSON, and a time with a zone becomes UTC without one. What is not copied
is named in the notes.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence

from sqlalchemy import CheckConstraint, Column, Connection, ForeignKeyConstraint, MetaData, Table, inspect, text
from sqlalchemy.schema import AddConstraint

from rome.cli.copy.columns import convert_columns
from rome.cli.copy.constraints import add_checks, convert_checks, convert_indexes
from rome.cli.copy.counters import counters_of, set_counters
from rome.cli.copy.mysql import fit_types, is_mysql
from rome.cli.copy.plan import CopyPlan, TableCopy
from rome.cli.copy.schema import Conversion
from rome.cli.copy.views import create_views, note_what_is_left, translated_views
from rome.folding import fold_name

_CHECKS_OF_COLUMNS = (
    "SELECT table_name, check_clause FROM information_schema.check_constraints "
    "WHERE constraint_schema = database() AND level = 'Column'"
)
"""The CHECK constraints of MariaDB that SQLAlchemy does not reflect."""


def plan_converted(source: Connection, target: Connection, only: Collection[str]) -> CopyPlan:
    """Return the plan of a copy between databases of different dialects."""
    conversion = Conversion(source, target)
    notes = conversion.notes
    tables = _reflected(source, only, notes)
    made = MetaData()
    checks, indexes, taken = {}, [], {table.name for table in tables}
    for table in tables:
        copied = table.to_metadata(made)
        checks[copied.name] = convert_checks(copied, conversion)
        indexes += convert_indexes(copied, target, conversion, taken)
        convert_columns(copied, conversion)
        if is_mysql(target):
            fit_types(copied, notes)
    views = translated_views(source, tables, not only, conversion)
    foreign_keys = [] if conversion.to_sqlite else _take_foreign_keys(made)
    note_what_is_left(source, [table.name for table in tables], not only, conversion)
    counters = counters_of(source, tables)

    def create(connection: Connection) -> None:
        made.create_all(connection)
        for statement in indexes:
            connection.exec_driver_sql(statement)

    def finish(connection: Connection) -> None:
        for name, of_table in checks.items():
            add_checks(connection, made.tables[name], of_table, notes)
        _add_foreign_keys(connection, foreign_keys)
        create_views(connection, views, notes)
        set_counters(connection, counters, [made.tables[table.name] for table in tables])

    copies = [_table_copy(table, made.tables[table.name]) for table in tables]
    return CopyPlan(copies, create, finish, notes)


def _reflected(source: Connection, only: Collection[str], notes: list[str]) -> list[Table]:
    """Return the tables of the source. Note what SQLAlchemy does not know."""
    reflected = MetaData()
    names = [name for name in inspect(source).get_table_names() if not only or fold_name(name) in only]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reflected.reflect(source, only=names, resolve_fks=False)
    notes.extend(f"{each.message}" for each in caught)
    if getattr(source.dialect, "is_mariadb", False):
        for name, sql in source.exec_driver_sql(_CHECKS_OF_COLUMNS).all():
            if name in reflected.tables:
                reflected.tables[name].append_constraint(CheckConstraint(text(sql.replace(":", "\\:"))))
    return [table for table in reflected.sorted_tables if table.name in names]


def _table_copy(table: Table, copied: Table) -> TableCopy:
    """Return the copy of the rows of a table: without columns that the target generates."""
    names = [column.name for column in copied.columns if column.computed is None]
    key = tuple(column.name for column in table.primary_key.columns)
    return TableCopy(_with_columns(table, names), _with_columns(copied, names), key)


def _with_columns(table: Table, names: Sequence[str]) -> Table:
    return Table(table.name, MetaData(), *(Column(name, table.c[name].type) for name in names))


def _take_foreign_keys(metadata: MetaData) -> list[ForeignKeyConstraint]:
    """Remove all foreign keys from tables, to be added after the rows. Return them."""
    taken: list[ForeignKeyConstraint] = []
    for table in metadata.tables.values():
        for constraint in [each for each in table.constraints if isinstance(each, ForeignKeyConstraint)]:
            table.constraints.discard(constraint)
            taken.append(constraint)
    return taken


def _add_foreign_keys(target: Connection, foreign_keys: Sequence[ForeignKeyConstraint]) -> None:
    present = inspect(target)
    for constraint in foreign_keys:
        known = [each["constrained_columns"] for each in present.get_foreign_keys(constraint.table.name)]
        if constraint.column_keys not in known:
            target.execute(AddConstraint(constraint))
