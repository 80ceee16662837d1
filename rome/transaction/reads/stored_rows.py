"""Rows as the store has them: their bytes, as the values of a table's stored columns."""

from __future__ import annotations

from collections.abc import Sequence

from rome.catalog.model import Table
from rome.errors import FormatError
from rome.sqlite.workspace import Row
from rome.storage.keys import decode
from rome.storage.rows import decode_row, decode_rows


def read_rows(table: Table, keys: Sequence[bytes], values: Sequence[bytes | None]) -> Sequence[Row | None]:
    """`read_row` for many rows, of which some may be missing (None)."""
    if len(values) == 1:
        data = values[0]
        return [None if data is None else read_row(table, keys[0], data)]
    if values:
        rows = decode_rows(values, table.schema, len(table.stored))
        if rows is not None:
            return rows
    return [None if data is None else read_row(table, key, data) for key, data in zip(keys, values, strict=True)]


def read_row(table: Table, key: bytes, data: bytes) -> Row:
    """The values of a stored row in the order of the table's stored columns, through the schema it was written under.

    Raises FormatError that names the table and the key.
    """
    try:
        number, values = decode_row(data)
        if number == table.schema:
            if len(values) != len(table.stored):
                raise FormatError(f"{len(values)} values for {len(table.stored)} columns")
            return values
        return _through_schema(table, number, values)
    except FormatError as error:
        raise FormatError(f"row {_shown(key)} of table {table.name} does not decode: {error}") from error


def _through_schema(table: Table, number: int, values: Row) -> Row:
    cids = table.schemas.get(number)
    if cids is None:
        raise FormatError(f"it was written under schema {number}, which the catalog does not have")
    by_cid = dict(zip(cids, values, strict=True))
    return tuple(
        by_cid[column.cid] if column.cid in by_cid else table.defaults.get(column.cid) for column in table.stored
    )


def relaid(row: Row, table: Table, final: Table) -> Row:
    """A row laid out for an earlier definition of a table, laid out for a later one."""
    if table is final or table.schema == final.schema:
        return row
    by_cid = {column.cid: value for column, value in zip(table.stored, row, strict=True)}
    return tuple(
        by_cid[column.cid] if column.cid in by_cid else final.defaults.get(column.cid) for column in final.stored
    )


def _shown(key: bytes) -> str:
    try:
        return repr(decode(key))
    except FormatError:
        return repr(key)
