"""The foreign keys of a table: each of its rows has its parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rome.catalog.model import Catalog, Table
from rome.sqlite.workspace import Row
from rome.storage.store import Lookup, Scan, Store
from rome.testing.check.faults import Fault
from rome.testing.check.pieces import pieces
from rome.testing.check.rows import StoredRows
from rome.transaction.constraints.table_keys import Reference, TableKeys

_AT_ONCE = 500


def reference_faults(store: Store, catalog: Catalog, table: Table, rows: StoredRows, version: int) -> Iterator[Fault]:
    """Yield the values of foreign keys that no parent has. Keys that only a full scan could find are left out."""
    for reference in TableKeys(catalog, table).parents:
        values = {reference.child_values(row) for row in rows.values.values()}
        for some in pieces((each for each in values if each), _AT_ONCE):
            yield from _missing(store, reference, some, version)


def _missing(store: Store, reference: Reference, values: Sequence[Row], version: int) -> Iterator[Fault]:
    lookups = [(each, reference.parent_request(each)) for each in values]
    asked = [(each, lookup.request) for each, lookup in lookups if lookup and not isinstance(lookup.request, Scan)]
    answers = store.fetch([request for _, request in asked], version).answers if asked else []
    for (each, request), answer in zip(asked, answers, strict=True):
        found = answer[0] if isinstance(request, Lookup) else [value for value in answer if value is not None]
        if not found:
            key = reference.key
            columns = ", ".join(key.columns)
            yield Fault("foreign key", key.table, f"({columns}) refers to {each}, which {key.parent} does not have")
