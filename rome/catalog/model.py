"""The catalog: the tables, columns, keys and indexes of a database. Immutable; a change of the schema makes a new one.

Names are looked up in lower case, as SQLite does (ASCII only), and kept as they were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from rome.catalog.key_codec import IndexKeyCodec, RowKeyCodec, TakeColumns, columns_taker
from rome.folding import fold_name
from rome.values import Affinity, SqlValue, are_compared_unconverted, has_one_key


@dataclass(frozen=True)
class Column:
    """A column. `cid` identifies it through renames and schema changes."""

    name: str
    cid: int
    affinity: Affinity
    collation: str = "BINARY"
    not_null: bool = False
    default: str | None = None
    """The SQL text of the default."""
    generated: bool = False
    virtual: bool = False


@dataclass(frozen=True)
class Index:
    """An index of a table, stored in a space of its own.

    It comes from CREATE INDEX, from a UNIQUE or PRIMARY KEY constraint, or from ROME for a foreign key (then its name
    is empty). `columns` are names, or None for an expression. A `computed` index has expressions, a virtual column or a
    WHERE clause: SQLite computes its entries. The entries of all others follow from the row's values alone.
    """

    id: int
    name: str
    unique: bool
    columns: tuple[str | None, ...]
    collations: tuple[str, ...]
    computed: bool = False
    partial: bool = False
    terms: tuple[str, ...] = ()
    """The SQL of each indexed term, for a computed index."""
    where: str | None = None
    """The SQL of the predicate, for a partial index."""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of the child `table`.

    `parent_columns` are those that REFERENCES names, or else the parent's primary key: resolved whenever the parent
    changes, and empty while there is no such table or key.
    """

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"

    @property
    def is_resolved(self) -> bool:
        """Return False where SQLite reports a foreign key mismatch: the parent lacks a key of as many columns."""
        return len(self.columns) == len(self.parent_columns)


@dataclass(frozen=True)
class Table:
    """A table.

    `key`: the columns of the row key: those of the PRIMARY KEY, if none of them can be NULL. Without such a key it is
    empty; the row key is then a hidden rowid, and `rowid_name` is a name for it in SQL. `rowid_alias`: the column that
    is an INTEGER PRIMARY KEY; its values come from the table's sequence. `schemas`: for each schema number that stored
    rows may have, the cids of the row's values by position.
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
    """By cid: the value of a column in rows that were written before it was added."""

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their names in lower case."""
        return {fold_name(column.name): column for column in self.columns}

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns that stored rows have, in order: all but virtual generated ones."""
        return tuple(column for column in self.columns if not column.virtual)

    @cached_property
    def has_virtual(self) -> bool:
        """True if there is a virtual generated column."""
        return len(self.stored) != len(self.columns)

    @cached_property
    def has_stored_generated(self) -> bool:
        """True if there is a stored generated column."""
        return any(column.generated for column in self.stored)

    @cached_property
    def position(self) -> dict[str, int]:
        """By a column's name in lower case: the position of its value in a stored row."""
        return {fold_name(column.name): at for at, column in enumerate(self.stored)}

    def never_null(self, column: Column) -> bool:
        """Return True if no row has NULL in the column, or in the hidden rowid as a column."""
        return column.not_null or fold_name(column.name) in self._key_names

    @cached_property
    def _key_names(self) -> frozenset[str]:
        return frozenset(map(fold_name, (*self.key, self.counted or "")))

    def columns_of(self, index: Index) -> tuple[Column, ...]:
        """Return the columns of an index; none if SQLite computes its entries."""
        return () if index.computed else tuple([self.by_name[fold_name(name)] for name in index.columns if name])

    @cached_property
    def row_codec(self) -> RowKeyCodec:
        """The codec of the row keys."""
        collations = [self.by_name[fold_name(column)].collation for column in self.key]
        return RowKeyCodec(self.id, self.key, collations, self._taking(self.key))

    @cached_property
    def index_codecs(self) -> dict[int, IndexKeyCodec]:
        """The codec of each index's entries, by the index's id."""
        return {index.id: self._index_codec(index) for index in self.indexes}

    def _index_codec(self, index: Index) -> IndexKeyCodec:
        columns = [column.name for column in self.columns_of(index)]
        return IndexKeyCodec(index.id, self.id, columns, index.collations, self._taking(columns))

    def _taking(self, columns: Sequence[str]) -> TakeColumns:
        """Return a function that takes the values of some columns from a row."""
        return columns_taker([self.position[fold_name(column)] for column in columns])

    @cached_property
    def shape(self) -> Table:
        """The table without its ids: equal for tables of equal definitions, in any database."""
        return replace(self, id=0, indexes=tuple(replace(index, id=0) for index in self.indexes))

    @property
    def counted(self) -> str | None:
        """The name of the column that the table's sequence fills: the rowid alias or the hidden rowid."""
        return self.rowid_alias or (self.rowid_name if not self.key else None)


@dataclass(frozen=True)
class SchemaObject:
    """A schema object that is not a table: an index, a view or a trigger. `order`: the order of creation."""

    type: str
    name: str
    table: str
    sql: str | None
    order: int = 0


@dataclass(frozen=True)
class Catalog:
    """The schema of a database at a catalog version. `digest`: the version's digest (see `rome.storage.store`).

    The names in both mappings are in lower case.
    """

    version: int = 0
    tables: Mapping[str, Table] = field(default_factory=dict)
    objects: Mapping[str, SchemaObject] = field(default_factory=dict)
    digest: bytes = b""
    user_version: int = 0
    """The application's number, PRAGMA user_version."""

    @cached_property
    def children(self) -> dict[str, tuple[ForeignKey, ...]]:
        """By a parent table's name in lower case: the foreign keys that refer to it."""
        found: dict[str, list[ForeignKey]] = {}
        for table in self.tables.values():
            for key in table.foreign_keys:
                found.setdefault(fold_name(key.parent), []).append(key)
        return {parent: tuple(keys) for parent, keys in found.items()}

    @cached_property
    def has_deferred_self_references(self) -> bool:
        """True if there may be a deferred foreign key of a table that refers to this table."""
        return any(
            "deferr" in fold_name(table.sql) and any(fold_name(key.parent) == name for key in table.foreign_keys)
            for name, table in self.tables.items()
        )

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
                found.setdefault(fold_name(item.table), []).append(item)
        return {name: tuple(items) for name, items in found.items()}

    @cached_property
    def triggers(self) -> dict[str, tuple[SchemaObject, ...]]:
        """By a table's name in lower case: the triggers on it."""
        found: dict[str, list[SchemaObject]] = {}
        for item in self.objects.values():
            if item.type == "trigger":
                found.setdefault(fold_name(item.table), []).append(item)
        return {table: tuple(items) for table, items in found.items()}

    def with_tables_of(self, newer: Catalog, names: Iterable[str]) -> Catalog:
        """Return this catalog with the tables of these names that only a newer one has, and all that belongs to them.

        Return it unchanged if there are none.
        """
        pending = [name for name in names if name in newer.tables]
        added: dict[str, Table] = {}
        while pending:
            name = pending.pop()
            table = newer.tables.get(name)
            if table is None or name in added or name in self.tables or name in self.objects or table.id in self.ids:
                continue
            added[name] = table
            pending += [fold_name(key.parent) for key in table.foreign_keys]
        if not added:
            return self
        objects = {fold_name(item.name): item for name in added for item in newer.attached.get(name, ())}
        return replace(self, tables={**self.tables, **added}, objects={**self.objects, **objects})

    def table(self, name: str) -> Table | None:
        """Return the table of a name, in any case; None if there is none."""
        return self.tables.get(fold_name(name))


# ── comparisons of two columns ────────────────────────────────────────────────────────────────────────────────────────

# SQLite compares columns of different affinities by converting one side: a text with a number as a number, anything
# with a TEXT column as text. A foreign key compares by the affinity and the collation of the parent's column. An index
# of the other column can be searched only where it is not the indexed side that is converted.
#
#     parent INTEGER, child INTEGER     1 finds 1, and 1.0 as stored by REAL
#     parent INTEGER, child TEXT        the children '1', '01' and ' 1' all refer to 1: no key finds them
#
# Source: https://www.sqlite.org/datatype3.html, section 4.2; https://www.sqlite.org/foreignkeys.html, section 3.


def compares_unconverted(one: Column, other: Column) -> bool:
    """Return True if SQLite compares the columns without a conversion: a predicate on one then holds for the other."""
    return _are_binary(one, other) and are_compared_unconverted(one.affinity, other.affinity)


def makes_lookup_keys(source: Column, target: Column) -> bool:
    """Return True if a value of `source`, converted for `target`, is the key of all values that equal it."""
    return _are_binary(source, target) and has_one_key(source.affinity, target.affinity)


def finds_children(parent: Column, child: Column) -> bool:
    """Return True if the value of a parent, converted for the child, finds all that refer to it in an index.

    The collations of the index are another matter.
    """
    return has_one_key(parent.affinity, child.affinity)


def _are_binary(one: Column, other: Column) -> bool:
    return one.collation == other.collation == "BINARY"
