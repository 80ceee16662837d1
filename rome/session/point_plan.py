"""What a statement that changes one row does, known from its text: it needs no workspace then.

    INSERT INTO t (a, b) VALUES (?, 'x') RETURNING id            UPDATE t SET a = ? WHERE id = ?

A `PointInsert` or a `PointUpdate` is made once for each plan. It tells a row from parameters where there is no
doubt: the table has no triggers, CHECKs, generated columns or other things that only SQLite can do, and each value is
stored as it is, or by a conversion that is certain. In any doubt it tells none, and the statement takes the way of all
others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rome.catalog.model import Catalog, Column, Table
from rome.catalog.rows import encode_row
from rome.errors import DataError
from rome.fallback import NeedsWorkspace
from rome.plan.plan import Plan
from rome.session.point_keys import Key, Parent, parents_of
from rome.session.point_values import Values
from rome.sql.syntax.dml import InsertStatement, read_simple_update
from rome.sql.syntax.operands import Const, Source
from rome.sql.syntax.statement import StatementKind
from rome.sql.syntax.tokens import names
from rome.sqlite.workspace import Parameters, Row
from rome.storage.store import rows_space
from rome.values import COLLATIONS, COMPARED_UNCHANGED, Affinity

_MOST_BYTES = 100_000_000
"""A longer row may be longer than SQLite takes."""

_ONLY_SQLITE = frozenset({"check", "strict"})
"""A table whose text has one of these words is not simple."""


class PointWrite:
    """What both kinds have in common."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.space = rows_space(table.id)

    def encoded(self, row: Row) -> bytes:
        """A row as the store has it. Raises NeedsWorkspace for what SQLite may not take."""
        try:
            data = encode_row(self.table.schema, row)
        except DataError:
            raise NeedsWorkspace from None
        if len(data) > _MOST_BYTES:
            raise NeedsWorkspace
        return data


class PointInsert(PointWrite):
    """An INSERT of one row."""

    def __init__(
        self,
        table: Table,
        parents: Sequence[Parent],
        returned: Sequence[int],
        sources: Sequence[Source],
        counted: Source | None,
        parameters: int,
    ) -> None:
        """`returned`: the places of columns; `counted`: where the number of a hidden rowid comes from."""
        super().__init__(table)
        self.key = Key(table, table.row_codec) if table.key else None
        self.numbered = table.position[table.rowid_alias.lower()] if table.rowid_alias else None
        """The place of the column that the counter fills."""
        # NULL stands for a number of the counter there, so it is allowed.
        columns = [
            replace(each, not_null=False) if at == self.numbered else each for at, each in enumerate(table.stored)
        ]
        self._values = Values(sources, columns, parameters)
        self._hidden = Values([counted], [_ANY], parameters) if counted is not None else None
        self.unique = [Key(table, table.index_codecs[index.id]) for index in table.indexes if index.unique]
        self.keys = [self.key, *self.unique] if self.key is not None else self.unique
        self.parents = parents
        self.returned = returned

    def row(self, parameters: Parameters) -> tuple[Row, int | None]:
        """The row, and its number, if that is given. Raises NeedsWorkspace."""
        row = self._values.of(parameters)
        number = None
        if self.numbered is not None:
            number = row[self.numbered]
        elif self._hidden is not None:
            (number,) = self._hidden.of(parameters)
        if number is not None and (type(number) is not int or self._hidden is not None):
            raise NeedsWorkspace
        return row, number

    def with_number(self, row: Row, number: int) -> Row:
        """The row with a number of the counter."""
        at = self.numbered
        return row if at is None else (*row[:at], number, *row[at + 1 :])


class PointUpdate(PointWrite):
    """An UPDATE of the row with a key."""

    def __init__(self, table: Table, values: Mapping[str, Source], key: Mapping[str, Source], parameters: int) -> None:
        super().__init__(table)
        self._places = [table.position[name] for name in values]
        columns = [table.by_name[name] for name in values]
        self._values = Values(list(values.values()), columns, parameters)
        self.key = Key(table, table.row_codec)
        self._kinds = [COMPARED_UNCHANGED[affinity] for _, affinity in self.key.columns]
        self._key_values = Values([key[name] for name, _ in self.key.columns], [_ANY] * len(key), parameters)

    def key_of(self, parameters: Parameters) -> bytes:
        """The key of the row to be changed. Raises NeedsWorkspace."""
        values = self._key_values.of(parameters)
        for value, kinds in zip(values, self._kinds, strict=True):
            if type(value) not in kinds:
                raise NeedsWorkspace
        key = self.key.codec.encode_unique(values)
        assert key is not None
        return key

    def row(self, old: Row, parameters: Parameters) -> Row:
        """What the row is changed to. Raises NeedsWorkspace."""
        row = list(old)
        for place, value in zip(self._places, self._values.of(parameters), strict=True):
            row[place] = value
        return tuple(row)


_ANY = Column("", 0, Affinity.BLOB)


def point_plan(plan: Plan, catalog: Catalog) -> PointInsert | PointUpdate | None:
    """The direct way of a plan under its catalog; None if it has none."""
    table, statement = plan.target, plan.statement
    if table is None or statement.on_conflict or statement.has_upsert or plan.reads.full_scans:
        return None
    if not _is_simple(table, catalog):
        return None
    if statement.kind is StatementKind.INSERT:
        return _insert(plan, table, catalog)
    if statement.kind is StatementKind.UPDATE and table.key and not statement.has_returning:
        return _update(plan, table, catalog)
    return None


def _is_simple(table: Table, catalog: Catalog) -> bool:
    if table.without_rowid or table.name.lower() in catalog.triggers or not _ONLY_SQLITE.isdisjoint(names(table.sql)):
        return False
    if any(column.generated or column.virtual for column in table.columns):
        return False
    collations = {column.collation for column in table.columns}
    collations.update(each for index in table.indexes for each in index.collations)
    return not any(index.computed for index in table.indexes) and COLLATIONS.keys() >= collations


def _insert(plan: Plan, table: Table, catalog: Catalog) -> PointInsert | None:
    if plan.values is None or len(plan.values.rows) != 1 or plan.values.insert.has_with:
        return None
    (row,) = plan.values.rows
    sources = [row.get(column.name.lower()) for column in table.stored]
    hidden = [] if table.rowid_alias or not table.counted else [row.get(table.counted.lower())]
    known = [source for source in (*sources, *hidden) if source is not None]
    if len(known) < len(sources) + len(hidden):
        return None
    parents = parents_of(table, catalog)
    returned = _returned(plan.values.insert, table) if plan.statement.has_returning else ()
    if parents is None or returned is None:
        return None
    width = len(sources)
    return PointInsert(table, parents, returned, known[:width], known[width] if hidden else None, _count(known))


def _returned(insert: InsertStatement, table: Table) -> list[int] | None:
    """Return the positions of the columns that an INSERT returns; None if it returns anything else."""
    places = [table.position.get(name, -1) for name in insert.returning or ()]
    return None if -1 in places or not places else places


def _update(plan: Plan, table: Table, catalog: Catalog) -> PointUpdate | None:
    shape = read_simple_update(plan.sql)
    key = {name.lower() for name in table.key}
    if shape is None or shape.where.keys() != key or not table.position.keys() >= shape.values.keys():
        return None
    fixed = set(key)
    fixed.update(column.lower() for index in table.indexes if index.unique for column in index.columns if column)
    fixed.update(column.lower() for each in table.foreign_keys for column in each.columns)
    for each in catalog.children.get(table.name.lower(), ()):
        fixed.update(column.lower() for column in each.parent_columns)
    if not fixed.isdisjoint(shape.values):
        return None
    return PointUpdate(table, shape.values, shape.where, _count([*shape.values.values(), *shape.where.values()]))


def _count(sources: Iterable[Source]) -> int:
    """How many parameters a statement has of which these are all sources."""
    return max((source.index + 1 for source in sources if not isinstance(source, Const)), default=0)
