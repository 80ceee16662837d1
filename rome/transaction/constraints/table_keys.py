"""The keys of a table's constraints: which a change of a row takes, gives up, needs and leaves without parent.

    change                       unique keys       foreign keys of the table   foreign keys that refer to it
    INSERT                       takes its keys    needs its parents
    UPDATE of a column of one    takes a new key   needs a new parent          orphans the children of the old key
    DELETE                                                                     orphans the children of its keys

This is the one place that says so. Point writes probe the keys before they write (`rome.session.point_dml`). For other
statements, `needed_keys` finds what SQLite must see to judge them, and `violations` the foreign key that one violates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from operator import contains
from typing import NamedTuple

from rome.catalog.key_codec import KeyCodec, TakeColumns, columns_taker
from rome.catalog.model import Catalog, Column, ForeignKey, Index, Table, finds_children
from rome.fallback import NotConvertible
from rome.fast_tuples import tuple_maker
from rome.folding import fold_name
from rome.sqlite.workspace import Row
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.row_cache import TableRequest, table_request, whole
from rome.values import COMPARED_UNCHANGED, Affinity, convert


class KeyProbe(NamedTuple):
    """A key that a row takes, or that of its parent, and the request that finds the row that has it."""

    codec: KeyCodec
    key: bytes
    request: TableRequest


_key_probe = tuple_maker(KeyProbe)

KeyOfRow = Callable[[Row | None], Row | None]


def unique_key_probe(table: Table, codec: KeyCodec, values: Row) -> KeyProbe | None:
    """Return the probe of a unique key of a table, by its values; None if one is NULL: such keys are never equal."""
    if None in values:
        return None
    key = codec.encode(values)
    return _key_probe((codec, key, table_request((table, codec.get(key)))))


def unique_codecs(table: Table) -> list[KeyCodec]:
    """Return the codecs of the primary key and the unique indexes whose keys follow from a row's columns alone."""
    codecs: list[KeyCodec] = [table.row_codec] if table.key else []
    return codecs + [table.index_codecs[index.id] for index in table.indexes if index.unique and not index.computed]


class Reference:
    """A foreign key, as the unique key of the parent that a row refers to, and as the key that finds its children.

    The values of a key are given in the order of the foreign key's columns, and none of them is NULL: a row with a NULL
    refers to no parent.
    """

    def __init__(self, catalog: Catalog, key: ForeignKey) -> None:
        self.key = key
        self.child = catalog.tables[fold_name(key.table)]
        self.parent = catalog.table(key.parent)
        self._by_parent_column = {fold_name(name): at for at, name in enumerate(key.parent_columns)}

    @property
    def is_resolved(self) -> bool:
        """Return False where the parent, or a column of its key, does not exist: SQLite reports that."""
        known = self.parent.by_name.keys() if self.parent is not None else set()
        return self.key.is_resolved and self._by_parent_column.keys() <= known

    @cached_property
    def parent_codec(self) -> KeyCodec | None:
        """The codec of the parent's key; None if it has no such unique key: SQLite reports a foreign key mismatch.

        An index with other collations than those of its columns is the key of no foreign key.
        """
        if self.parent is None or not self.is_resolved:
            return None
        for codec in unique_codecs(self.parent):
            own = tuple(self.parent.by_name[name].collation for name in codec.columns)
            if set(codec.columns) == self._by_parent_column.keys() and codec.has_prefix(codec.columns, own):
                return codec
        return None

    @cached_property
    def child_values(self) -> KeyOfRow:
        """Returns the key of the parent that a row of the child refers to; no values if it refers to none.

        None if only SQLite knows it: a row does not have the values of virtual columns.
        """
        return _key_of_row(self.child, self.key.columns)

    @cached_property
    def parent_values(self) -> KeyOfRow:
        """Returns the key of a row of the parent; no values if no child can refer to it. None as in `child_values`."""
        return _key_of_row(self.parent, self.key.parent_columns)

    @cached_property
    def _of_codec(self) -> tuple[TakeColumns, list[Affinity], list[frozenset[type]]]:
        """Of the columns of the parent's key: what takes their values, and affinities; the types compared unchanged."""
        if self.parent is None or self.parent_codec is None:
            return tuple, [], []
        affinities = [self.parent.by_name[name].affinity for name in self.parent_codec.columns]
        take = columns_taker([self._by_parent_column[name] for name in self.parent_codec.columns])
        return take, affinities, [COMPARED_UNCHANGED[affinity] for affinity in affinities]

    def parent_probe(self, values: Row) -> KeyProbe | None:
        """Return the probe of the parent's key; None if the parent has no such unique key. Raise NotConvertible."""
        codec = self.parent_codec
        if self.parent is None or codec is None:
            return None
        take, affinities, unchanged = self._of_codec
        given = take(values)
        if not all(map(contains, unchanged, map(type, given))):
            given = tuple(
                [
                    value if type(value) in types else convert(value, affinity)
                    for value, affinity, types in zip(given, affinities, unchanged, strict=True)
                ]
            )
        return unique_key_probe(self.parent, codec, given)

    def parent_key(self, values: Row) -> object:
        """Return what is equal for two keys exactly where SQLite takes them for the same parent's."""
        try:
            probe = self.parent_probe(values)
        except NotConvertible:
            probe = None
        return values if probe is None else probe.key

    def parent_request(self, values: Row | None) -> TableRequest | None:
        """Return the request for the parent; None if SQLite will report that there can't be one."""
        if self.parent is None or not self.is_resolved:
            return None
        try:
            probe = None if values is None else self.parent_probe(values)
        except NotConvertible:
            probe = None
        return whole(self.parent) if probe is None else probe.request

    @cached_property
    def _child_columns(self) -> list[Column]:
        return [self.child.by_name[fold_name(column)] for column in self.key.columns]

    @cached_property
    def _child_codec(self) -> KeyCodec | None:
        """The codec of a key of the child that finds all children of a parent; None if there is none.

        SQLite compares by the affinities and collations of the parent's columns. A key of the child finds all of them
        if its collations are the same, or if the parent's are BINARY: it then finds more.
        """
        assert self.parent is not None
        names = tuple([fold_name(column.name) for column in self._child_columns])
        parent_columns = [self.parent.by_name[name] for name in self._by_parent_column]
        if not all(map(finds_children, parent_columns, self._child_columns)):
            return None
        for codec in (self.child.row_codec, *self.child.index_codecs.values()):
            own = codec.collations or ("BINARY",) * len(names)
            if codec.columns[: len(names)] == names and all(
                column.collation in ("BINARY", mine) for column, mine in zip(parent_columns, own, strict=False)
            ):
                return codec
        return None

    def children_request(self, values: Row | None) -> TableRequest | None:
        """Return the request for the children, and perhaps others; None if SQLite will report that there are none."""
        if not self.is_resolved:
            return None
        codec = self._child_codec
        if values is None:
            return whole(self.child)
        try:
            stored = [
                convert(value, column.affinity) for column, value in zip(self._child_columns, values, strict=True)
            ]
        except NotConvertible:
            codec = None
        return whole(self.child) if codec is None else TableRequest(self.child, codec.prefix(codec.encode(stored)))


class ReferenceValues(NamedTuple):
    """A foreign key and the values of a key: those that a child has, or those that its parent has, or had.

    None if only SQLite knows them.
    """

    reference: Reference
    values: Row | None


class TableKeys:
    """The keys of one table's constraints under a catalog."""

    def __init__(self, catalog: Catalog, table: Table) -> None:
        self.table = table
        self.parents = [Reference(catalog, key) for key in table.foreign_keys]
        """The foreign keys of the table."""
        self.children = [Reference(catalog, key) for key in catalog.children.get(fold_name(table.name), ())]
        """The foreign keys that refer to the table."""
        self._unique: list[tuple[Index, KeyCodec]] = [
            (index, table.index_codecs[index.id]) for index in table.indexes if index.unique
        ]

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns of all these keys, in lower case: a change of any other takes, needs and orphans nothing.

        Those of computed indexes are not among them.
        """
        found = [*self.table.key, *(name for index, _ in self._unique for name in index.columns if name)]
        found += [name for each in self.parents for name in each.key.columns]
        found += [name for each in self.children for name in each.key.parent_columns]
        return frozenset(map(fold_name, found))

    def taken(self, entries: IndexEntries, old: Row | None, new: Row) -> Iterator[KeyProbe]:
        """Yield the probes of the keys of unique indexes that a row takes. `old`: the row before, if there was one."""
        for index, codec in self._unique:
            values = entries.columns(self.table, index, new)
            if values is None or (old is not None and entries.columns(self.table, index, old) == values):
                continue
            probe = unique_key_probe(self.table, codec, values)
            if probe is not None:
                yield probe

    def needed(self, old: Row | None, new: Row | None) -> Iterator[ReferenceValues]:
        """Yield the parents' keys that a new row has, and the row before had not."""
        for each in self.parents:
            values = each.child_values(new)
            if values is None or (values and values != each.child_values(old)):
                yield ReferenceValues(each, values)

    def orphaned(self, old: Row | None, new: Row | None) -> Iterator[ReferenceValues]:
        """Yield the keys of children that a row had, and has no more: they are left without their parent."""
        for each in self.children:
            values = each.parent_values(old)
            if values is None or (values and values != each.parent_values(new)):
                yield ReferenceValues(each, values)


def _key_of_row(table: Table | None, columns: Sequence[str]) -> KeyOfRow:
    """Return a function that returns the values of some columns of a row; none if one is NULL, or if there is no row.

    It returns None if a column is virtual, and no values if the table lacks one.
    """
    if table is None or not all(fold_name(column) in table.by_name for column in columns):
        return lambda _: ()
    places = [table.position.get(fold_name(column)) for column in columns]
    stored = [place for place in places if place is not None]
    take, is_complete = columns_taker(stored), len(stored) == len(places)

    def key_of_row(row: Row | None) -> Row | None:
        values = take(row) if row is not None else ()
        if None in values or row is None:
            return ()
        return values if is_complete else None

    return key_of_row
