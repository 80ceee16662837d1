"""The names under which a statement reaches a table's counted column."""

from __future__ import annotations

from rome.catalog.model import Table

ROWID_NAMES = ("rowid", "_rowid_", "oid")


def rowid_names(table: Table) -> frozenset[str]:
    """In lower case, every name of the counted column: its own, and SQLite's three that no real column has taken.

    Empty if the table has no counted column.
    """
    if table.counted is None:
        return frozenset()
    hidden = {name for name in ROWID_NAMES if name not in table.by_name}
    return frozenset(hidden | {table.counted.lower()})
