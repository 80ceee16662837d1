"""Point DML plans: what an INSERT of one row, or an UPDATE by primary key, does, known from its text.

    INSERT INTO t (a, b) VALUES (?, 'x') RETURNING id            UPDATE t SET a = ? WHERE id = ?

Such a statement needs no SQLite. A `PointInsert` or a `PointUpdate` is made once for each plan; with parameters, it
gives the row, and the keys to probe before it is written (`rome.session.point_dml` does that).

It exists only where the result is certain: the table has no triggers, CHECKs, generated columns or other things that
only SQLite can do. Each value must be stored as it is, or by a conversion that is certain; any other value raises
NeedsWorkspace, and the statement runs in the workspace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from rome.catalog.key_codec import KeyCodec, columns_taker
from rome.catalog.model import Catalog, Column, Table
from rome.catalog.rows import encode_row, encode_rows
from rome.errors import DataError
from rome.fallback import NeedsWorkspace, NotConvertible
from rome.fast_tuples import tuple_maker
from rome.folding import fold_name
from rome.plan.plan import Plan
from rome.sql.syntax.dml import read_simple_update
from rome.sql.syntax.operands import Const, Source
from rome.sql.syntax.statement import StatementKind
from rome.sql.syntax.tokens import names
from rome.sqlite.workspace import Parameters, Row
from rome.storage.store import Get
from rome.transaction.constraints.table_keys import (
    KeyProbe,
    Reference,
    TableKeys,
    unique_codecs,
    unique_key_probe,
)
from rome.transaction.reads.row_cache import TableRequest
from rome.values import COLLATIONS, COMPARED_UNCHANGED, STORED_UNCHANGED, Affinity, Columns, SqlValue, convert_to_store

_MAX_ROW_BYTES = 100_000_000
"""A longer row may be longer than SQLite admits."""

_ONLY_SQLITE = frozenset({"check", "strict"})
"""A table whose text has one of these words is left to SQLite."""

_MAX_TYPE_COMBINATIONS = 1000

_ANY = Column("", 0, Affinity.BLOB)

_get = tuple_maker(Get)


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class StoredValues:
    """The values that some columns of a row store, taken from parameters and constants."""

    def __init__(self, sources: Sequence[Source], columns: Sequence[Column], parameter_count: int) -> None:
        """`parameter_count`: how many parameters the statement has."""
        constants = [source.value for source in sources if isinstance(source, Const)]
        places = []
        used = 0
        for source in sources:
            if isinstance(source, Const):
                places.append(parameter_count + used)
                used += 1
            else:
                places.append(source.index)
        self._constants = tuple(constants)
        self._columns = tuple(columns)
        self._parameter_count = parameter_count
        # An itemgetter of one place would give no tuple.
        self._take: Any = itemgetter(*places, places[0])
        self._affinities = tuple(column.affinity for column in columns)
        self._unchanged: dict[tuple[type, ...], bool | None] = {}
        """By the types of the values: True if none of them needs a conversion, None if a NULL is not allowed."""

    def of(self, parameters: Parameters) -> Row:
        """Return the stored values. Raise NeedsWorkspace if only SQLite knows them, or refuses one."""
        if type(parameters) is not tuple or len(parameters) != self._parameter_count:
            raise NeedsWorkspace
        row: Row = self._take(parameters + self._constants)[:-1]
        types = tuple(map(type, row))
        unchanged = self._unchanged[types] if types in self._unchanged else self._decide(types)
        if unchanged:
            return row
        if unchanged is None:
            raise NeedsWorkspace
        try:
            return tuple(map(convert_to_store, row, self._affinities))
        except NotConvertible:
            raise NeedsWorkspace from None

    def columns_of(self, parameter_sets: Sequence[Parameters]) -> list[Sequence[SqlValue]]:
        """Return the stored values of each column, for many sets of parameters. Raise NeedsWorkspace."""
        if set(map(type, parameter_sets)) != {tuple} or set(map(len, parameter_sets)) != {self._parameter_count}:
            raise NeedsWorkspace
        given: list[Sequence[SqlValue]] = list(zip(*parameter_sets, strict=True))
        given += [[value] * len(parameter_sets) for value in self._constants]
        return stored_columns(self._take(given)[:-1], self._columns)

    def _decide(self, types: tuple[type, ...]) -> bool | None:
        unchanged: bool | None = True
        for kind, column in zip(types, self._columns, strict=True):
            if kind is type(None):
                if column.not_null:
                    unchanged = None
                    break
            elif kind not in STORED_UNCHANGED[column.affinity]:
                unchanged = False
        if len(self._unchanged) < _MAX_TYPE_COMBINATIONS:
            self._unchanged[types] = unchanged
        return unchanged


def stored_columns(values: Sequence[Sequence[SqlValue]], columns: Sequence[Column]) -> list[Sequence[SqlValue]]:
    """Return the values that columns store of the given ones, column by column.

    Raise NeedsWorkspace if only SQLite knows them, or refuses one.
    """
    return list(map(_stored_column, values, columns))


def _stored_column(values: Sequence[SqlValue], column: Column) -> Sequence[SqlValue]:
    types = set(map(type, values))
    if type(None) in types:
        if column.not_null:
            raise NeedsWorkspace
        types.discard(type(None))
    if types <= STORED_UNCHANGED[column.affinity]:
        return values
    try:
        return [convert_to_store(value, column.affinity) for value in values]
    except NotConvertible:
        raise NeedsWorkspace from None


# ── plans ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class PointWrite:
    """A statement that writes rows of a table. `returned`: the places of the columns of RETURNING."""

    def __init__(self, table: Table, returned: Sequence[int] = ()) -> None:
        self.table = table
        self.returned = returned
        self.take_returned = columns_taker(returned)

    def encoded(self, row: Row) -> bytes:
        """Return a row as the store holds it. Raise NeedsWorkspace for what SQLite may refuse."""
        try:
            data = encode_row(self.table.schema, row)
        except DataError:
            raise NeedsWorkspace from None
        if len(data) > _MAX_ROW_BYTES:
            raise NeedsWorkspace
        return data

    def encoded_rows(self, columns: Columns) -> list[bytes]:
        """Return many rows, of stored values, as the store holds them. Raise NeedsWorkspace as `encoded` does."""
        try:
            data = encode_rows(self.table.schema, columns)
        except DataError:
            raise NeedsWorkspace from None
        if data and max(map(len, data)) > _MAX_ROW_BYTES:
            raise NeedsWorkspace
        return data


_IS_LATER_OR_NEVER = frozenset({"deferrable", "deferred", "conflict"})


class RowInsert(PointWrite):
    """A statement that inserts rows of a table. `parents`: its foreign keys, each of a unique key."""

    def __init__(self, table: Table, parents: Sequence[Reference], returned: Sequence[int] = ()) -> None:
        super().__init__(table, returned)
        self.parents = parents
        self.rowid_place = table.position[fold_name(table.rowid_alias)] if table.rowid_alias else None
        # NULL in the rowid alias stands for the next id.
        self.columns = [
            replace(each, not_null=False) if at == self.rowid_place else each for at, each in enumerate(table.stored)
        ]
        self.is_refused_at_once = _IS_LATER_OR_NEVER.isdisjoint(names(table.sql))
        """True if a violated key always refuses the row: none is DEFERRABLE or has an ON CONFLICT clause."""
        self._keys = unique_codecs(table)
        self._unique = self._keys[1:] if table.key else self._keys
        self.is_counted = table.counted is not None
        """True if a sequence gives the ids of new rows."""

    def unique_codecs(self, *, has_row_key: bool) -> Sequence[KeyCodec]:
        """Return the codecs of the keys that a new row takes; that of its row key only if it is given."""
        return self._keys if has_row_key or not self.is_counted else self._unique

    def with_rowids(self, columns: Columns, rowids: Sequence[int]) -> Columns:
        """Return rows with ids from the sequence; the same if the rows have no column for these."""
        at = self.rowid_place
        return columns if at is None else [*columns[:at], rowids, *columns[at + 1 :]]


class PointInsert(RowInsert):
    """An INSERT of one row."""

    def __init__(
        self,
        table: Table,
        parents: Sequence[Reference],
        returned: Sequence[int],
        sources: Sequence[Source],
        rowid_source: Source | None,
        parameter_count: int,
    ) -> None:
        """`returned`: the places of the columns of RETURNING; `rowid_source`: of the value for a hidden rowid."""
        super().__init__(table, parents, returned)
        self._values = StoredValues(sources, self.columns, parameter_count)
        self._rowid = StoredValues([rowid_source], [_ANY], parameter_count) if rowid_source is not None else None

    def row(self, parameters: Parameters) -> tuple[Row, int | None]:
        """Return the row, and its id if it is given. Raise NeedsWorkspace."""
        row = self._values.of(parameters)
        rowid = None
        if self.rowid_place is not None:
            rowid = row[self.rowid_place]
        elif self._rowid is not None:
            (rowid,) = self._rowid.of(parameters)
        if rowid is not None and (type(rowid) is not int or self._rowid is not None):
            raise NeedsWorkspace
        return row, rowid

    def values_by_column(self, parameter_sets: Sequence[Parameters]) -> list[Sequence[SqlValue]]:
        """Return the stored values of each column, for many sets of parameters. Raise NeedsWorkspace."""
        if self._rowid is not None and set(*self._rowid.columns_of(parameter_sets)) != {None}:
            raise NeedsWorkspace
        return self._values.columns_of(parameter_sets)

    def key_probes(self, row: Row, rowid: int | None) -> list[KeyProbe]:
        """Return the probes of the unique keys that a row takes. The first is the row key, unless an id is missing."""
        codecs = self._unique if rowid is None and self.is_counted else self._keys
        if not codecs:
            return []
        return [probe for codec in codecs if (probe := unique_key_probe(self.table, codec, codec.take(row)))]

    def parent_probes(self, row: Row) -> list[KeyProbe]:
        """Return the probes of the parents that a row refers to. Raise NeedsWorkspace."""
        found = []
        try:
            for each in self.parents:
                values = each.child_values(row)
                probe = each.parent_probe(values) if values else None
                if probe is not None:
                    found.append(probe)
        except NotConvertible:
            raise NeedsWorkspace from None
        return found

    def with_rowid(self, row: Row, rowid: int) -> Row:
        """Return the row with an id from the sequence."""
        at = self.rowid_place
        return row if at is None else (*row[:at], rowid, *row[at + 1 :])


class PointUpdate(PointWrite):
    """An UPDATE of the row with a primary key, in columns that no key, index constraint or foreign key uses."""

    def __init__(
        self,
        table: Table,
        values: Mapping[str, Source],
        key: Mapping[str, Source],
        returned: Sequence[int],
        parameter_count: int,
    ) -> None:
        """`values`, `key`: column name in lower case → source of its new value, of its value in WHERE.

        `returned`: the places of the columns of RETURNING.
        """
        super().__init__(table, returned)
        self._codec = table.row_codec
        self._places = [table.position[name] for name in values]
        self.changed = frozenset(values)
        columns = [table.by_name[name] for name in values]
        self._values = StoredValues(list(values.values()), columns, parameter_count)
        self._types = [COMPARED_UNCHANGED[table.by_name[name].affinity] for name in self._codec.columns]
        """For each column of the key: the types of values that are compared with it as they are."""
        self._key_values = StoredValues([key[name] for name in self._codec.columns], [_ANY] * len(key), parameter_count)

    def key_of(self, parameters: Parameters) -> bytes:
        """Return the key of the row to update. Raise NeedsWorkspace."""
        values = self._key_values.of(parameters)
        for value, types in zip(values, self._types, strict=True):
            if type(value) not in types:
                raise NeedsWorkspace
        return self._codec.encode(values)

    def keys_of(self, parameter_sets: Sequence[Parameters]) -> list[bytes]:
        """Return the keys of the rows to update, for many sets of parameters. Raise NeedsWorkspace."""
        columns = self._key_values.columns_of(parameter_sets)
        for values, types in zip(columns, self._types, strict=True):
            if not types >= set(map(type, values)):
                raise NeedsWorkspace
        return self._codec.encode_values(columns)

    def request(self, key: bytes) -> TableRequest:
        """Return the request for the row with a key."""
        return TableRequest(self.table, _get((self._codec.space, (key,))))

    def row(self, old: Row, parameters: Parameters) -> Row:
        """Return the updated row. Raise NeedsWorkspace."""
        row = list(old)
        for place, value in zip(self._places, self._values.of(parameters), strict=True):
            row[place] = value
        return tuple(row)

    def rows(self, olds: Columns, parameter_sets: Sequence[Parameters]) -> tuple[Columns, list[bytes]]:
        """Return the updated rows, for many sets of parameters, also as the store holds them. Raise NeedsWorkspace."""
        news = list(olds)
        for place, values in zip(self._places, self._values.columns_of(parameter_sets), strict=True):
            news[place] = values
        return news, self.encoded_rows(news)


def point_plan(plan: Plan, catalog: Catalog) -> PointInsert | PointUpdate | None:
    """Return how to run a plan without the workspace under its catalog; None if that is not possible."""
    table, statement = plan.target, plan.statement
    if table is None or statement.on_conflict or statement.has_upsert or plan.reads.full_scans:
        return None
    if not is_simple(table, catalog):
        return None
    if statement.kind is StatementKind.INSERT:
        return _insert(plan, table, catalog)
    if statement.kind is StatementKind.UPDATE and table.key:
        return _update(plan, table, catalog)
    return None


def is_simple(table: Table, catalog: Catalog) -> bool:
    """Return True if writing a row of the table takes nothing that only SQLite can do."""
    if (
        table.without_rowid
        or fold_name(table.name) in catalog.triggers
        or not _ONLY_SQLITE.isdisjoint(names(table.sql))
    ):
        return False
    if any(column.generated or column.virtual for column in table.columns):
        return False
    collations = {column.collation for column in table.columns}
    collations.update(each for index in table.indexes for each in index.collations)
    return not any(index.computed for index in table.indexes) and COLLATIONS.keys() >= collations


def may_mismatch(table: Table, keys: TableKeys) -> bool:
    """Return True if SQLite may report a foreign key that does not match a unique key of its parent.

    It looks at those of the table and of its children; if a new row may replace another one (ON CONFLICT REPLACE), also
    at those of all rows that change with the children.
    """
    if keys.children and "replace" in names(table.sql):
        return True
    return not all(each.parent_codec for each in keys.parents + keys.children)


def _insert(plan: Plan, table: Table, catalog: Catalog) -> PointInsert | None:
    if plan.values is None or len(plan.values.rows) != 1 or plan.values.insert.has_with:
        return None
    (row,) = plan.values.rows
    sources = [row.get(fold_name(column.name)) for column in table.stored]
    hidden = [] if table.rowid_alias or not table.counted else [row.get(fold_name(table.counted))]
    known = [source for source in (*sources, *hidden) if source is not None]
    if len(known) < len(sources) + len(hidden):
        return None
    keys = TableKeys(catalog, table)
    returned = _returned(plan.values.insert.returning, table) if plan.statement.has_returning else ()
    if returned is None or may_mismatch(table, keys):
        return None
    width = len(sources)
    return PointInsert(
        table, keys.parents, returned, known[:width], known[width] if hidden else None, _parameter_count(known)
    )


def _returned(names: Sequence[str] | None, table: Table) -> list[int] | None:
    """Return the positions of the columns of a RETURNING; None if it returns anything else."""
    places = [table.position.get(name, -1) for name in names or ()]
    return None if -1 in places or not places else places


def _update(plan: Plan, table: Table, catalog: Catalog) -> PointUpdate | None:
    shape = read_simple_update(plan.sql)
    if (
        shape is None
        or shape.where.keys() != {fold_name(name) for name in table.key}
        or not table.position.keys() >= shape.values.keys()
    ):
        return None
    if not TableKeys(catalog, table).columns.isdisjoint(shape.values):
        return None
    returned = _returned(shape.returning, table) if plan.statement.has_returning else ()
    if returned is None:
        return None
    return PointUpdate(
        table, shape.values, shape.where, returned, _parameter_count([*shape.values.values(), *shape.where.values()])
    )


def _parameter_count(sources: Iterable[Source]) -> int:
    """Return how many parameters a statement has, if these are all of its sources."""
    return max((source.index + 1 for source in sources if not isinstance(source, Const)), default=0)
