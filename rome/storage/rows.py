"""Rows as bytes: msgpack of a list, the schema number first and then the values by position."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from operator import itemgetter

import msgpack

from rome.catalog.affinity import SqlValue
from rome.errors import DataError, FormatError

_unpack = partial(msgpack.unpackb, raw=False, strict_map_key=False, use_list=False)
_first = itemgetter(0)
_others = itemgetter(slice(1, None))
_STORAGE_CLASSES = frozenset((type(None), int, float, str, bytes))


def encode_row(schema: int, values: Sequence[SqlValue]) -> bytes:
    """The bytes of a row written under a schema number. Raises DataError for a value SQLite could not store."""
    if not _STORAGE_CLASSES.issuperset(map(type, values)):
        kinds = {type(value) for value in values} - _STORAGE_CLASSES
        raise DataError(f"a value of type {min(kind.__name__ for kind in kinds)} can't be stored")
    try:
        data: bytes = msgpack.packb((schema, *values), use_bin_type=True)
    except (ValueError, OverflowError) as error:
        raise DataError(f"a row holds a value that can't be stored: {error}") from error
    return data


def decode_row(data: bytes) -> tuple[int, tuple[SqlValue, ...]]:
    """(schema number, values). Raises FormatError if the bytes are no row; the caller adds table and key."""
    try:
        row = _unpack(data)
        schema, values = row[0], row[1:]
    except Exception as error:  # msgpack's errors have no common root but this one
        reason = str(error) or type(error).__name__
        raise FormatError(f"a row does not decode: {reason}: {_shown(data)}") from error
    if type(row) is not tuple or type(schema) is not int or not _STORAGE_CLASSES.issuperset(map(type, values)):
        raise FormatError(f"a row does not decode: it is not a schema number and SQL values: {_shown(data)}")
    return schema, values


def decode_rows(rows: Sequence[bytes | None], schema: int, width: int) -> list[tuple[SqlValue, ...] | None] | None:
    """The values of rows; None unless all are rows of this schema number, with so many values.

    Nothing here looks at one row by itself: C loops over all of them.
    """
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, use_list=False, max_buffer_size=0)
    try:
        unpacker.feed(b"".join(rows))  # type: ignore[arg-type] # where one is missing (None), this is an error
        decoded = list(unpacker)
    except Exception:
        return None
    if len(decoded) != len(rows) or set(map(type, decoded)) != {tuple} or set(map(len, decoded)) != {width + 1}:
        return None
    if set(map(_first, decoded)) != {schema} or not _STORAGE_CLASSES.issuperset(map(type, chain(*decoded))):
        return None
    return list(map(_others, decoded))


def _shown(data: bytes) -> str:
    return data.hex(" ") if len(data) <= 64 else f"{data[:64].hex(' ')} … ({len(data)} bytes)"
