"""What a transaction knows of an index range without having asked for it.

All rows that have some values in some columns are found by any index that begins with some of these columns. So who has
read the properties of an image by the image's id need not ask for the one of a certain name, nor whether there is one,
although the names stand in another index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rome.catalog.key_codec import IndexKeyCodec
from rome.catalog.model import Table
from rome.errors import FormatError
from rome.storage.keys import decode, encode, prefix_end
from rome.storage.store import KeyRange, Lookup

RowKeys = Sequence[bytes]


class _Answered(NamedTuple):
    request: Lookup
    keys: RowKeys


class AnsweredLookups:
    """The lookups of one transaction that have been answered."""

    def __init__(self) -> None:
        self._answered: dict[bytes, list[_Answered]] = {}
        """By the space of the rows. What has been asked about already is in `_by_prefix`."""
        self._by_prefix: dict[tuple[bytes, bytes], RowKeys] = {}

    def note(self, request: Lookup, keys: RowKeys) -> None:
        """A lookup was answered with these rows."""
        if request.limit is None:
            self._answered.setdefault(request.rows, []).append(_Answered(request, keys))

    def rows(self, table: Table, request: Lookup) -> RowKeys | None:
        """Rows among which are all that a lookup would find; None if that takes asking."""
        answered = self._answered.get(request.rows)
        if answered is None:
            return None
        index = next((codec for codec in table.index_codecs.values() if codec.space == request.index), None)
        if index is None or not index.columns:
            return None
        while answered:
            self._take_in(answered.pop())
        found: dict[bytes, None] = {}
        for key_range in request.ranges:
            keys = self._rows_of(table, index, key_range)
            if keys is None:
                return None
            found.update(dict.fromkeys(keys))
        return tuple(found)

    def _take_in(self, answered: _Answered) -> None:
        for begin, end in answered.request.ranges:
            if end == prefix_end(begin):
                self._by_prefix[answered.request.index, begin] = answered.keys

    def _rows_of(self, table: Table, index: IndexKeyCodec, key_range: KeyRange) -> RowKeys | None:
        begin, end = key_range
        if end != prefix_end(begin):
            return None
        try:
            found = decode(begin)
        except FormatError:
            return None  # the last value is only the beginning of a text
        values = {term: encode((value,)) for term, value in zip(_terms(index), found, strict=False)}
        for other in table.index_codecs.values():
            for prefix in _prefixes(other, values):
                keys = self._by_prefix.get((other.space, prefix))
                if keys is not None:
                    return keys
        return None


def _terms(index: IndexKeyCodec) -> Sequence[tuple[str, str]]:
    """The columns of an index, each with its collation: what is equal under one may differ under another."""
    collations = index.collations or ("BINARY",) * len(index.columns)
    return list(zip(index.columns, collations, strict=True))


def _prefixes(index: IndexKeyCodec, values: dict[tuple[str, str], bytes]) -> Iterator[bytes]:
    """What entries of an index begin with that lead to rows of these values, from the shortest to the longest."""
    if not index.columns:
        return  # a computed index
    prefix = b""
    for term in _terms(index):
        if term not in values:
            return
        prefix += values[term]
        yield prefix
