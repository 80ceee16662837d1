"""Check the consistency of a database: each row has exactly its index entries, and each entry has its row."""

from __future__ import annotations

from collections.abc import Iterator

from rome.catalog.codec import decode_catalog
from rome.catalog.model import Catalog, Table
from rome.catalog.rows import read_row
from rome.database.registry import open_database, release_database
from rome.storage.store import CATALOG, Range, Scan, Store, index_space, rows_space
from rome.transaction.index_entries import IndexEntries
from rome.url import parse_url


def check_database(url: str) -> list[str]:
    """Compare rows and index entries at the newest version. Return a list of faults, one sentence each."""
    database = open_database(parse_url(url))
    try:
        fetched = database.store.fetch([Scan(CATALOG)])
        pairs = sorted(zip(*fetched.answers[0], strict=True))
        catalog = decode_catalog(fetched.catalog_version, pairs, fetched.catalog_digest)
        return list(_faults(database.store, catalog, fetched.version))
    finally:
        release_database(database)


def _faults(store: Store, catalog: Catalog, version: int) -> Iterator[str]:
    entries = IndexEntries()
    for table in catalog.tables.values():
        (found,) = store.fetch([Scan(rows_space(table.id))], version).answers
        rows = {key: read_row(table, key, data) for key, data in zip(*found, strict=True)}
        for index in table.indexes:
            (pairs,) = store.fetch([Range(index_space(index.id))], version).answers
            present = {entry for entry, _ in pairs}
            expected = {entries.of(table, index, row, key) for key, row in rows.items()} - {None}
            name = index.name or f"of foreign key ({', '.join(filter(None, index.columns))})"
            yield from _differences(table, name, present, expected)


def _differences(table: Table, index: str, present: set[bytes], expected: set[bytes | None]) -> Iterator[str]:
    for entry in sorted(present - expected):
        yield f"table {table.name}: index {index} has an entry without its row: {entry!r}"
    for missing in expected - present:
        yield f"table {table.name}: index {index} lacks the entry {missing!r}"
