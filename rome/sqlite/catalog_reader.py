"""Read the catalog back from SQLite after a DDL statement ran in the workspace.

    ALTER TABLE t RENAME COLUMN a TO b      SQLite parses and checks it, and rewrites the texts of tables, indexes,
                                            views and triggers
    read_catalog                            reads them and the PRAGMAs: table_xinfo, index_list, index_xinfo,
                                            foreign_key_list

Identities that SQLite does not have are carried over from the previous catalog, or allocated: the ids of tables,
indexes and columns, and the schema numbers of rows. A renamed column keeps its id, so no stored row changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import apsw

from rome.catalog.model import Catalog, Column, ForeignKey, Index, SchemaObject, Table
from rome.errors import OperationalError
from rome.folding import fold_name, upper_name
from rome.sql.rewrite.counter_ids import original_trigger
from rome.sql.syntax.create_table import index_terms
from rome.sql.syntax.tokens import quoted
from rome.values import Affinity, SqlValue, affinity_of

NewId = Callable[[], int]


@dataclass(frozen=True)
class Renames:
    """The names that an ALTER TABLE changed, in lower case.

    `table` is the old name of the table, `new_table` its new one; `column` is (old, new) of a column.
    """

    table: str = ""
    new_table: str | None = None
    column: tuple[str, str] | None = None


def read_catalog(connection: apsw.Connection, previous: Catalog, renames: Renames, new_id: NewId) -> Catalog:
    """Return the catalog after one DDL statement; `previous` is the one before it.

    Tables whose text did not change are carried over.
    """
    master: list[Any] = connection.execute(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    objects, changed = _read_objects(master, previous)
    tables = dict(previous.tables)
    if renames.new_table is not None:
        tables[renames.new_table] = replace(tables.pop(renames.table), sql="")
    present = {fold_name(name) for kind, name, _, _ in master if kind == "table"}
    tables = {name: table for name, table in tables.items() if name in present}
    for kind, name, _, sql in master:
        old = tables.get(fold_name(name))
        if kind == "table" and (old is None or old.sql != sql or old.name != name or fold_name(name) in changed):
            tables[fold_name(name)] = _TableReader(connection, name, sql, old, renames, new_id).read()
    _resolve_parents(connection, tables, previous)
    catalog = replace(previous, tables=tables, objects=objects)
    return _with_foreign_key_indexes(catalog, new_id)


def _resolve_parents(connection: apsw.Connection, tables: dict[str, Table], previous: Catalog) -> None:
    """Read the foreign keys again whose parent is another than before: its primary key may be what they refer to."""
    names = tables.keys() | previous.tables.keys()
    changed = {name for name in names if tables.get(name) is not previous.tables.get(name)}
    for name, table in tables.items():
        if any(fold_name(key.parent) in changed for key in table.foreign_keys):
            keys = _read_foreign_keys(connection, table.name)
            if keys != table.foreign_keys:
                tables[name] = replace(table, foreign_keys=keys)


def _read_foreign_keys(connection: apsw.Connection, table: str) -> tuple[ForeignKey, ...]:
    """Return the foreign keys of a table, in the order of its text."""
    groups: dict[int, list[tuple[Any, ...]]] = {}
    for row in _pragma(connection, "foreign_key_list", table):
        groups.setdefault(row[0], []).append(row)
    keys = []
    for rows in groups.values():
        rows.sort(key=lambda row: row[1])
        parent, to = rows[0][2], tuple(row[4] for row in rows)
        if None in to:
            columns = sorted(_pragma(connection, "table_xinfo", parent), key=lambda row: row[5])
            to = tuple(row[1] for row in columns if row[5])
        keys.append(ForeignKey(table, tuple(row[3] for row in rows), parent, to, rows[0][5], rows[0][6]))
    return tuple(reversed(keys))


def _pragma(connection: apsw.Connection, name: str, argument: str) -> list[tuple[Any, ...]]:
    return list(connection.execute(f"PRAGMA main.{name}({quoted(argument)})"))


def _read_objects(master: list[Any], previous: Catalog) -> tuple[dict[str, SchemaObject], set[str]]:
    """Return the indexes, triggers and views of `sqlite_master`, and the tables whose indexes have changed."""
    objects: dict[str, SchemaObject] = {}
    changed: set[str] = set()
    last = max([item.order for item in previous.objects.values()], default=0)
    for kind, name, table, sql in master:
        if kind == "table":
            continue
        old = previous.objects.get(fold_name(name))
        text = original_trigger(sql) if kind == "trigger" else sql
        if old is not None and (old.sql, old.table) == (text, table):
            objects[fold_name(name)] = old
            continue
        last += 1
        objects[fold_name(name)] = SchemaObject(kind, name, table, text, old.order if old else last)
        if kind == "index":
            changed.add(fold_name(table))
    for name, item in previous.objects.items():
        if item.type == "index" and name not in objects:
            changed.add(fold_name(item.table))
    return objects, changed


@dataclass
class _TableReader:
    """Reads one table; `old` is its previous definition, if it is not new."""

    connection: apsw.Connection
    name: str
    sql: str
    old: Table | None
    renames: Renames
    new_id: NewId
    columns: tuple[Column, ...] = field(default=())
    strict: bool = False

    def read(self) -> Table:
        (properties,) = self._pragma("table_list", self.name)[:1]
        if properties[2] == "virtual":
            raise OperationalError(f"virtual tables are not supported: {self.name}")
        info = self._pragma("table_xinfo", self.name)
        without_rowid = bool(properties[4])
        self.strict = bool(properties[5])
        self.columns = tuple([self._column(row) for row in info])
        primary = [row[1] for row in sorted([row for row in info if row[5]], key=lambda row: row[5])]
        index_list = self._pragma("index_list", self.name)
        is_rowid_alias = len(primary) == 1 and not without_rowid and not any(row[3] == "pk" for row in index_list)
        not_null = {column.name for column in self.columns if column.not_null}
        # The row key compares columns by their own collations. A PRIMARY KEY with others is an additional unique index.
        fits = all(self._has_own_collations(row[1]) for row in index_list if row[3] == "pk")
        has_key = without_rowid or is_rowid_alias or (bool(primary) and fits and not_null.issuperset(primary))
        columns = {fold_name(column.name) for column in self.columns}
        rowid_names = [] if without_rowid else [name for name in ("rowid", "_rowid_", "oid") if name not in columns]
        is_row_key = has_key and fits
        indexes = tuple([self._index(row) for row in reversed(index_list) if not (row[3] == "pk" and is_row_key)])
        number, schemas = self._schema()
        return Table(
            name=self.name,
            id=self.old.id if self.old else self.new_id(),
            sql=self.sql,
            columns=self.columns,
            key=tuple(primary) if has_key else (),
            rowid_alias=primary[0] if is_rowid_alias else None,
            rowid_name=rowid_names[0] if rowid_names else None,
            without_rowid=without_rowid,
            indexes=(*indexes, *self._foreign_key_indexes()),
            foreign_keys=_read_foreign_keys(self.connection, self.name),
            schema=number,
            schemas=schemas,
            defaults=self._defaults(),
        )

    def _pragma(self, name: str, argument: str) -> list[tuple[Any, ...]]:
        return _pragma(self.connection, name, argument)

    def _has_own_collations(self, index: str) -> bool:
        own = {column.name: column.collation for column in self.columns}
        return all(own.get(part[2]) == upper_name(part[4]) for part in self._pragma("index_xinfo", index) if part[5])

    def _metadata(self, column: str) -> tuple[Any, ...]:
        return self.connection.column_metadata("main", self.name, column)

    def _old_name(self, name: str) -> str:
        renamed = self.renames.column
        return renamed[0] if renamed and self.renames.table == fold_name(self.name) and renamed[1] == name else name

    def _column(self, row: tuple[Any, ...]) -> Column:
        _, name, declared, not_null, default, _, hidden = row
        old = self.old.by_name.get(self._old_name(fold_name(name))) if self.old else None
        used = [cid for cids in self.old.schemas.values() for cid in cids] if self.old else []
        used += [column.cid for column in self.old.columns] if self.old else []
        return Column(
            name=name,
            cid=old.cid if old else (max(used, default=-1) + 1 if self.old else row[0]),
            # In a STRICT table, ANY converts nothing.
            affinity=Affinity.BLOB if self.strict and upper_name(declared) == "ANY" else affinity_of(declared),
            collation=upper_name(self._metadata(name)[1]),
            not_null=bool(not_null),
            default=default,
            generated=hidden in (2, 3),
            virtual=hidden == 2,
        )

    def _schema(self) -> tuple[int, dict[int, tuple[int, ...]]]:
        """Return the current schema number and all schemas; a new number if the stored columns have changed."""
        cids = tuple(column.cid for column in self.columns if not column.virtual)
        if self.old is None:
            return 1, {1: cids}
        if self.old.schemas[self.old.schema] == cids:
            return self.old.schema, dict(self.old.schemas)
        number = max(self.old.schemas) + 1
        return number, {**self.old.schemas, number: cids}

    def _defaults(self) -> dict[int, SqlValue]:
        if self.old is None:
            return {}
        known = {column.cid for column in self.old.columns}
        defaults = dict(self.old.defaults)
        for column in self.columns:
            if column.cid not in known and not column.generated and column.default is not None:
                # ALTER TABLE allows only constants as defaults, so one value is right for all rows.
                scratch = f"CREATE TEMP TABLE temp.rome_default (a, b {self._declared(column)})"
                self.connection.execute(scratch)
                self.connection.execute(f"INSERT INTO temp.rome_default VALUES (1, {column.default})")
                ((defaults[column.cid],),) = self.connection.execute("SELECT b FROM temp.rome_default").fetchall()
                self.connection.execute("DROP TABLE temp.rome_default")
        return defaults

    def _declared(self, column: Column) -> str:
        return str(self._metadata(column.name)[0] or "")

    def _index(self, row: tuple[Any, ...]) -> Index:
        _, name, unique, origin, partial = row
        parts = [part for part in self._pragma("index_xinfo", name) if part[5]]
        virtual = {column.name for column in self.columns if column.virtual}
        columns = tuple(part[2] if part[1] >= 0 else None for part in parts)
        text = "SELECT sql FROM main.sqlite_master WHERE type='index' AND name=?"
        sql: Any = (self.connection.execute(text, (name,)).fetchall() or [(None,)])[0][0]
        terms, where = index_terms(sql) if sql else ((), None)
        computed = bool(partial) or None in columns or any(column in virtual for column in columns)
        index = Index(
            id=0,
            name=name,
            unique=bool(unique),
            columns=columns,
            collations=tuple(upper_name(part[4]) for part in parts),
            computed=computed,
            partial=bool(partial),
            terms=terms if computed and sql else tuple(quoted(column) for column in columns if column),
            where=where,
        )
        old = self._same_index(index, origin)
        return replace(index, id=old.id if old else self.new_id())

    def _foreign_key_indexes(self) -> Iterator[Index]:
        """Yield the indexes of ROME's own that the table had, with its columns' present names."""
        if self.old is None:
            return
        names = {column.cid: column.name for column in self.columns}
        for index in self.old.indexes:
            if not index.name:
                columns = [names.get(self.old.by_name[fold_name(str(column))].cid) for column in index.columns]
                if None not in columns:
                    yield replace(index, columns=tuple(columns))

    def _same_index(self, index: Index, origin: str) -> Index | None:
        """Return the index's previous definition; None if it is new.

        One statement can't drop an index and create another of its name. The indexes of constraints get new names with
        their table; they are identified by their columns.
        """
        if self.old is None:
            return None
        if origin == "c":
            return next((old for old in self.old.indexes if old.name == index.name), None)
        columns = tuple(self._old_name(fold_name(name or "")) for name in index.columns)
        for old in self.old.indexes:
            if (
                old.name.startswith("sqlite_autoindex_")
                and _lower(old) == columns
                and old.collations == index.collations
            ):
                return old
        return None


def _with_foreign_key_indexes(catalog: Catalog, new_id: NewId) -> Catalog:
    """Add an index of ROME's own on the columns of each foreign key, unless another one begins with them.

    A foreign key of a virtual column has none: its children are found by reading the whole table.
    """
    tables = dict(catalog.tables)
    for name, table in catalog.tables.items():
        own = [index for index in table.indexes if index.name]
        for key in table.foreign_keys:
            columns = tuple(fold_name(column) for column in key.columns)
            collations = tuple(table.by_name[column].collation for column in columns)
            if _begins(table, own, columns, collations) or any(table.by_name[column].virtual for column in columns):
                continue
            kept = next((ix for ix in table.indexes if not ix.name and _lower(ix) == columns), None)
            own.append(kept or Index(new_id(), "", False, key.columns, collations))
        if tuple(own) != table.indexes:
            tables[name] = replace(table, indexes=tuple(own))
    return replace(catalog, tables=tables)


def _lower(index: Index) -> tuple[str, ...]:
    return tuple(fold_name(column or "") for column in index.columns)


def _begins(table: Table, indexes: list[Index], columns: tuple[str, ...], collations: tuple[str, ...]) -> bool:
    """Return True if the row key, or an index, begins with these columns under these collations."""
    width = len(columns)
    return table.row_codec.has_prefix(columns, collations) or any(
        not index.computed and _lower(index)[:width] == columns and index.collations[:width] == collations
        for index in indexes
    )
