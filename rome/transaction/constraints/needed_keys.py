"""Constraint reads: the keys that SQLite must see to judge UNIQUE, PRIMARY KEY and FOREIGN KEY constraints.

SQLite sees only the rows that are loaded. The changes of a statement tell which others matter:

    change                             needed keys
    INSERT, UPDATE of a unique key     rows with the same row key, or the same key of a unique index
    INSERT, UPDATE of a foreign key    the parent with that key
    DELETE, UPDATE of a parent's key   the children with that key

If one of them has not been fetched, the statement is undone, the keys are fetched in one round trip, and it runs again
(`rome.session.dml`). Then SQLite finds the violation, or does the upsert or the cascade. For INSERT … VALUES the needed
keys are known before it runs (`NeededKeys.of_values`).

Each needed key is also a constraint read: commit checks at every isolation level that its range has the same keys.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from rome.catalog.key_codec import KeyCodec
from rome.catalog.model import Catalog, ForeignKey, Table, finds_children
from rome.fallback import NotConvertible
from rome.folding import fold_name
from rome.sqlite.workspace import Row
from rome.storage.keys import encode
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.row_cache import TableRequest, whole
from rome.transaction.writes.write_set import RowWrite
from rome.values import SqlValue, collate, convert


class NeededKeys:
    """Finds the keys that changes need, under one catalog."""

    def __init__(
        self, catalog: Catalog, entries: IndexEntries, foreign_keys: bool, allocated: Container[tuple[int, int]]
    ) -> None:
        """`allocated`: table id and id of rows whose ids came from a sequence. No other row has them."""
        self._allocated = allocated
        self._catalog = catalog
        self._entries = entries
        self._foreign_keys = foreign_keys

    def of_writes(self, writes: Sequence[RowWrite], violated: bool) -> Iterator[TableRequest]:
        """Yield the requests for the keys that written rows need. `violated`: SQLite counts foreign key violations.

        SQLite counts the rows that lack their parent: plus one for a new row, minus one for a deleted row (an UPDATE
        is both). While its count is not zero, it must see the parents of both.
        """
        counts = self._foreign_keys and (violated or (len(writes) > 1 and any(map(self._may_violate, writes))))
        for write in writes:
            if counts:
                for row in (write.old, write.new):
                    if row is not None:
                        yield from self._parents(write.table, row, None)
            if write.new is not None:
                yield from self._unique_keys(write)
                if self._foreign_keys:
                    yield from self._parents(write.table, write.new, write.old)
            if write.old is not None and self._foreign_keys:
                yield from self._children(write)

    def _may_violate(self, write: RowWrite) -> bool:
        """Return True if a written row refers to another parent than before, or may have left children without one."""
        if write.new is not None and any(self._parents(write.table, write.new, write.old)):
            return True
        return write.old is not None and any(self._children(write))

    def _unique_keys(self, write: RowWrite) -> Iterator[TableRequest]:
        table, new = write.table, write.new
        assert new is not None
        assert write.new_key is not None
        if write.new_key != write.old_key and not (table.counted and (table.id, write.new_rowid) in self._allocated):
            yield TableRequest(table, table.row_codec.get(write.new_key))
        for index in table.indexes:
            if not index.unique:
                continue
            values = self._entries.columns(table, index, new)
            if values is None or None in values:
                continue
            if write.old is None or self._entries.columns(table, index, write.old) != values:
                yield TableRequest(table, table.index_codecs[index.id].get(encode(values)))

    def _parents(self, table: Table, new: Row, old: Row | None) -> Iterator[TableRequest]:
        for key in table.foreign_keys:
            values = _values(table, new, key.columns)
            if None in values or (old is not None and _values(table, old, key.columns) == values):
                continue
            yield from parent_lookup(self._catalog, key, values)

    def _children(self, write: RowWrite) -> Iterator[TableRequest]:
        table, old, new = write.table, write.old, write.new
        assert old is not None
        for key in self._catalog.children.get(fold_name(table.name), ()):
            values = _values(table, old, key.parent_columns)
            if None in values or (new is not None and _values(table, new, key.parent_columns) == values):
                continue
            child = self._catalog.table(key.table)
            if child is not None and key.is_resolved:
                yield _children_lookup(table, child, key, values)

    def of_values(self, table: Table, known: dict[str, SqlValue]) -> Iterator[TableRequest]:
        """Yield the requests for the keys that a new row needs. `known`: lower-case column name → value, if known."""
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
        row[table.position[fold_name(column)]] if fold_name(column) in table.position else None for column in columns
    )


def _stored(table: Table, columns: Sequence[str], known: dict[str, SqlValue]) -> tuple[SqlValue, ...] | None:
    """Return the values that columns will store; None if only SQLite can tell."""
    try:
        return tuple(convert(known[fold_name(name)], table.by_name[fold_name(name)].affinity) for name in columns)
    except (KeyError, NotConvertible):
        return None


def parent_lookup(catalog: Catalog, key: ForeignKey, values: Sequence[SqlValue]) -> Iterator[TableRequest]:
    """Yield the request for the parent that a foreign key's values refer to; none if SQLite will report its absence."""
    parent = catalog.table(key.parent)
    if parent is None or not key.is_resolved:
        return
    if not all(fold_name(column) in parent.by_name for column in key.parent_columns):
        return
    try:
        parent_values = {
            fold_name(column): collate(
                convert(value, parent.by_name[fold_name(column)].affinity), parent.by_name[fold_name(column)].collation
            )
            for column, value in zip(key.parent_columns, values, strict=True)
        }
    except NotConvertible:
        yield whole(parent)
        return
    if parent_values.keys() == {fold_name(column) for column in parent.key}:
        yield TableRequest(
            parent, parent.row_codec.get(encode(parent_values[column] for column in parent.row_codec.columns))
        )
        return
    for index in parent.indexes:
        codec = parent.index_codecs[index.id]
        # SQLite takes a unique index for a parent key only if it has the columns' own collations.
        own = tuple(parent.by_name[column].collation for column in codec.columns)
        if index.unique and parent_values.keys() == set(codec.columns) and own == index.collations:
            yield TableRequest(parent, codec.get(encode(parent_values[column] for column in codec.columns)))
            return
    yield whole(parent)


def _children_lookup(parent: Table, child: Table, key: ForeignKey, values: Sequence[SqlValue]) -> TableRequest:
    """Return the request for the children that refer to a parent's key.

    SQLite compares them by the affinities and collations of the parent's columns. A key of the child finds all of them
    if its collations are the same, or if the parent's are BINARY: it then finds more.
    """
    columns = [child.by_name[fold_name(column)] for column in key.columns]
    parent_columns = [parent.by_name[fold_name(column)] for column in key.parent_columns]
    if not all(map(finds_children, parent_columns, columns)):
        return whole(child)
    try:
        child_values = tuple(convert(value, column.affinity) for column, value in zip(columns, values, strict=True))
    except NotConvertible:
        return whole(child)
    names = tuple([fold_name(column.name) for column in columns])
    for codec in (child.row_codec, *child.index_codecs.values()):
        if codec.columns[: len(names)] == names:
            own = codec.collations or ("BINARY",) * len(names)
            if all(each.collation in ("BINARY", mine) for each, mine in zip(parent_columns, own, strict=False)):
                return TableRequest(child, codec.prefix(codec.encode(child_values)))
    return whole(child)
