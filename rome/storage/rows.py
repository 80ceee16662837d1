"""Rows as bytes: msgpack of a list, the schema number first and then the values by position."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import accumulate

import msgpack

from rome.errors import DataError, FormatError
from rome.values import SqlValue

_unpack = partial(msgpack.unpackb, raw=False, strict_map_key=False, use_list=False)
Row = tuple[SqlValue, ...]

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


def decode_rows(rows: Sequence[bytes | None], schema: int, width: int) -> list[Row] | None:
    """The values of rows; None unless all are rows of this schema number, with so many values.

    All of them are decoded as one msgpack list. Nothing looks at each value: msgpack refuses maps and extensions, it
    tells of each list that it comes to the end of, and a boolean is a byte that can be looked for.
    """
    lists: list[Row] = []
    try:
        data = b"".join(rows)  # type: ignore[arg-type] # where one is missing (None), this is an error
        _unpack(
            b"\xdd%b%b" % (len(rows).to_bytes(4, "big"), data),
            list_hook=lists.append,
            max_map_len=0,
            max_ext_len=0,
            object_hook=_refuse,
            ext_hook=_refuse,
        )
        # The hook leaves None in the place of a list.
        if lists.pop().count(None) != len(rows) or len(lists) != len(rows):
            return None
        values = _values_of(width)(lists, schema)
    except Exception:
        return None
    return None if len(values) != len(rows) or _has_boolean(lists, rows, data) else values


def _has_boolean(lists: Sequence[Row], rows: Sequence[bytes | None], data: bytes) -> bool:
    """Whether there is a boolean in one of these rows, which make up the data. Its byte may be in other values, too."""
    if 0xC2 not in data and 0xC3 not in data:
        return False
    ends = list(accumulate(map(len, rows)))  # type: ignore[arg-type] # none is missing
    for byte in (b"\xc2", b"\xc3"):
        at = data.find(byte)
        while at >= 0:
            number = bisect_right(ends, at)
            if bool in map(type, lists[number]):
                return True
            at = data.find(byte, ends[number])
    return False


def _refuse(*_: object) -> None:
    raise FormatError("a row holds a value that SQLite has not")


@lru_cache(maxsize=1024)
def _values_of(width: int) -> Callable[[list[Row], int], list[Row]]:
    """What takes the values of lists that have this schema number; an error for a list of another length."""
    names = "".join(f"v{at}, " for at in range(width))
    code = f"lambda lists, schema: [({names}) for number, {names} in lists if number == schema]"
    found: Callable[[list[Row], int], list[Row]] = eval(code)  # noqa: S307 - our own
    return found


def _shown(data: bytes) -> str:
    return data.hex(" ") if len(data) <= 64 else f"{data[:64].hex(' ')} … ({len(data)} bytes)"
