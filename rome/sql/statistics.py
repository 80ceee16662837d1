"""How many rows something leads to: what is known of it, else a guess."""

from __future__ import annotations

from rome.catalog.model import Table
from rome.sql.access import KeyPath

UNKNOWN_ROWS = 100_000.0
"""A table that nothing is known of is taken for a large one: that costs a round trip, the contrary a whole table."""

_PER_KEY = 100.0
_PER_PARENT = 10.0
"""For a key that is a foreign key, or a part of a unique one."""
_NARROWER = 0.1
"""What one more column of an index, or a range on it, leaves of the rows."""


class Statistics:
    """What is known of the tables of a database."""

    def rows(self, table: Table) -> float:
        """The number of rows of a table."""
        return UNKNOWN_ROWS

    def per_key(self, table: Table, path: KeyPath) -> float:
        """The number of rows for one key of a path."""
        if path.is_unique:
            return 1.0
        columns = {term.column.name.lower() for term in path.equal}
        if not columns:
            return self.rows(table) * (_NARROWER if path.within else 1.0)
        is_child = any(columns.issuperset(map(str.lower, key.columns)) for key in table.foreign_keys)
        is_part = path.index is None or path.index.unique
        per_key = _PER_PARENT if is_child or is_part else _PER_KEY * _NARROWER ** (len(columns) - 1)
        return max(per_key * (_NARROWER if path.within else 1.0), 1.0)
