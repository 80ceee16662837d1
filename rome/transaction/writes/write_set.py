"""The write set: the rows that a transaction has written, for commit, for its own later statements, and for undo.

Each statement appends a `RowWrite` for each row that it changed, in order. The last state of every written key is
indexed by table and key (`final_rows`): at commit, the net change leads from the row in the store to this row. ROLLBACK
TO cuts the list back to where it was at the savepoint, and undoes the index from the last write to the first.

    INSERT INTO t VALUES (1, 'a')              RowWrite(t, None, None, k1, (1, 'a'))
    UPDATE t SET n = 'b' WHERE id = 1          RowWrite(t, k1, (1, 'a'), k1, (1, 'b'))
    UPDATE t SET id = 2                        RowWrite(t, k1, (1, 'b'), k2, (2, 'b'))

    final_rows                                 k1 → no row, k2 → (2, 'b')

Most writes are recorded by the workspace. Those of `rome.session.point_dml` are not: it looks up its own rows and the
keys that they have taken (`point_rows`, `taken_keys`) here.

Rows give the keys of others (`rome.session.fetch`), also those that were written. These are found by their keys in the
order of an index (`WrittenKeys`):

    UPDATE services SET state = 'up' WHERE id = 7
    SELECT … FROM services JOIN tags ON …                tags are fetched by the ids of the services of host 'h1':
        WHERE services.host = 'h1'                       those in the store, and those written, among them 7
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rome.catalog.model import Catalog, Table
from rome.catalog.rows import migrate_row
from rome.fast_tuples import tuple_maker
from rome.folding import fold_name
from rome.sqlite.change_recorder import RowChange
from rome.sqlite.workspace import Row
from rome.storage.keys import row_keys_of
from rome.storage.store import Get, KeyRange, Lookup, Range, Request


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


row_write = tuple_maker(RowWrite)
_final_row = tuple_maker(FinalRow)


class WrittenKeys:
    """The keys of a table's written rows in one space: row keys, or the entries of an index.

    They are of every version of a row, so more rows may be found than answer a request. They are made when a request
    first asks for them, and then only of the writes that have come since.
    """

    def __init__(self, table: Table, make: Callable[[Row, bytes], bytes]) -> None:
        """`make` returns the key of a row and its row key."""
        self._table = table
        self._make = make
        self._keys: list[bytes] = []
        self._noted = 0
        self._is_complete = True
        """False once a row had another layout."""

    def roll_back_to(self, count: int) -> None:
        """Note the writes after the first `count` anew."""
        self._noted = min(self._noted, count)

    def find(self, writes: Sequence[RowWrite], ranges: Iterable[KeyRange]) -> Sequence[bytes] | None:
        """Return the keys in some ranges; None if that is not known."""
        for table, _, _, key, row, _, _ in writes[self._noted :]:
            if table.id == self._table.id and row is not None and key is not None:
                self._is_complete = self._is_complete and table.schema == self._table.schema
                if not self._is_complete:
                    return None
                made = self._make(row, key)
                at = bisect_left(self._keys, made)
                if self._keys[at : at + 1] != [made]:
                    self._keys.insert(at, made)
        self._noted = len(writes)
        found = []
        for begin, end in ranges:
            found += self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]
        return found


class WrittenKeysBySpace:
    """The written keys of one transaction, of the spaces that were asked for."""

    def __init__(self) -> None:
        self._spaces: dict[bytes, WrittenKeys] = {}

    def roll_back_to(self, count: int) -> None:
        """Take back the writes after the first `count`."""
        for keys in self._spaces.values():
            keys.roll_back_to(count)

    def row_keys(self, table: Table, request: Request, writes: Sequence[RowWrite]) -> Sequence[bytes] | None:
        """Return the row keys of the written rows that answer a request, and perhaps of others; None if not known."""
        if isinstance(request, Range) and request.limit is None:
            return self._in(request.space, table, _row_key).find(writes, ((request.begin, request.end),))
        if isinstance(request, Lookup) and request.limit is None:
            codec = next((codec for codec in table.index_codecs.values() if codec.space == request.index), None)
            if codec is not None and codec.columns:
                entries = self._in(codec.space, table, codec.entry).find(writes, request.ranges)
                return None if entries is None else row_keys_of(entries)
        return None

    def _in(self, space: bytes, table: Table, make: Callable[[Row, bytes], bytes]) -> WrittenKeys:
        found = self._spaces.get(space)
        if found is None:
            found = self._spaces[space] = WrittenKeys(table, make)
        return found


def _row_key(_row: Row, key: bytes) -> bytes:
    return key


class WriteSet:
    """The rows that one transaction has written."""

    _keys: WrittenKeysBySpace | None = None

    def __init__(self, *, is_marked: bool = False) -> None:
        """`is_marked`: there was a mark before the first write."""
        self._is_marked = is_marked
        self._writes: list[RowWrite] = []
        self._final: dict[int, dict[bytes, FinalRow]] = {}
        """By table id and row key: the last state of each written key."""
        self._undo: list[tuple[int, bytes, FinalRow | None]] = []
        """The entry of `_final` before each of its changes since the first mark: table id, row key, state."""
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
        for table, old_key, _, new_key, new, _, data in writes:
            final = self._final.get(table.id)
            if final is None:
                final = self._final[table.id] = {}
            if old_key is not None and old_key != new_key:
                if self._is_marked:
                    self._undo.append((table.id, old_key, final.get(old_key)))
                final[old_key] = _final_row((table, None, None))
            if new_key is not None:
                if self._is_marked:
                    self._undo.append((table.id, new_key, final.get(new_key)))
                final[new_key] = _final_row((table, new, data))

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

    def mark(self) -> tuple[int, int]:
        """Return what `roll_back_to` goes back to."""
        self._is_marked = True
        return len(self._writes), len(self._undo)

    def roll_back_to(self, mark: tuple[int, int]) -> list[tuple[int, bytes]]:
        """Undo the writes, and the migrations, since the mark. Return table id and key of what is not written now."""
        writes, changes = mark
        del self._writes[writes:]
        if self._keys is not None:
            self._keys.roll_back_to(writes)
        unwritten = []
        while len(self._undo) > changes:
            table_id, key, before = self._undo.pop()
            if before is None:
                del self._final[table_id][key]
                unwritten.append((table_id, key))
            else:
                self._final[table_id][key] = before
        return unwritten

    def migrate(self, table: Table) -> None:
        """Lay out the written rows of a table for its present definition."""
        self._keys = None
        final = self._final.get(table.id, {})
        for key, before in final.items():
            if self._is_marked:
                self._undo.append((table.id, key, before))
            row = None if before.row is None else migrate_row(before.row, before.table, table)
            final[key] = _final_row((table, row, None))

    def has_written(self, tables: Iterable[Table]) -> bool:
        """Return True if a row of one of these tables was written."""
        return bool(self._writes) and any(self._final.get(table.id) for table in tables)

    def written(self, table_id: int) -> Mapping[bytes, FinalRow]:
        """Return the last states of a table's written keys."""
        return self._final.get(table_id, {})

    def rows(self, table: Table, requests: Iterable[Request]) -> Iterator[Row]:
        """Yield the written rows of a table, as they are now, that answer some requests, and perhaps others."""
        written = self._final.get(table.id, {})
        found: dict[bytes, None] = {}
        if self._keys is None:
            self._keys = WrittenKeysBySpace()
        for request in requests if written else ():
            keys = request.keys if isinstance(request, Get) else self._keys.row_keys(table, request, self._writes)
            found |= dict.fromkeys(written if keys is None else keys)
        for key in found:
            final = written.get(key)
            if final is not None and final.row is not None:
                yield final.row

    def final_rows(self) -> Mapping[int, Mapping[bytes, FinalRow]]:
        """Return the last state of every written key, by table id and row key."""
        return self._final

    def explicit_ids(self, allocated: Container[tuple[int, int]]) -> dict[int, int]:
        """Return by table id the greatest id of a new row that was not allocated from the table's sequence."""
        greatest: dict[int, int] = {}
        for table, old_key, _, new_key, _, rowid, _ in self._writes:
            if new_key is None or new_key == old_key or not table.counted:
                continue
            if (table.id, rowid) not in allocated:
                greatest[table.id] = max(greatest.get(table.id, 0), rowid)
        return greatest


def row_writes(catalog: Catalog, changes: Iterable[RowChange]) -> list[RowWrite]:
    """Return the changes that the workspace recorded as writes of rows."""
    found = []
    for change in changes:
        table = catalog.tables.get(fold_name(change.table))
        if table is None:  # a table of SQLite's own, such as sqlite_sequence
            continue
        row_key = table.row_codec.row_key
        old_key = None if change.old is None else row_key(change.old, change.old_rowid)
        new_key = None if change.new is None else row_key(change.new, change.new_rowid)
        found.append(RowWrite(table, old_key, change.old, new_key, change.new, change.new_rowid))
    return found
