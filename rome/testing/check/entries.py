"""The entries of an index, compared with the rows of its table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rome.catalog.model import Index, Table
from rome.errors import FormatError
from rome.storage.keys import decode, row_key_of
from rome.storage.store import Range, Store, Write, index_space, rows_space
from rome.testing.check.faults import Fault
from rome.testing.check.rows import StoredRows
from rome.transaction.index_entries import IndexEntries


def entry_faults(
    store: Store, table: Table, index: Index, rows: StoredRows, entries: IndexEntries, version: int
) -> Iterator[Fault]:
    """Yield the entries that lack their row, the rows that lack their entry, and rows with the same unique key."""
    space = index_space(index.id)
    (pairs,) = store.fetch([Range(space)], version).answers
    present = {entry for entry, _ in pairs}
    expected = {entries.of(table, index, row, key) for key, row in rows.values.items()} - {None}
    name = index.name or f"of foreign key ({', '.join(filter(None, index.columns))})"
    for entry in sorted(present - expected):
        row_key = _row_key(entry)
        if row_key in rows.broken:
            continue
        message = f"index {name} has an entry without its row: {entry!r}"
        yield Fault("index", table.name, message, Write(space, entry, None), rows_space(table.id), row_key)
    for missing in sorted(filter(None, expected - present)):
        message, row_key = f"index {name} lacks the entry {missing!r}", row_key_of(missing)
        yield Fault("index", table.name, message, Write(space, missing, b""), rows_space(table.id), row_key)
    if index.unique:
        yield from _duplicates(table, name, filter(None, expected))


def _row_key(entry: bytes) -> bytes:
    try:
        return row_key_of(entry)
    except FormatError:
        return b""


def _duplicates(table: Table, index: str, expected: Iterable[bytes]) -> Iterator[Fault]:
    """Yield a fault for each row whose key in a unique index another row has as well."""
    owners: dict[bytes, bytes] = {}
    for entry in sorted(expected):
        row_key = row_key_of(entry)
        columns = entry[: len(entry) - 2 - len(row_key)]
        owner = owners.setdefault(columns, row_key)
        if owner != row_key and None not in decode(columns):
            rows = f"{decode(owner)} and {decode(row_key)}"
            yield Fault("unique", table.name, f"the rows {rows} have the same key in the unique index {index}")
