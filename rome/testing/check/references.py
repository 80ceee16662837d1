"""The foreign keys of a table: each of its rows has its parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rome.catalog.model import Catalog, ForeignKey, Table
from rome.storage.store import Lookup, Scan, Store
from rome.testing.check.faults import Fault
from rome.testing.check.pieces import pieces
from rome.testing.check.rows import StoredRows
from rome.transaction.constraints.needed_keys import parent_lookup
from rome.values import SqlValue

_AT_ONCE = 500


def reference_faults(store: Store, catalog: Catalog, table: Table, rows: StoredRows, version: int) -> Iterator[Fault]:
    """Yield the values of foreign keys that no parent has. Keys that only a full scan could find are left out."""
    for key in table.foreign_keys:
        if not all(column.lower() in table.position for column in key.columns):
            continue
        places = [table.position[column.lower()] for column in key.columns]
        values = {tuple(row[place] for place in places) for row in rows.values.values()}
        for some in pieces((each for each in values if None not in each), _AT_ONCE):
            yield from _missing(store, catalog, key, some, version)


def _missing(
    store: Store, catalog: Catalog, key: ForeignKey, values: Sequence[tuple[SqlValue, ...]], version: int
) -> Iterator[Fault]:
    asked = [(each, lookup.request) for each in values for lookup in parent_lookup(catalog, key, each)]
    asked = [(each, request) for each, request in asked if not isinstance(request, Scan)]
    answers = store.fetch([request for _, request in asked], version).answers if asked else []
    for (each, request), answer in zip(asked, answers, strict=True):
        found = answer[0] if isinstance(request, Lookup) else [value for value in answer if value is not None]
        if not found:
            columns = ", ".join(key.columns)
            yield Fault("foreign key", key.table, f"({columns}) refers to {each}, which {key.parent} does not have")
