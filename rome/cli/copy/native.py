"""Copies between SQLite and ROME: the statements of the schema as they are, and the stored values as they are."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Column, Connection, MetaData, Table, inspect
from sqlalchemy.types import NullType

from rome.cli.copy.counters import counters_of, set_counters
from rome.cli.copy.plan import CopyPlan, TableCopy
from rome.folding import fold_name, upper_name
from rome.sql.syntax.tokens import quoted

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'"
"""The statements that make a schema, without what SQLite makes itself."""


def plan_native(source: Connection, only: Collection[str]) -> CopyPlan:
    """Return the plan of a copy between databases with SQLite's dialect."""
    items = [(kind, name, table, sql) for kind, name, table, sql in source.exec_driver_sql(SCHEMA)]
    inspector = inspect(source)
    names = [name for name, _ in inspector.get_sorted_table_and_fkc_names() if name]
    wanted = [name for name in names if not only or fold_name(name) in only]
    tables = [_table_copy(source, name) for name in wanted]
    kept = [item for item in items if not only or fold_name(item[2]) in only]
    first = [item for kind in ("table", "index") for item in kept if item[0] == kind]
    last = [item for kind in ("view", "trigger") for item in kept if item[0] == kind]
    counters = counters_of(source, [table.source for table in tables])

    def finish(target: Connection) -> None:
        _run(target, last)
        set_counters(target, counters, [table.target for table in tables])

    return CopyPlan(tables, lambda target: _run(target, first), finish)


def _run(target: Connection, items: Collection[tuple[str, str, str, str]]) -> None:
    """Run the statements of objects that the target does not have."""
    present = {fold_name(name) for (name,) in target.exec_driver_sql("SELECT name FROM sqlite_master")}
    for _, name, _, sql in items:
        if fold_name(name) not in present:
            target.exec_driver_sql(sql)


def _table_copy(source: Connection, name: str) -> TableCopy:
    info = list(source.exec_driver_sql(f"PRAGMA table_xinfo({quoted(name)})"))
    columns = [column for _, column, _, _, _, _, hidden in info if not hidden]
    keyed = sorted((place, column, kind, not_null) for _, column, kind, not_null, _, place, _ in info if place)
    alias = len(keyed) == 1 and upper_name(keyed[0][2]) == "INTEGER"
    key = tuple(column for _, column, _, _ in keyed)
    if not key or not (alias or all(not_null for *_, not_null in keyed)):
        key = (next(each for each in ("rowid", "oid", "_rowid_") if each not in map(fold_name, columns)),)
        columns = [*key, *columns]
    return TableCopy(_untyped(name, columns), _untyped(name, columns), key)


def _untyped(name: str, columns: Collection[str]) -> Table:
    """Return a table whose values SQLAlchemy passes as they are."""
    return Table(name, MetaData(), *(Column(column, NullType()) for column in columns))
