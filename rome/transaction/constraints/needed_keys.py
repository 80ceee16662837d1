"""Constraint reads: what must be loaded so that SQLite can judge UNIQUE, PRIMARY KEY and FOREIGN KEY constraints.

SQLite sees only the rows that are loaded. So after a statement ran, what it changed is looked at: rows that could hold
the same unique keys, parents that new rows refer to, and children of rows that went are needed. If any of them has not
been fetched, the statement is undone, they are fetched in one round, and it runs again. Then SQLite finds the violation
by itself, or does the upsert or the cascade. For the common INSERT … VALUES the needs are known before
(`needs_of_values`), so that it runs once.

Each need is also a constraint read: commit validates at every isolation level that its range has the same keys still.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from rome.catalog.key_codec import KeyCodec
from rome.catalog.model import Catalog, ForeignKey, Table
from rome.fallback import NotConvertible
from rome.sqlite.workspace import Row
from rome.storage.keys import encode
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.row_cache import TableRequest, whole
from rome.transaction.writes.write_set import RowWrite
from rome.values import SqlValue, collate, convert


class NeededKeys:
    """Finds the needs of changes under a catalog."""

    def __init__(
        self, catalog: Catalog, entries: IndexEntries, foreign_keys: bool, drawn: Container[tuple[int, int]]
    ) -> None:
        """`drawn`: table id and number of what came from a counter. Nobody has such a key; commit makes sure."""
        self._drawn = drawn
        self._catalog = catalog
        self._entries = entries
        self._foreign_keys = foreign_keys

    def needs(self, changes: Sequence[RowWrite], violated: bool) -> Iterator[TableRequest]:
        """The needs of rows that were changed. `violated`: SQLite has counted violations of foreign keys.

        SQLite counts the rows that lack their parent: one more for a row that comes, one less for one that goes, the
        row before an UPDATE being one that goes. While its count is not zero, it must see the parents of both.
        """
        counts = self._foreign_keys and (violated or (len(changes) > 1 and any(map(self._refers_anew, changes))))
        for change in changes:
            if counts:
                for row in (change.old, change.new):
                    if row is not None:
                        yield from self._parent_needs(change.table, row, None)
            if change.new is not None:
                yield from self._unique_needs(change)
                if self._foreign_keys:
                    yield from self._parent_needs(change.table, change.new, change.old)
            if change.old is not None and self._foreign_keys:
                yield from self._children_needs(change)

    def _refers_anew(self, change: RowWrite) -> bool:
        """Whether a changed row has a parent that it did not have before."""
        return change.new is not None and any(self._parent_needs(change.table, change.new, change.old))

    def _unique_needs(self, change: RowWrite) -> Iterator[TableRequest]:
        table, new = change.table, change.new
        assert new is not None
        assert change.new_key is not None
        if change.new_key != change.old_key and not (table.counted and (table.id, change.new_rowid) in self._drawn):
            yield TableRequest(table, table.row_codec.get(change.new_key))
        for index in table.indexes:
            if not index.unique:
                continue
            values = self._entries.columns(table, index, new)
            if values is None or None in values:
                continue
            if change.old is None or self._entries.columns(table, index, change.old) != values:
                yield TableRequest(table, table.index_codecs[index.id].get(encode(values)))

    def _parent_needs(self, table: Table, new: Row, old: Row | None) -> Iterator[TableRequest]:
        for key in table.foreign_keys:
            values = _values(table, new, key.columns)
            if None in values or (old is not None and _values(table, old, key.columns) == values):
                continue
            yield from parent_lookup(self._catalog, key, values)

    def _children_needs(self, change: RowWrite) -> Iterator[TableRequest]:
        table, old, new = change.table, change.old, change.new
        assert old is not None
        for key in self._catalog.children.get(table.name.lower(), ()):
            values = _values(table, old, key.parent_columns)
            if None in values or (new is not None and _values(table, new, key.parent_columns) == values):
                continue
            child = self._catalog.table(key.table)
            if child is not None:
                yield _children_lookup(child, key, values)

    def needs_of_values(self, table: Table, known: dict[str, SqlValue]) -> Iterator[TableRequest]:
        """The needs of a row to be inserted, as far as the values of its columns (lower-case names) are known."""
        codecs: list[KeyCodec] = [table.row_codec] if table.key else []
        codecs += [table.index_codecs[index.id] for index in table.indexes if index.unique and not index.computed]
        for codec in codecs:
            values = _stored(table, codec.columns, known)
            encoded = None if values is None else codec.encode_unique(values)
            if encoded is not None:
                yield TableRequest(table, codec.get(encoded))
        if self._foreign_keys:
            for key in table.foreign_keys:
                values = _stored(table, key.columns, known)
                if values is not None and None not in values:
                    yield from parent_lookup(self._catalog, key, values)


def _values(table: Table, row: Row, columns: Sequence[str]) -> tuple[SqlValue, ...]:
    return tuple(
        row[table.position[column.lower()]] if column.lower() in table.position else None for column in columns
    )


def _stored(table: Table, columns: Sequence[str], known: dict[str, SqlValue]) -> tuple[SqlValue, ...] | None:
    """The values that columns will have once stored; None if they can't be told."""
    try:
        return tuple(convert(known[name.lower()], table.by_name[name.lower()].affinity) for name in columns)
    except (KeyError, NotConvertible):
        return None


def parent_lookup(catalog: Catalog, key: ForeignKey, values: Sequence[SqlValue]) -> Iterator[TableRequest]:
    """The parent that a foreign key's values refer to; nothing if there is no such table (SQLite then says so)."""
    parent = catalog.table(key.parent)
    if parent is None or not all(column.lower() in parent.by_name for column in key.parent_columns):
        return
    try:
        wanted = {
            column.lower(): collate(
                convert(value, parent.by_name[column.lower()].affinity), parent.by_name[column.lower()].collation
            )
            for column, value in zip(key.parent_columns, values, strict=True)
        }
    except NotConvertible:
        yield whole(parent)
        return
    if wanted.keys() == {column.lower() for column in parent.key}:
        yield TableRequest(parent, parent.row_codec.get(encode(wanted[column] for column in parent.row_codec.columns)))
        return
    for index in parent.indexes:
        codec = parent.index_codecs[index.id]
        if index.unique and not index.computed and wanted.keys() == set(codec.columns):
            yield TableRequest(parent, codec.get(encode(wanted[column] for column in codec.columns)))
            return
    yield whole(parent)


def _children_lookup(child: Table, key: ForeignKey, values: Sequence[SqlValue]) -> TableRequest:
    """The children that refer to a parent's key."""
    columns = [child.by_name[column.lower()] for column in key.columns]
    try:
        wanted = [
            collate(convert(value, column.affinity), column.collation)
            for column, value in zip(columns, values, strict=True)
        ]
    except NotConvertible:
        return whole(child)
    names = tuple(column.name.lower() for column in columns)
    for codec in (child.row_codec, *child.index_codecs.values()):
        if codec.columns[: len(names)] == names:
            return TableRequest(child, codec.prefix(encode(wanted)))
    return whole(child)
