"""The schema of the oracle, as the generators of statements need it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import apsw

from rome.values import SqlValue

_PRESENT = 6


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or view."""

    name: str
    type: str = ""
    is_key: bool = False
    is_generated: bool = False


@dataclass(slots=True)
class Relation:
    """A table or a view."""

    name: str
    columns: list[Column] = field(default_factory=list)
    sql: str = ""
    is_view: bool = False
    unique: set[str] = field(default_factory=set)
    """Names of columns in a primary key or unique index."""
    keys: list[tuple[str, ...]] = field(default_factory=list)
    """The columns of the primary key and of each unique index without an expression or a predicate."""
    partial_keys: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    """The columns and the predicate of each unique index with a predicate."""
    ordered_by: set[str] = field(default_factory=set)
    """The first column of each index, also of those that ROME makes for foreign keys."""
    present: list[tuple[SqlValue, ...]] = field(default_factory=list)
    """The primary keys of a few rows."""
    parents: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Columns of foreign keys → parent's table and column."""
    changes_itself: bool = False
    """True if the change of a row may change others of the table: by a trigger, or by a foreign key that cascades."""

    @property
    def written(self) -> list[Column]:
        """Return the columns that INSERT may name."""
        return [column for column in self.columns if not column.is_generated]

    @property
    def key(self) -> list[Column]:
        """Return the columns of the primary key."""
        return [column for column in self.columns if column.is_key]

    @property
    def is_strict(self) -> bool:
        """Return whether the table is STRICT."""
        return self.sql.endswith("STRICT")

    @property
    def has_integer_key(self) -> bool:
        """Return whether the primary key is an integer column: two rows never have keys that are equal to a value."""
        return len(self.key) == 1 and self.key[0].type == "INTEGER"

    @property
    def is_order_free(self) -> bool:
        """Return whether a change of several rows does not depend on their order, or this is the order of their key.

        SQLite reads the rows of a table with another key as they were inserted, and ROME does not know that order.
        """
        return not self.changes_itself or not self.key or self.has_rowid_key or "WITHOUT ROWID" in self.sql

    @property
    def has_rowid_key(self) -> bool:
        """Return whether the integer key is the rowid of a row."""
        return self.has_integer_key and "WITHOUT ROWID" not in self.sql and "PRIMARY KEY DESC" not in self.sql


@dataclass(slots=True)
class Schema:
    """All tables and views, and the names of indexes, triggers and views."""

    relations: list[Relation]
    indexes: list[str]
    triggers: list[str]
    fails: bool
    """True if what is left of a statement of several rows may depend on their order.

    A trigger raises FAIL, or a constraint has a conflict clause.
    """

    @property
    def tables(self) -> list[Relation]:
        """Return the tables."""
        return [relation for relation in self.relations if not relation.is_view]

    @property
    def views(self) -> list[Relation]:
        """Return the views."""
        return [relation for relation in self.relations if relation.is_view]


def read_schema(sqlite: apsw.Connection) -> Schema:
    """Read the schema of a SQLite database."""
    relations, indexes, triggers = [], [], []
    trigger_texts = ""
    fails = False
    listed: Any = sqlite.execute("SELECT type, name, coalesce(sql, '') FROM main.sqlite_master").fetchall()
    for kind, name, sql in listed:
        if name.startswith("sqlite_"):
            continue
        if kind == "index":
            indexes.append(name)
        elif kind == "trigger":
            triggers.append(name)
            fails = fails or "FAIL" in sql
            trigger_texts += sql.partition(" BEGIN ")[2]
        else:
            fails = fails or " ON CONFLICT " in sql
            relation = _relation(sqlite, kind, name, sql)
            if relation is not None:
                relations.append(relation)
    for relation in relations:
        is_triggered = re.search(rf"(FROM|UPDATE|INTO) {relation.name}\b", trigger_texts) is not None
        refers_to_itself = any(parent == relation.name for parent, _ in relation.parents.values())
        relation.changes_itself = is_triggered or (refers_to_itself and "CASCADE" in relation.sql)
    return Schema(relations, indexes, triggers, fails)


def _relation(sqlite: apsw.Connection, kind: str, name: str, sql: str) -> Relation | None:
    relation = Relation(name, sql=sql, is_view=kind == "view")
    try:
        described: Any = sqlite.execute(f'PRAGMA table_xinfo("{name}")').fetchall()
    except apsw.Error:
        return None  # a view over something that is gone
    for _, column, type_, _, _, key, hidden in described:
        relation.columns.append(Column(column, str(type_ or "").upper(), bool(key), hidden in (2, 3)))
        if key:
            relation.unique.add(column)
    if not relation.is_view:
        _read_indexes(sqlite, relation)
        if relation.key:
            listed = ", ".join(column.name for column in relation.key)
            relation.present = sqlite.execute(f'SELECT {listed} FROM "{name}" LIMIT {_PRESENT}').fetchall()
        keys: Any = sqlite.execute(f'PRAGMA foreign_key_list("{name}")').fetchall()
        for _, _, parent, child_column, parent_column, *_ in keys:
            relation.parents[child_column] = (parent, parent_column or "")
        relation.ordered_by.update(relation.parents)
    return relation if relation.columns else None


def _read_indexes(sqlite: apsw.Connection, relation: Relation) -> None:
    if relation.has_integer_key:
        relation.keys.append((relation.key[0].name,))
    indexes: Any = sqlite.execute(f'PRAGMA index_list("{relation.name}")').fetchall()
    for _, index, is_unique, _, is_partial in indexes:
        found: Any = sqlite.execute(f'PRAGMA index_xinfo("{index}")').fetchall()
        relation.ordered_by.update(column for _, _, column, *_ in found[:1] if column)
        if not is_unique:
            continue
        relation.unique.update(column for _, _, column, *_ in found if column)
        columns = tuple(column for *_, column, _, _, is_key in found if is_key)
        if None in columns:
            continue
        if is_partial:
            text: Any = sqlite.execute("SELECT sql FROM sqlite_master WHERE name = ?", (index,)).fetchone()
            relation.partial_keys.append((columns, text[0].partition(" WHERE ")[2]))
        else:
            relation.keys.append(columns)
