"""The keys that a new row takes, and those of its parents: what must be known before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rome.catalog.key_codec import KeyCodec
from rome.catalog.model import Catalog, Table
from rome.fallback import NeedsWorkspace
from rome.sqlite.workspace import Row
from rome.transaction.reads.row_cache import TableRequest
from rome.values import COMPARED_UNCHANGED


class Key:
    """A unique key of a table: its row key, or that of a unique index. `space` is where such keys are."""

    def __init__(self, table: Table, codec: KeyCodec) -> None:
        self.table = table
        self.codec = codec
        self.space = codec.space
        self.columns = [(name, table.by_name[name].affinity) for name in codec.columns]

    def of(self, row: Row) -> bytes | None:
        """Return the key of a row; None if one of its values is NULL."""
        return self.codec.encode_unique(self.codec.take(row))

    def target(self, key: bytes) -> TableRequest:
        """Return the request that finds the row with this key."""
        return TableRequest(self.table, self.codec.get(key))

    def need(self, row: Row) -> KeyProbe | None:
        """Return what must be known of the key of a row; None if one of its values is NULL."""
        key = self.codec.encode_unique(self.codec.take(row))
        return None if key is None else KeyProbe(self, key, TableRequest(self.table, self.codec.get(key)))


class KeyProbe(NamedTuple):
    """A key that a row takes, or that of its parent, and what is to be fetched to know who has it."""

    of: Key
    key: bytes
    target: TableRequest


class Parent:
    """The key of the parent that a row refers to."""

    def __init__(self, child: Table, columns: Sequence[str], key: Key) -> None:
        """`columns`: those of the child, in the order of the key's."""
        self.key = key
        self._places = [child.position[column.lower()] for column in columns]
        self._kinds = [COMPARED_UNCHANGED[affinity] for _, affinity in key.columns]

    def need(self, row: Row) -> KeyProbe | None:
        """What must be known of the parent that a row refers to; None if it refers to none. Raises NeedsWorkspace."""
        values = tuple([row[place] for place in self._places])
        if None in values:
            return None
        for value, kinds in zip(values, self._kinds, strict=True):
            if type(value) not in kinds:
                raise NeedsWorkspace
        key = self.key.codec.encode_unique(values)
        assert key is not None
        return KeyProbe(self.key, key, self.key.target(key))


def parents_of(table: Table, catalog: Catalog) -> list[Parent] | None:
    """The parents of a table; None if one of them is not told by a primary key or a UNIQUE constraint."""
    found = []
    for each in table.foreign_keys:
        parent = catalog.table(each.parent)
        by_parent = dict(zip(map(str.lower, each.parent_columns), each.columns, strict=True))
        if parent is None or len(by_parent) < len(each.columns):
            return None
        keys = [Key(parent, parent.row_codec)] if parent.key else []
        keys += [
            Key(parent, parent.index_codecs[index.id])
            for index in parent.indexes
            if index.unique and not index.computed
        ]
        key = next((key for key in keys if {name for name, _ in key.columns} == by_parent.keys()), None)
        if key is None:
            return None
        found.append(Parent(table, [by_parent[name] for name, _ in key.columns], key))
    return found
