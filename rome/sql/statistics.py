"""How many rows something leads to: what is known of it, else a guess."""

from __future__ import annotations

from rome.catalog.model import Table

UNKNOWN_ROWS = 100_000.0
"""A table that nothing is known of is taken for a large one: that costs a round trip, the contrary a whole table."""

_PER_KEY = 100.0
_PER_PARENT = 10.0
_NARROWER = 0.1
"""What one more column of an index, or a range on it, leaves of the rows."""


class Statistics:
    """What is known of the tables of a database."""

    def rows(self, table: Table) -> float:
        """The number of rows of a table."""
        return UNKNOWN_ROWS

    def per_key(self, table: Table, columns: tuple[str, ...], *, is_unique: bool, is_ranged: bool) -> float:
        """The number of rows for one key of the first columns (lower case) of something that rows are in order of."""
        if is_unique:
            return 1.0
        if not columns:
            return self.rows(table) * _NARROWER
        is_child = any(set(columns).issuperset(map(str.lower, key.columns)) for key in table.foreign_keys)
        per_key = _PER_PARENT if is_child else _PER_KEY * _NARROWER ** (len(columns) - 1)
        return max(per_key * (_NARROWER if is_ranged else 1.0), 1.0)
