"""Write many new rows of one table to a ROME store, without a statement for each.

Every promise is kept by who keeps it otherwise. SQLite makes the rows: they are inserted into a copy of the table in
memory, which applies affinities, defaults, generated columns, NOT NULL, CHECK and uniqueness among the rows of a batch.
The store checks, as in any commit, that no row or unique key of the batch exists, and that the definition of the table
is still the same. So others may write meanwhile: what they have written first is refused here, and nothing is replaced.

Foreign keys are not enforced, as in the rest of a copy. Tables with triggers, or with indexes that SQLite computes, are
left to statements.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import apsw

import rome
from rome.catalog.codec import catalog_key
from rome.catalog.model import Catalog, Table
from rome.catalog.rows import encode_row, encode_rows
from rome.cli.failures import CommandFailure
from rome.database.counters import LAST_COUNTED, row_counter
from rome.errors import Conflict
from rome.folding import fold_name
from rome.sql.syntax.tokens import quoted
from rome.sqlite.errors import SQLITE_ERRORS, translated
from rome.storage.keys import encode, prefix_end
from rome.storage.store import CATALOG, Batch, Check, Demand, Fetched, Write, rows_space

Row = tuple[Any, ...]


class BulkLoader:
    """Writes rows with some columns to one table."""

    def __init__(self, connection: rome.Connection, table: Table, columns: Sequence[str]) -> None:
        """Use `loader_for`, which knows the tables that can be loaded."""
        self._database = connection.database
        self._table = table
        self._scratch = apsw.Connection(":memory:")
        self._scratch.execute(table.sql)
        marks = ", ".join("?" * len(columns))
        self._insert = f"INSERT INTO {quoted(table.name)} ({', '.join(map(quoted, columns))}) VALUES ({marks})"
        stored = ", ".join(quoted(column.name) for column in table.stored)
        rowid = "0" if table.without_rowid else table.rowid_name or "0"
        self._select = f"SELECT {rowid}, {stored} FROM {quoted(table.name)}"
        self._delete = f"DELETE FROM {quoted(table.name)}"

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows as one commit. Raise IntegrityError, StoreUnavailable; CommandFailure if a row exists."""
        with translated(), self._scratch:
            self._scratch.executemany(self._insert, rows)
            made = self._scratch.execute(self._select).fetchall()
            self._scratch.execute(self._delete)
        seen = self._database.store.fetch([])
        table = self._table
        if self._database.catalog(seen).table(table.name) != table:
            raise CommandFailure(f"the definition of {table.name} was changed during the copy", "Conflict")
        batch = self._batch(made, seen)
        try:
            self._database.store.commit(batch)
        except Conflict as error:
            raise CommandFailure(
                f"table {table.name}: somebody else writes to the target, and has one of the keys already; nothing of "
                "this batch was written",
                "Conflict",
            ) from error
        for counter, value in batch.advances.items():
            self._database.counters.skip(counter, value)
            self._database.counters.advanced(counter, value)

    def _batch(self, made: Sequence[Row], seen: Fetched) -> Batch:
        table, codec = self._table, self._table.row_codec
        rows = [row[1:] for row in made]
        keys = codec.encode_each(rows) if codec.columns else [encode((row[0],)) for row in made]
        if table.has_stored_generated:
            data = [encode_row(table.schema, row, computed=True) for row in rows]
        else:
            data = encode_rows(table.schema, rows)
        space, version = rows_space(table.id), seen.version
        writes = [Write(space, key, value) for key, value in zip(keys, data, strict=True)]
        checks = [Check(space, key, key + b"\0", version, Demand.NO_KEYS) for key in keys]
        for index in table.indexes:
            entries = table.index_codecs[index.id]
            writes += [Write(entries.space, each, b"") for each in entries.entries(rows, keys)]
            if index.unique:
                prefixes = [entries.encode_unique(entries.take(row)) for row in rows]
                checks += [
                    Check(entries.space, prefix, prefix_end(prefix), version, Demand.NO_KEYS)
                    for prefix in prefixes
                    if prefix is not None
                ]
        definition = catalog_key(table.name)
        checks.append(Check(CATALOG, definition, definition + b"\0", version))
        advances = {}
        greatest = max((row[0] for row in made), default=0)
        if table.counted and 0 < greatest < LAST_COUNTED:
            advances[row_counter(table.id)] = greatest
        return Batch(os.urandom(16), checks, writes, advances, seen={version: seen.digest} if version else {})


def loader_for(connection: rome.Connection, name: str, columns: Sequence[str]) -> BulkLoader | None:
    """Return the loader of a table; None if its rows have to be inserted by statements."""
    database = connection.database
    catalog = database.catalog(database.store.fetch([]))
    table = catalog.table(name)
    if table is None or not _is_simple(catalog, table, columns):
        return None
    try:
        return BulkLoader(connection, table, columns)
    except SQLITE_ERRORS:  # a function or collation that only connections of ROME have
        return None


def _is_simple(catalog: Catalog, table: Table, columns: Sequence[str]) -> bool:
    has_triggers = any(
        item.type == "trigger" and fold_name(item.table) == fold_name(table.name) for item in catalog.objects.values()
    )
    given = {fold_name(column) for column in columns}
    has_its_key = (
        bool(given & {"rowid", "oid", "_rowid_"}) if not table.key else given >= set(map(fold_name, table.key))
    )
    return has_its_key and not has_triggers and not any(index.computed for index in table.indexes)
