"""Written keys: the rows that a transaction has written, in the order of an index, for the requests of its statements.

    UPDATE services SET state = 'up' WHERE id = 7        RowWrite(services, k7, …, k7, (7, 'h1', 'up'))
    SELECT … FROM services JOIN tags ON …                tags are fetched by the ids of the services of host 'h1':
        WHERE services.host = 'h1'                       those in the store, and those written: k7, found by 'h1'

The keys are of every version of a row that was written, so more rows may be found than answer a request. They are made
when a request first asks for them, and then only of the writes that have come since.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rome.catalog.model import Table
from rome.sqlite.workspace import Row
from rome.storage.keys import row_keys_of
from rome.storage.store import KeyRange, Lookup, Range, Request

if TYPE_CHECKING:
    from rome.transaction.writes.write_set import RowWrite


class WrittenKeys:
    """The keys of a table's written rows in one space: row keys, or the entries of an index."""

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
