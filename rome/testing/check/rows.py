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


def read_rows_of(store: Store, table: Table, version: int) -> StoredRows:
    """Read all rows of a table, and check each of them and its key."""
    space = rows_space(table.id)
    found, number = store.fetch([Scan(space), Count(space, ((b"", LAST),))], version).answers
    stored = dict(zip(*found, strict=True))
    rows = StoredRows()
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
    if number != len(stored):
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
    (pairs,) = store.fetch([Range(rows_space(table.id))], version).answers
    ordered = {key for key, _ in pairs}
    for key in sorted(stored.keys() - ordered):
        yield Fault("key", table.name, f"the row with the key {key!r} is missing in the order of the keys")
    for key in sorted(ordered - stored.keys()):
        yield Fault("key", table.name, f"the order of the keys has {key!r}, which no row has")
