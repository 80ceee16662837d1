"""The keys that a new row takes, and those of its parents: what must be known before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from rome.catalog.model import Catalog, Index, Table
from rome.fallback import NeedsWorkspace
from rome.sqlite.workspace import Row
from rome.storage.keys import collate, encode, prefix_end
from rome.storage.store import Get, Lookup, index_space, rows_space
from rome.transaction.index_entries import columns_of
from rome.transaction.reads.row_cache import Target
from rome.values import Affinity

AS_IT_IS_IN_KEYS: dict[Affinity, frozenset[type]] = {
    Affinity.TEXT: frozenset({str}),
    Affinity.NUMERIC: frozenset({int}),
    Affinity.INTEGER: frozenset({int}),
    Affinity.REAL: frozenset({int}),
    Affinity.BLOB: frozenset({int, str, bytes}),
}
"""What a column of a key is compared with as it is."""


class Key:
    """Some columns of a row as a key: that of the row itself, or that of an index. `space` is where such keys are."""

    def __init__(self, table: Table, columns: Sequence[str], index: Index | None = None) -> None:
        self.table = table
        self.space = rows_space(table.id) if index is None else index_space(index.id)
        self._rows = None if index is None else rows_space(table.id)
        found = [table.by_name[column.lower()] for column in columns]
        collations = [column.collation for column in found] if index is None else index.collations
        self.columns = [(column.name.lower(), column.affinity) for column in found]
        self._collations = None if set(collations) == {"BINARY"} else tuple(collations)
        places = [table.position[name] for name, _ in self.columns]
        # (An itemgetter of one place gives no tuple.)
        self._take: Any = itemgetter(*places, places[0])

    def of(self, row: Row) -> bytes | None:
        """The encoded values of a row; None if one of them is NULL."""
        return self.encoded(self._take(row)[:-1])

    def encoded(self, values: Row) -> bytes | None:
        """The key; None if one of the values is NULL."""
        if None in values:
            return None
        return encode(values if self._collations is None else map(collate, values, self._collations))

    def target(self, key: bytes) -> Target:
        """What is to be fetched to know who has this key."""
        if self._rows is None:
            return Target(self.table, Get(self.space, (key,)))
        return Target(self.table, Lookup(self.space, self._rows, ((key, prefix_end(key)),)))

    def need(self, row: Row) -> Need | None:
        """What must be known of the key that a row has; None if it has none."""
        key = self.of(row)
        return None if key is None else Need(self, key, self.target(key))


class Need(NamedTuple):
    """A key that a row takes, or that of its parent, and what is to be fetched to know who has it."""

    of: Key
    key: bytes
    target: Target


class Parent:
    """The key of the parent that a row refers to."""

    def __init__(self, child: Table, columns: Sequence[str], key: Key) -> None:
        """`columns`: those of the child, in the order of the key's."""
        self.key = key
        self._places = [child.position[column.lower()] for column in columns]
        self._kinds = [AS_IT_IS_IN_KEYS[affinity] for _, affinity in key.columns]

    def need(self, row: Row) -> Need | None:
        """What must be known of the parent that a row refers to; None if it refers to none. Raises NeedsWorkspace."""
        values = tuple([row[place] for place in self._places])
        if None in values:
            return None
        for value, kinds in zip(values, self._kinds, strict=True):
            if type(value) not in kinds:
                raise NeedsWorkspace
        key = self.key.encoded(values)
        assert key is not None
        return Need(self.key, key, self.key.target(key))


def parents_of(table: Table, catalog: Catalog) -> list[Parent] | None:
    """The parents of a table; None if one of them is not told by a primary key or a UNIQUE constraint."""
    found = []
    for each in table.foreign_keys:
        parent = catalog.table(each.parent)
        by_parent = dict(zip(map(str.lower, each.parent_columns), each.columns, strict=True))
        if parent is None or len(by_parent) < len(each.columns):
            return None
        keys = [Key(parent, parent.key)] if parent.key else []
        keys += [
            Key(parent, columns_of(index), index) for index in parent.indexes if index.unique and not index.computed
        ]
        key = next((key for key in keys if {name for name, _ in key.columns} == by_parent.keys()), None)
        if key is None:
            return None
        found.append(Parent(table, [by_parent[name] for name, _ in key.columns], key))
    return found
