"""The write set: the rows that a transaction has written, for commit, for its own later statements, and for undo.

Each statement appends a `RowWrite` for each row that it changed, in order. ROLLBACK TO cuts the list back to where it
was at the savepoint. At commit, the net change of a key leads from the row in the store to the row of its last write
(`final_rows`).

    INSERT INTO t VALUES (1, 'a')              RowWrite(t, None, None, k1, (1, 'a'))
    UPDATE t SET n = 'b' WHERE id = 1          RowWrite(t, k1, (1, 'a'), k1, (1, 'b'))
    UPDATE t SET id = 2                        RowWrite(t, k1, (1, 'b'), k2, (2, 'b'))

    final_rows                                 k1 → no row, k2 → (2, 'b')

Most writes are recorded by the workspace. Those of `rome.session.point_dml` are not: it looks up its own rows and the
keys that they have taken (`point_rows`, `taken_keys`) here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from rome.catalog.model import Catalog, Table
from rome.fast_tuples import tuple_maker
from rome.sqlite.workspace import Row, RowChange


class RowWrite(NamedTuple):
    """One row that was written: keys and stored values before and after (None: there was, or is, no row)."""

    table: Table
    old_key: bytes | None
    old: Row | None
    new_key: bytes | None
    new: Row | None
    new_rowid: int
    data: bytes | None = None
    """The new row as the store will hold it, if it is encoded already."""


class FinalRow(NamedTuple):
    """The last state of a written key: the table's definition at that time, and the row (None: deleted)."""

    table: Table
    row: Row | None
    data: bytes | None = None
    """As in RowWrite."""


_final_row = tuple_maker(FinalRow)


class WriteSet:
    """The rows that one transaction has written."""

    def __init__(self) -> None:
        self._writes: list[RowWrite] = []
        self._table_ids: frozenset[int] = frozenset()
        self.point_rows: dict[tuple[int, bytes], Row] = {}
        """By table id and row key: the rows that were written without the workspace, as they are now."""
        self.taken_keys: set[tuple[bytes, bytes]] = set()
        """By space: the row keys, and the keys of unique indexes, of rows that were inserted without the workspace."""

    def __len__(self) -> int:
        return len(self._writes)

    def __iter__(self) -> Iterator[RowWrite]:
        return iter(self._writes)

    def record(self, writes: Sequence[RowWrite]) -> None:
        """Append writes."""
        self._writes.extend(writes)
        self._table_ids |= {write.table.id for write in writes}

    def record_point_writes(self, writes: Sequence[RowWrite], taken: Iterable[tuple[bytes, bytes]]) -> None:
        """Append writes that were made without the workspace. `taken`: the unique keys of the new rows, by space."""
        for table, _, old, key, row, _, _ in writes:
            assert key is not None
            assert row is not None
            self.point_rows[table.id, key] = row
            if old is None:
                self.taken_keys.add((table.row_codec.space, key))
        if taken:
            self.taken_keys.update(taken)
        self.record(writes)

    def roll_back_to(self, mark: int) -> None:
        """Remove the writes after the first `mark` ones."""
        if len(self._writes) > mark:
            del self._writes[mark:]
            self._table_ids = frozenset(write.table.id for write in self._writes)

    def has_written(self, tables: Iterable[Table]) -> bool:
        """Return True if a row of one of these tables was written."""
        return bool(self._writes) and not self._table_ids.isdisjoint(table.id for table in tables)

    def keys(self) -> set[tuple[int, bytes]]:
        """Return the table id and key of every written row, as it was and as it is."""
        return {(write.table.id, key) for write in self._writes for key in (write.old_key, write.new_key) if key}

    def rows_of(self, table: Table) -> Iterator[Row]:
        """Yield the written rows of a table as they are now."""
        if table.id in self._table_ids:
            for (table_id, _), final in self.final_rows().items():
                if table_id == table.id and final.row is not None:
                    yield final.row

    def final_rows(self) -> dict[tuple[int, bytes], FinalRow]:
        """Return the last state of every written key, by table id and row key."""
        final: dict[tuple[int, bytes], FinalRow] = {}
        for table, old_key, _, new_key, new, _, data in self._writes:
            if old_key is not None:
                final[table.id, old_key] = _final_row((table, None, None))
            if new_key is not None:
                final[table.id, new_key] = _final_row((table, new, data))
        return final

    def explicit_ids(self, keys: Container[tuple[int, bytes]], allocated: Container[tuple[int, int]]) -> dict[int, int]:
        """Return by table id the greatest id of a new row that was not allocated from the table's sequence.

        Only rows with these `keys` (of `final_rows`) count.
        """
        greatest: dict[int, int] = {}
        for table, old_key, _, new_key, _, rowid, _ in self._writes:
            if new_key is None or new_key == old_key or not table.counted:
                continue
            if (table.id, rowid) not in allocated and (table.id, new_key) in keys:
                greatest[table.id] = max(greatest.get(table.id, 0), rowid)
        return greatest


def row_writes(catalog: Catalog, changes: Iterable[RowChange]) -> list[RowWrite]:
    """Return the changes that the workspace recorded as writes of rows."""
    found = []
    for change in changes:
        table = catalog.tables.get(change.table.lower())
        if table is None:  # a table of SQLite's own, such as sqlite_sequence
            continue
        row_key = table.row_codec.row_key
        old_key = None if change.old is None else row_key(change.old, change.old_rowid)
        new_key = None if change.new is None else row_key(change.new, change.new_rowid)
        found.append(RowWrite(table, old_key, change.old, new_key, change.new, change.new_rowid))
    return found
