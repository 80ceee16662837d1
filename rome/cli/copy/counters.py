"""The last id that was given in each table. It may be greater than those of all rows that are left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, select, text

from rome.storage.store import row_counter

_HAS_SEQUENCES = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
_OF_MYSQL = text(
    "SELECT table_name, auto_increment - 1 FROM information_schema.tables "
    "WHERE table_schema = database() AND auto_increment > 1 AND table_name IN :names"
).bindparams(bindparam("names", expanding=True))


def counters_of(source: Connection, tables: Sequence[Table]) -> dict[str, int]:
    """Return the last id of each table, as far as the source knows more than its rows tell."""
    names = [table.name for table in tables]
    if source.dialect.name == "rome":
        return _of_rome(source, names)
    if source.dialect.name == "postgresql":
        return _of_postgresql(source, tables)
    if source.dialect.name in ("mysql", "mariadb"):
        return {str(name): int(last) for name, last in source.execute(_OF_MYSQL, {"names": names or [""]})}
    if source.dialect.name == "sqlite" and source.exec_driver_sql(_HAS_SEQUENCES).first():
        found = source.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")
        return {str(name): int(last) for name, last in found if name in names}
    return {}


def set_counters(target: Connection, counters: Mapping[str, int], tables: Sequence[Table]) -> None:
    """Let the ids of the tables go on after these, and after those of their rows."""
    kind = target.dialect.name
    if kind == "rome":
        target.commit()
        database = _driver(target).database
        catalog = database.catalog(database.store.fetch([]))
        for name, last in counters.items():
            table = catalog.table(name)
            if table is not None:
                database.store.advance(row_counter(table.id), last)
    elif kind == "postgresql":
        _set_sequences(target, counters, tables)
    elif kind in ("mysql", "mariadb"):
        for table in tables:
            if table.name in counters and table.autoincrement_column is not None:
                name = target.dialect.identifier_preparer.quote(table.name)
                target.exec_driver_sql(f"ALTER TABLE {name} AUTO_INCREMENT = {counters[table.name] + 1}")
    elif kind == "sqlite" and target.exec_driver_sql(_HAS_SEQUENCES).first():
        for name, last in counters.items():
            target.exec_driver_sql("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, name))


def _of_rome(source: Connection, names: Collection[str]) -> dict[str, int]:
    database = _driver(source).database
    catalog = database.catalog(database.store.fetch([]))
    found = [catalog.table(name) for name in names]
    return {
        table.name: database.store.peek(row_counter(table.id)) - 1
        for table in found
        if table is not None and table.counted
    }


def _of_postgresql(source: Connection, tables: Sequence[Table]) -> dict[str, int]:
    counters = {}
    for table in tables:
        sequence = _sequence_of(source, table)
        if sequence is not None:
            last, is_called = source.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()
            counters[table.name] = int(last) if is_called else int(last) - 1
    return counters


def _set_sequences(target: Connection, counters: Mapping[str, int], tables: Sequence[Table]) -> None:
    for table in tables:
        sequence, column = _sequence_of(target, table), table.autoincrement_column
        if sequence is not None and column is not None:
            greatest = target.execute(select(func.max(column))).scalar_one() or 0
            last = max(greatest, counters.get(table.name, 0))
            target.execute(select(func.setval(sequence, max(last, 1), last > 0)))


def _sequence_of(connection: Connection, table: Table) -> str | None:
    """Return the name of the sequence of a table's ids, quoted."""
    column = table.autoincrement_column
    if column is None:
        return None
    name = connection.dialect.identifier_preparer.quote(table.name)
    found: str | None = connection.execute(select(func.pg_get_serial_sequence(name, column.name))).scalar_one()
    return found


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection
