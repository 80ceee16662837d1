"""Read the rows of a ROME table from its store as of one version: without SQL, and without keeping them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Dialect, Table

from rome.catalog.model import Table as StoredTable
from rome.catalog.rows import read_rows
from rome.cli.copy.values import Row, by_column, each
from rome.cli.opened import Opened
from rome.folding import fold_name
from rome.storage.keys import decode
from rome.storage.store import LAST, Count, rows_space

_ROWIDS = frozenset({"rowid", "oid", "_rowid_"})


class RowsInStore:
    """The rows of a table, with some of its columns, in the order of their keys in the store."""

    def __init__(self, database: Opened, stored: StoredTable, table: Table, dialect: Dialect) -> None:
        """Use `stored_rows_of`, which knows the tables that can be read so."""
        self._database = database
        self._stored = stored
        self._take = _taker(stored, table)
        self._convert = by_column(
            [each(column.type.dialect_impl(dialect).result_processor(dialect, None)) for column in table.columns]
        )

    def count(self) -> int:
        """Return the number of rows."""
        request = Count(rows_space(self._stored.id), ((b"", LAST),))
        return int(self._database.store.fetch([request], self._database.version).answers[0])

    def batches(self, size: int, after: Row | None, until: Row | None) -> Iterator[Sequence[Row]]:
        """Yield the rows after a key and until another one, given by stored values. Raise SnapshotTooOld."""
        stored, encode = self._stored, self._stored.row_codec.encode
        begin = b"" if after is None else encode(after) + b"\0"
        end = LAST if until is None else encode(until) + b"\0"
        for page in self._database.pages(rows_space(stored.id), begin=begin, end=end, page_size=size):
            keys, values = zip(*page, strict=True)
            rows: Any = read_rows(stored, keys, values)
            yield self._convert(self._take(keys, rows))


def stored_rows_of(database: Opened, table: Table, key: Sequence[str], dialect: Dialect) -> RowsInStore | None:
    """Return the rows of a table; None if the store has not all of its columns, or has them in another order."""
    stored = database.catalog.table(table.name)
    if stored is None:
        return None
    names = [fold_name(column.name) for column in table.columns]
    has_hidden_rowid = not stored.key and stored.rowid_name is not None
    rowids = _ROWIDS - stored.position.keys()
    has_columns = all(name in stored.position or (has_hidden_rowid and name in rowids) for name in names)
    order = [fold_name(name) for name in key]
    has_order = (
        not key or order == [fold_name(name) for name in stored.key] or (has_hidden_rowid and order[0] in rowids)
    )
    return RowsInStore(database, stored, table, dialect) if has_columns and has_order else None


def _taker(stored: StoredTable, table: Table) -> Callable[[Sequence[bytes], Sequence[Row]], Sequence[Row]]:
    """Return the function that takes the values of the columns from rows and their keys."""
    places = [stored.position.get(fold_name(column.name), -1) for column in table.columns]
    if places == list(range(len(stored.stored))):
        return lambda _, rows: rows
    if -1 in places:  # the hidden rowid
        return lambda keys, rows: [
            tuple([rowid if place < 0 else row[place] for place in places])
            for (rowid,), row in zip(map(decode, keys), rows, strict=True)
        ]
    if len(places) == 1:
        return lambda _, rows: [(row[places[0]],) for row in rows]
    take = itemgetter(*places)
    return lambda _, rows: list(map(take, rows))
