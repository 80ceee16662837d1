"""The rows of a table as they are stored, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rome.catalog.model import Table
from rome.catalog.rows import Row, read_row
from rome.errors import FormatError
from rome.storage.keys import decode
from rome.storage.store import LAST, Count, Range, Scan, Store, rows_space
from rome.testing.check.faults import Fault


@dataclass
class StoredRows:
    """The rows of a table by their keys. Those in `broken` have a fault, so nothing follows from them."""

    values: dict[bytes, Row] = field(default_factory=dict)
    broken: set[bytes] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    are_missing: bool = False
    """True if they can't be read at all, so that nothing can be compared with them."""


def read_rows_of(store: Store, table: Table, version: int) -> StoredRows:
    """Read all rows of a table, and check each of them and its key."""
    space = rows_space(table.id)
    rows = StoredRows()
    try:
        (found,) = store.fetch([Scan(space)], version).answers
    except FormatError as error:
        rows.faults.append(Fault("row", table.name, str(error)))
        rows.are_missing = True
        return rows
    stored = dict(zip(*found, strict=True))
    for key, data in stored.items():
        try:
            row = read_row(table, key, data)
            expected = table.row_codec.encode(table.row_codec.take(row)) if table.key else _rowid(key)
        except FormatError as error:
            rows.broken.add(key)
            rows.faults.append(Fault("row", table.name, str(error)))
            continue
        if key != expected:
            rows.broken.add(key)
            rows.faults.append(Fault("key", table.name, f"the row {row} has the key {key!r} instead of {expected!r}"))
            continue
        rows.values[key] = row
    rows.faults += _order_faults(store, table, stored, version)
    return rows


def _rowid(key: bytes) -> bytes:
    """Return a key that is one integer. Raise FormatError for another."""
    values = decode(key)
    if len(values) != 1 or not isinstance(values[0], int):
        raise FormatError(f"the key {key!r} is not that of a hidden rowid")
    return key


def _order_faults(store: Store, table: Table, stored: Mapping[bytes, bytes], version: int) -> Iterator[Fault]:
    """Yield the differences of the keys in their order from the rows."""
    space = rows_space(table.id)
    try:
        (number,) = store.fetch([Count(space, ((b"", LAST),))], version).answers
        if number == len(stored):
            return
        (pairs,) = store.fetch([Range(space)], version).answers
    except FormatError as error:
        yield Fault("key", table.name, str(error))
        return
    ordered = {key for key, _ in pairs}
    for key in sorted(stored.keys() - ordered):
        yield Fault("key", table.name, f"the row with the key {key!r} is missing in the order of the keys")
    for key in sorted(ordered - stored.keys()):
        yield Fault("key", table.name, f"the order of the keys has {key!r}, which no row has")
