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
from typing import Any, NamedTuple

import apsw

import rome
from rome.catalog.codec import catalog_key
from rome.catalog.model import Catalog, Table
from rome.catalog.rows import encode_row, encode_rows
from rome.cli.failures import CommandFailure
from rome.errors import Conflict
from rome.folding import fold_name
from rome.sql.syntax.tokens import quoted
from rome.sqlite.errors import SQLITE_ERRORS, translated
from rome.storage.columns import Checks, Writes, WritesBySpace
from rome.storage.keys import encode_ints, prefix_end
from rome.storage.store import CATALOG, Batch, Check, Demand, Fetched, row_counter, rows_space
from rome.transaction.writes.sequences import moves_sequence

Row = tuple[Any, ...]


class Encoded(NamedTuple):
    """Rows as bytes."""

    keys: Sequence[bytes]
    writes: WritesBySpace
    unique: Sequence[tuple[bytes, bytes]]
    """Of each unique key: the space of its index, and the prefix of its entries."""
    greatest: int
    """The greatest id."""


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
        stored = [column.name for column in table.stored]
        self._has_hidden_rowid = not table.key
        made = [table.rowid_name, *stored] if not table.key and table.rowid_name else stored
        self._select = f"SELECT {', '.join(map(quoted, made))} FROM {quoted(table.name)}"
        self._delete = f"DELETE FROM {quoted(table.name)}"
        self._id_place = made.index(table.counted) if table.counted else None

    def encode(self, rows: Iterable[Row]) -> Encoded:
        """Return rows as bytes. Raise IntegrityError."""
        with translated(), self._scratch:
            self._scratch.executemany(self._insert, rows)
            made = self._scratch.execute(self._select).fetchall()
            self._scratch.execute(self._delete)
        table, place = self._table, self._id_place
        ids: list[Any] = [] if place is None else [row[place] for row in made]
        if self._has_hidden_rowid:
            made = [row[1:] for row in made]
        columns = list(zip(*made, strict=True)) or [()] * len(table.stored)
        keys = encode_ints(ids) if self._has_hidden_rowid else table.row_codec.encode_each(columns)
        if table.has_stored_generated:
            data = [encode_row(table.schema, row, computed=True) for row in made]
        else:
            data = encode_rows(table.schema, columns)
        writes: WritesBySpace = {rows_space(table.id): dict(zip(keys, data, strict=True))}
        unique: list[tuple[bytes, bytes]] = []
        for index in table.indexes:
            codec = table.index_codecs[index.id]
            writes[codec.space] = dict.fromkeys(codec.entries(codec.take_columns(columns), keys), b"")
            if index.unique:
                prefixes = [codec.encode_unique(codec.take(row)) for row in made]
                unique += [(codec.space, prefix) for prefix in prefixes if prefix is not None]
        return Encoded(keys, writes, unique, max(ids, default=0))

    def commit(self, encoded: Encoded) -> None:
        """Write encoded rows as one commit. Raise StoreUnavailable; CommandFailure if a row exists."""
        database, table = self._database, self._table
        seen = database.store.fetch([])
        if database.catalog(seen).table(table.name) != table:
            raise CommandFailure(f"the definition of {table.name} was changed during the copy", "Conflict")
        batch = self._batch(encoded, seen)
        try:
            database.store.commit(batch)
        except Conflict as error:
            raise CommandFailure(
                f"table {table.name}: somebody else writes to the target, and has one of the keys already; nothing of "
                "this batch was written",
                "Conflict",
            ) from error
        for counter, value in batch.advances.items():
            database.counters.skip(counter, value)
            database.counters.advanced(counter, value)

    def _batch(self, encoded: Encoded, seen: Fetched) -> Batch:
        table, version = self._table, seen.version
        definition = catalog_key(table.name)
        of_ranges = [
            Check(space, prefix, prefix_end(prefix), version, Demand.NO_KEYS) for space, prefix in encoded.unique
        ]
        of_keys = {
            (CATALOG, version, Demand.UNWRITTEN): [definition],
            (rows_space(table.id), version, Demand.NO_KEYS): encoded.keys,
        }
        advances = {row_counter(table.id): encoded.greatest} if moves_sequence(table, encoded.greatest) else {}
        known = {version: seen.digest} if version else {}
        return Batch(os.urandom(16), Checks(of_ranges, of_keys), Writes(encoded.writes), advances, seen=known)


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
