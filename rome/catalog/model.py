"""The catalog: what tables, columns, keys and indexes the database has. Immutable; a change makes a new one.

A name is looked up in lower case, as SQLite does (ASCII only), and kept as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import itemgetter
from typing import cast

from rome.catalog.key_codec import IndexKeyCodec, RowKeyCodec, TakeColumns
from rome.values import Affinity, SqlValue


@dataclass(frozen=True)
class Column:
    """One column. `cid` is its identity through renames and schema changes."""

    name: str
    cid: int
    affinity: Affinity
    collation: str = "BINARY"
    not_null: bool = False
    default: str | None = None
    """The default's SQL text."""
    generated: bool = False
    virtual: bool = False


@dataclass(frozen=True)
class Index:
    """An index space of a table: of a CREATE INDEX, of a UNIQUE or PRIMARY KEY constraint, or of ROME's own making for
    a foreign key (then its name is empty).

    `columns` are names, or None for an expression. A `computed` index has expressions, a virtual column or a WHERE
    clause; its entries are computed by SQLite. `plain` indexes follow from the row alone.
    """

    id: int
    name: str
    unique: bool
    columns: tuple[str | None, ...]
    collations: tuple[str, ...]
    computed: bool = False
    partial: bool = False
    terms: tuple[str, ...] = ()
    """For a computed index: the SQL of each indexed term."""
    where: str | None = None
    """For a partial index: the SQL of its predicate."""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of the child `table`. Parent columns are resolved (never empty)."""

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"


@dataclass(frozen=True)
class Table:
    """One table.

    `key`: the columns whose values, encoded, are the row key: the PRIMARY KEY's, when none of them can be NULL. Empty
    when there is no such key: then the row key is a hidden rowid, and `rowid_name` a name under which SQL reaches it.
    `rowid_alias`: the column that is an INTEGER PRIMARY KEY; its numbers come from the counter of the table.
    `schemas`: for each schema number that rows may have been written under, the cids of the row's values by position.
    """

    name: str
    id: int
    sql: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rowid_alias: str | None = None
    rowid_name: str | None = "rowid"
    without_rowid: bool = False
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    schema: int = 1
    schemas: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    defaults: Mapping[int, SqlValue] = field(default_factory=dict)
    """cid → value that rows have which were written before the column was added."""

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Lower-case column name → column."""
        return {column.name.lower(): column for column in self.columns}

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns that rows hold, in order (all but virtual generated ones)."""
        return tuple(column for column in self.columns if not column.virtual)

    @cached_property
    def has_virtual(self) -> bool:
        """Whether there is a virtual generated column."""
        return len(self.stored) != len(self.columns)

    @cached_property
    def position(self) -> dict[str, int]:
        """Lower-case column name → position of its value in a row."""
        return {column.name.lower(): at for at, column in enumerate(self.stored)}

    @cached_property
    def row_codec(self) -> RowKeyCodec:
        """The codec of the row keys."""
        collations = [self.by_name[column.lower()].collation for column in self.key]
        return RowKeyCodec(self.id, self.key, collations, self._taking(self.key))

    @cached_property
    def index_codecs(self) -> dict[int, IndexKeyCodec]:
        """The codec of each index's entries, by the index's id."""
        return {index.id: self._index_codec(index) for index in self.indexes}

    def _index_codec(self, index: Index) -> IndexKeyCodec:
        columns = [] if index.computed else [column for column in index.columns if column is not None]
        return IndexKeyCodec(index.id, self.id, columns, index.collations, self._taking(columns))

    def _taking(self, columns: Sequence[str]) -> TakeColumns:
        """Return a function that takes the values of some columns from a row."""
        places = [self.position[column.lower()] for column in columns]
        if len(places) < 2:  # an itemgetter of one place makes no tuple
            place = slice(places[0], places[0] + 1) if places else slice(0)
            return cast("TakeColumns", itemgetter(place))
        return itemgetter(*places)

    @cached_property
    def shape(self) -> Table:
        """All but the ids: equal for tables that were made alike, of other databases or anew."""
        return replace(self, id=0, indexes=tuple(replace(index, id=0) for index in self.indexes))

    @property
    def counted(self) -> str | None:
        """The name of the column that the table's counter fills: the rowid alias or the hidden rowid."""
        return self.rowid_alias or (self.rowid_name if not self.key else None)


@dataclass(frozen=True)
class SchemaObject:
    """A row of sqlite_master that is not a table: an index, a view or a trigger. `order` is that of creation."""

    type: str
    name: str
    table: str
    sql: str | None
    order: int = 0


@dataclass(frozen=True)
class Catalog:
    """All of it, as of a catalog version, whose digest tells it from others of that number (see `storage.store`).

    Keys of both mappings are lower case.
    """

    version: int = 0
    tables: Mapping[str, Table] = field(default_factory=dict)
    objects: Mapping[str, SchemaObject] = field(default_factory=dict)
    digest: bytes = b""

    @cached_property
    def children(self) -> dict[str, tuple[ForeignKey, ...]]:
        """Lower-case parent table name → the foreign keys that refer to it."""
        found: dict[str, list[ForeignKey]] = {}
        for table in self.tables.values():
            for key in table.foreign_keys:
                found.setdefault(key.parent.lower(), []).append(key)
        return {parent: tuple(keys) for parent, keys in found.items()}

    @cached_property
    def by_id(self) -> dict[int, Table]:
        """The tables by their ids."""
        return {table.id: table for table in self.tables.values()}

    @cached_property
    def ids(self) -> frozenset[int]:
        """The ids of all tables and indexes."""
        tables = self.tables.values()
        return frozenset((*(table.id for table in tables), *(index.id for table in tables for index in table.indexes)))

    @cached_property
    def attached(self) -> dict[str, tuple[SchemaObject, ...]]:
        """Return for each table or view that has any, by its lower-case name, its indexes and triggers."""
        found: dict[str, list[SchemaObject]] = {}
        for item in self.objects.values():
            if item.type != "view":
                found.setdefault(item.table.lower(), []).append(item)
        return {name: tuple(items) for name, items in found.items()}

    @cached_property
    def triggers(self) -> dict[str, tuple[SchemaObject, ...]]:
        """Lower-case table name → the triggers on it."""
        found: dict[str, list[SchemaObject]] = {}
        for item in self.objects.values():
            if item.type == "trigger":
                found.setdefault(item.table.lower(), []).append(item)
        return {table: tuple(items) for table, items in found.items()}

    def table(self, name: str) -> Table | None:
        """The table of that name, in any case of letters."""
        return self.tables.get(name.lower())
