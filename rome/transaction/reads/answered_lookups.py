"""Answered lookups: which rows of an index range a transaction has already fetched through another index.

A lookup by an index on (image_id) brings all rows with this image_id. So it also answers lookups by an index on
(image_id, name), or on (name, image_id), for the same image_id:

    SELECT * FROM properties WHERE image_id = 7                  lookup by properties_image_id
    INSERT INTO properties (image_id, name) VALUES (7, 'os')     is ('os', 7) taken? No round trip
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
    """The index lookups of one transaction that were answered."""

    def __init__(self) -> None:
        self._answered: dict[bytes, list[_Answered]] = {}
        """By the space of the rows: lookups that are not in `_by_prefix` yet."""
        self._by_prefix: dict[tuple[bytes, bytes], RowKeys] = {}

    def note(self, request: Lookup, keys: RowKeys) -> None:
        """Note that a lookup was answered with the rows of these keys."""
        if request.limit is None:
            self._answered.setdefault(request.rows, []).append(_Answered(request, keys))

    def rows(self, table: Table, request: Lookup) -> RowKeys | None:
        """Return the keys of rows that include all rows of a lookup; None if it must be sent to the store."""
        answered = self._answered.get(request.rows)
        if answered is None:
            return None
        index = next((codec for codec in table.index_codecs.values() if codec.space == request.index), None)
        if index is None or not index.columns:
            return None
        while answered:
            self._index(answered.pop())
        found: dict[bytes, None] = {}
        for key_range in request.ranges:
            keys = self._rows_of(table, index, key_range)
            if keys is None:
                return None
            found.update(dict.fromkeys(keys))
        return tuple(found)

    def _index(self, answered: _Answered) -> None:
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
    """Return the columns of an index, each with its collation: what is equal under one may differ under another."""
    collations = index.collations or ("BINARY",) * len(index.columns)
    return list(zip(index.columns, collations, strict=True))


def _prefixes(index: IndexKeyCodec, values: dict[tuple[str, str], bytes]) -> Iterator[bytes]:
    """Yield the prefixes of the index entries of rows with these values, from the shortest to the longest."""
    if not index.columns:
        return  # a computed index
    prefix = b""
    for term in _terms(index):
        if term not in values:
            return
        prefix += values[term]
        yield prefix
