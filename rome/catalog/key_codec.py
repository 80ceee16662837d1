"""Keys of one table's rows and of one index's entries, and the requests that find them.

    CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE)      table 1, index 2
    INSERT INTO people VALUES (7, 'Bob')

    row key                 in r1   encode((7,))
    index entry             in i2   encode(("bob",)) + row key + length of the row key
    rows of one row key     Get(r1, (key,))
    rows of an index key    Lookup(i2, r1, ((prefix, prefix_end(prefix)),))

`Table.row_codec` and `Table.index_codecs` make each codec once. Every row key, index entry and point request is built
here, so that collations and the layout of keys are known in one place. `rome.storage.keys` has the format of the bytes.

A codec takes values as they are stored: the affinity of the column is already applied (`rome.values.convert`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import cast

from rome.fast_tuples import tuple_maker
from rome.folding import fold_name
from rome.storage.keys import encode, encode_each, encode_int, entries_of, entry, prefix_end
from rome.storage.store import Get, KeyRange, Lookup, Range, Request, index_space, rows_space
from rome.values import Columns, SqlValue, collate, collate_each

Row = Sequence[SqlValue]
TakeColumns = Callable[[Row], tuple[SqlValue, ...]]

_get = tuple_maker(Get)
_range = tuple_maker(Range)
_lookup = tuple_maker(Lookup)


def columns_taker(places: Sequence[int]) -> TakeColumns:
    """Return a function that takes the values at some places of a row, as a tuple."""
    if len(places) < 2:  # an itemgetter of one place makes no tuple
        place = slice(places[0], places[0] + 1) if places else slice(0)
        return cast("TakeColumns", itemgetter(place))
    return itemgetter(*places)


class KeyCodec:
    """The keys that some columns of a table make. The subclasses say where these keys are stored."""

    def __init__(self, space: bytes, columns: Sequence[str], collations: Sequence[str], take: TakeColumns) -> None:
        """`take` returns the values of the columns from a stored row."""
        self.space = space
        self.columns = tuple(fold_name(column) for column in columns)
        """The names of the columns, in lower case; empty for a hidden rowid and for a computed index."""
        self.collations = None if set(collations) <= {"BINARY"} else tuple(collations)
        """None if all of them are BINARY."""
        self.take = take
        self.encode: Callable[[Row], bytes] = encode if self.collations is None else self._encode_collated
        """Returns the key of some values, or its prefix if they are fewer than the columns."""

    def has_prefix(self, columns: Sequence[str], collations: Sequence[str]) -> bool:
        """Return True if keys begin with the values of these columns (lower-case names) under these collations."""
        own = self.collations or ("BINARY",) * len(self.columns)
        width = len(columns)
        return self.columns[:width] == tuple(columns) and own[:width] == tuple(collations)

    def encode_unique(self, values: Row) -> bytes | None:
        """Return the key of some values; None if one of them is NULL, for then no other row has the same key."""
        return None if None in values else self.encode(values)

    def collated(self, values: tuple[SqlValue, ...]) -> tuple[SqlValue, ...]:
        """Return values that are equal exactly where their keys are."""
        return values if self.collations is None else tuple(map(collate, values, self.collations))

    def take_columns(self, columns: Columns) -> Columns:
        """Return the values of the columns from many stored rows."""
        take = cast("Callable[[Columns], Columns]", self.take)
        return take(columns)

    def encode_each(self, columns: Columns) -> list[bytes]:
        """Return the key of each of many stored rows."""
        return self.encode_values(self.take_columns(columns))

    def encode_values(self, taken: Columns) -> list[bytes]:
        """Return the key of the values of each of many rows."""
        if self.collations is not None:
            taken = list(map(collate_each, taken, self.collations))
        return encode_each(taken)

    def _encode_collated(self, values: Row) -> bytes:
        return encode(map(collate, values, self.collations or ()))

    def get(self, key: bytes) -> Request:
        """Return the request for the rows that have a key, all columns of it."""
        raise NotImplementedError

    def get_all(self, keys: Sequence[bytes]) -> Request:
        """Return the request for the rows that have one of some keys."""
        raise NotImplementedError

    def prefix(self, prefix: bytes) -> Request:
        """Return the request for the rows whose keys begin with the elements of a prefix."""
        raise NotImplementedError

    def requests(self, ranges: Iterable[KeyRange], limit: int | None, reverse: bool) -> tuple[Request, ...]:
        """Return the requests for the rows in some ranges of keys."""
        raise NotImplementedError


class RowKeyCodec(KeyCodec):
    """The row keys of a table: its primary key, or its rowid where it has none."""

    def __init__(self, table_id: int, columns: Sequence[str], collations: Sequence[str], take: TakeColumns) -> None:
        super().__init__(rows_space(table_id), columns, collations, take)

    def row_key(self, row: Row, rowid: int) -> bytes:
        """Return the key of a row. `rowid` counts only where the table has no primary key."""
        return self.encode(self.take(row)) if self.columns else encode((rowid,))

    def get(self, key: bytes) -> Request:
        """Return the request for the row with this key."""
        return _get((self.space, (key,)))

    def get_all(self, keys: Sequence[bytes]) -> Request:
        """Return the request for the rows with these keys."""
        return _get((self.space, tuple(keys)))

    def prefix(self, prefix: bytes) -> Request:
        """Return the request for the rows whose keys begin with the elements of a prefix."""
        return _range((self.space, prefix, prefix_end(prefix), None, False))

    def requests(self, ranges: Iterable[KeyRange], limit: int | None, reverse: bool) -> tuple[Request, ...]:
        """Return the requests for the rows in some ranges of row keys, one for each range."""
        return tuple(Range(self.space, begin, end, limit, reverse) for begin, end in ranges)


class IndexKeyCodec(KeyCodec):
    """The entries of an index: its columns' key, then the row key, which is `row_keys_of` of the entry."""

    def __init__(
        self, index_id: int, table_id: int, columns: Sequence[str], collations: Sequence[str], take: TakeColumns
    ) -> None:
        super().__init__(index_space(index_id), columns, collations, take)
        self.rows = rows_space(table_id)

    def entry(self, row: Row, row_key: bytes) -> bytes:
        """Return the entry of a row. Only for an index that is not computed."""
        return entry(self.encode(self.take(row)), row_key)

    def entries(self, taken: Columns, row_keys: Sequence[bytes]) -> list[bytes]:
        """Return the entry of the values of each of many rows. Only for an index that is not computed."""
        return entries_of(self.encode_values(taken), row_keys)

    def get(self, key: bytes) -> Request:
        """Return the request for the rows that have a key of the index, all columns of it."""
        return _lookup((self.space, self.rows, ((key, prefix_end(key)),), None, False))

    def get_all(self, keys: Sequence[bytes]) -> Request:
        """Return the request for the rows that have one of some keys of the index."""
        return _lookup((self.space, self.rows, tuple([(key, prefix_end(key)) for key in keys]), None, False))

    def prefix(self, prefix: bytes) -> Request:
        """Return the request for the rows whose entries begin with the elements of a prefix."""
        return _lookup((self.space, self.rows, ((prefix, prefix_end(prefix)),), None, False))

    def requests(self, ranges: Iterable[KeyRange], limit: int | None, reverse: bool) -> tuple[Request, ...]:
        """Return the one request for the rows in some ranges of entries."""
        return (Lookup(self.space, self.rows, tuple(ranges), limit, reverse),)


_SMALL = tuple(encode_int(rowid) for rowid in range(1024))


def rowid_key(rowid: int) -> bytes:
    """Return the row key of a table's hidden rowid, or of its INTEGER PRIMARY KEY."""
    return _SMALL[rowid] if 0 <= rowid < 1024 else encode_int(rowid)
