"""The journal: what the statements of a transaction changed, row by row and in order.

The net change of a key at commit is from what the store has to the last value in the journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rome.catalog.model import Catalog, Table
from rome.sqlite.workspace import Row, RowChange


class RowWrite(NamedTuple):
    """One changed row: keys and stored values before and after (None: it was, or is, not there)."""

    table: Table
    old_key: bytes | None
    old: Row | None
    new_key: bytes | None
    new: Row | None
    new_rowid: int
    data: bytes | None = None
    """The row as the store will have it, where that is known already."""


class FinalRow(NamedTuple):
    """The last state of a key that was written: the table's definition at that time, and the row (None: gone)."""

    table: Table
    row: Row | None
    data: bytes | None = None
    """As in Entry."""


def entries_of(catalog: Catalog, changes: Iterable[RowChange]) -> list[RowWrite]:
    """The changes that the workspace recorded, as journal entries."""
    found = []
    for change in changes:
        table = catalog.tables.get(change.table.lower())
        if table is None:  # SQLite's own tables, such as sqlite_sequence
            continue
        row_key = table.row_codec.row_key
        old_key = None if change.old is None else row_key(change.old, change.old_rowid)
        new_key = None if change.new is None else row_key(change.new, change.new_rowid)
        found.append(RowWrite(table, old_key, change.old, new_key, change.new, change.new_rowid))
    return found


def net_of(journal: Iterable[RowWrite]) -> dict[tuple[int, bytes], FinalRow]:
    """(table id, row key) → last state."""
    net: dict[tuple[int, bytes], FinalRow] = {}
    for entry in journal:
        if entry.old_key is not None:
            net[entry.table.id, entry.old_key] = FinalRow(entry.table, None)
        if entry.new_key is not None:
            net[entry.table.id, entry.new_key] = FinalRow(entry.table, entry.new, entry.data)
    return net
