"""Rows: values of a table's stored columns to bytes and back, through every schema that the table has had.

    format      msgpack list: the schema number, then the values by position
    example     [3, 7, "Bob", None, 2.5]      a row of schema 3 with four columns
    values      nil, integer, float 64, str, bin: SQLite's five storage classes and nothing else

The schema number says which columns the values belong to: `Table.schemas` maps it to their cids. ALTER TABLE makes a
new schema number and rewrites no row. A row of an older schema is read by matching cids: a dropped column is skipped,
an added one has the default that `Table.defaults` kept for it.

`read_row` and `read_rows` decode stored rows for a table; `migrate_row` converts a decoded row from one definition of a
table to another. Bytes that are no row raise FormatError, which names the table and the key.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import accumulate, repeat

import msgpack

from rome.catalog.model import Table
from rome.collection import MANY, collecting_later
from rome.errors import DataError, FormatError
from rome.packing import Packing
from rome.storage.keys import decode
from rome.values import STORAGE_CLASSES, Columns, SqlValue, has_surrogates

Row = tuple[SqlValue, ...]

_unpack = partial(msgpack.unpackb, raw=False, strict_map_key=False, use_list=False)
_pack = Packing(use_bin_type=True, unicode_errors="strict").pack
_pack_computed = Packing(use_bin_type=True, unicode_errors="surrogateescape").pack


def encode_row(schema: int, values: Sequence[SqlValue], *, computed: bool = False) -> bytes:
    """Return the bytes of a row of this schema number. Raise DataError for a value that SQLite cannot store.

    `computed`: SQLite has made the row, and texts that it computed may not be UTF-8 (`rome.values.text_of`).
    """
    if not STORAGE_CLASSES.issuperset(map(type, values)):
        kinds = {type(value) for value in values} - STORAGE_CLASSES
        raise DataError(f"a value of type {min(kind.__name__ for kind in kinds)} can't be stored")
    try:
        return (_pack_computed if computed else _pack)((schema, *values))
    except (ValueError, OverflowError) as error:
        raise DataError(f"a row holds a value that can't be stored: {error}") from error


def encode_rows(schema: int, columns: Columns) -> list[bytes]:
    """Return the bytes of many rows, as `encode_row` does one by one. Raise DataError for a value that is too large.

    The values must be as columns store them (`rome.values.convert_to_store`).
    """
    pack = msgpack.Packer(use_bin_type=True).pack
    try:
        return list(map(pack, zip(repeat(schema, len(columns[0])), *columns, strict=True)))
    except (ValueError, OverflowError) as error:
        raise DataError(f"a row holds a value that can't be stored: {error}") from error


def decode_row(data: bytes, *, computed: bool = False) -> tuple[int, Row]:
    """Return the schema number and the values of a row. Raise FormatError, without table and key, for other bytes.

    `computed`: texts may not be UTF-8, as in `encode_row`.
    """
    try:
        row = _unpack(data, unicode_errors="surrogateescape" if computed else "strict")
        schema, values = row[0], row[1:]
    except Exception as error:  # msgpack's errors have no common base class but this one
        reason = str(error) or type(error).__name__
        raise FormatError(f"a row does not decode: {reason}: {_shown(data)}") from error
    if type(row) is not tuple or type(schema) is not int or not STORAGE_CLASSES.issuperset(map(type, values)):
        raise FormatError(f"a row does not decode: it is not a schema number and SQL values: {_shown(data)}")
    return schema, values


# ── the rows of a table ───────────────────────────────────────────────────────────────────────────────────────────


def read_rows(table: Table, keys: Sequence[bytes], values: Sequence[bytes | None]) -> Sequence[Row | None]:
    """Return the values of many stored rows as `read_row` does; None for each that is missing (None)."""
    if len(values) == 1:
        data = values[0]
        return [None if data is None else read_row(table, keys[0], data)]
    if values:
        if len(values) < MANY:
            rows = decode_rows(values, table.schema, len(table.stored))
        else:
            with collecting_later(len(values)):
                rows = decode_rows(values, table.schema, len(table.stored))
        if rows is not None:
            return rows
    return [None if data is None else read_row(table, key, data) for key, data in zip(keys, values, strict=True)]


def read_row(table: Table, key: bytes, data: bytes) -> Row:
    """Return the values of a stored row in the order of `Table.stored`, whatever schema it was written under.

    Raise FormatError that names the table and the key.
    """
    try:
        row = _unpack(data)
        if (
            type(row) is tuple
            and type(row[0]) is int
            and row[0] == table.schema
            and len(row) == len(table.stored) + 1
            and STORAGE_CLASSES.issuperset(map(type, row))
        ):
            return row[1:]
    except Exception:  # noqa: S110 - decode_row below raises an error that says what is wrong
        pass
    try:
        schema, values = decode_row(data, computed=table.has_stored_generated)
        row = values if schema == table.schema else _read_old_row(table, schema, values)
        _check_row(table, row)
        return row
    except FormatError as error:
        raise FormatError(f"row {_shown_key(key)} of table {table.name} does not decode: {error}") from error


def _read_old_row(table: Table, schema: int, values: Row) -> Row:
    cids = table.schemas.get(schema)
    if cids is None:
        raise FormatError(f"it was written under schema {schema}, which the catalog does not have")
    if len(values) != len(cids):
        raise FormatError(f"{len(values)} values for {len(cids)} columns")
    return _by_cid(dict(zip(cids, values, strict=True)), table)


def _check_row(table: Table, row: Row) -> None:
    if len(row) != len(table.stored):
        raise FormatError(f"{len(row)} values for {len(table.stored)} columns")
    for column, value in zip(table.stored, row, strict=True):
        if has_surrogates(value) and not column.generated:
            raise FormatError(f"the text of column {column.name} is not UTF-8")


def migrate_row(row: Row, table: Table, final: Table) -> Row:
    """Return a row of one definition of a table as a row of a later definition, `final`."""
    if table is final or table.schema == final.schema:
        return row
    return _by_cid({column.cid: value for column, value in zip(table.stored, row, strict=True)}, final)


def _by_cid(values: dict[int, SqlValue], table: Table) -> Row:
    return tuple(
        values[column.cid] if column.cid in values else table.defaults.get(column.cid) for column in table.stored
    )


# ── many rows at once ─────────────────────────────────────────────────────────────────────────────────────────────


def decode_rows(rows: Sequence[bytes | None], schema: int, width: int) -> list[Row] | None:
    """Return the values of many rows; None unless each is a row of this schema number with `width` values.

    All rows are decoded as one msgpack list, several times faster than one by one. No value is checked by itself:
    msgpack refuses maps and extensions and reports each nested list, and a boolean is a byte that can be searched for.
    """
    lists: list[Row] = []
    try:
        data = b"".join(rows)  # type: ignore[arg-type] # a missing row (None) raises TypeError
        _unpack(
            b"\xdd%b%b" % (len(rows).to_bytes(4, "big"), data),
            list_hook=lists.append,
            max_map_len=0,
            max_ext_len=0,
            object_hook=_refuse,
            ext_hook=_refuse,
        )
        # The hook leaves None in the place of each list.
        if lists.pop().count(None) != len(rows) or len(lists) != len(rows):
            return None
        values = _values_of(width)(lists, schema)
    except Exception:
        return None
    return None if len(values) != len(rows) or _has_boolean(lists, rows, data) else values


def _has_boolean(lists: Sequence[Row], rows: Sequence[bytes | None], data: bytes) -> bool:
    """Return True if one of these rows, whose bytes are `data`, has a boolean. Other values may contain its byte."""
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
    raise FormatError("a row holds a value that is not of SQLite's storage classes")


@lru_cache(maxsize=1024)
def _values_of(width: int) -> Callable[[list[Row], int], list[Row]]:
    """Return a function that takes the values of the lists that have a schema number.

    It raises ValueError for a list of another length.
    """
    names = "".join(f"v{at}, " for at in range(width))
    code = f"lambda lists, schema: [({names}) for number, {names} in lists if number == schema]"
    found: Callable[[list[Row], int], list[Row]] = eval(code)  # noqa: S307 - our own
    return found


def _shown(data: bytes) -> str:
    return data.hex(" ") if len(data) <= 64 else f"{data[:64].hex(' ')} … ({len(data)} bytes)"


def _shown_key(key: bytes) -> str:
    try:
        return repr(decode(key))
    except FormatError:
        return repr(key)
