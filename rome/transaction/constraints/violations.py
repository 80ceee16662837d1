"""Errors of violated constraints, with what SQLite leaves out: the foreign key and its tables, the table of a CHECK.

SQLite raises UNIQUE and NOT NULL violations with the table and the columns. `FOREIGN KEY constraint failed` names
nothing, so the violated key is searched for: one of the written rows refers to a parent that does not exist, or was the
parent of rows that still exist. The workspace, which holds all of these rows, is asked with the check deferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rome.catalog.model import Catalog, ForeignKey, Table
from rome.catalog.rows import migrate_row
from rome.errors import Error, IntegrityError
from rome.folding import fold_name
from rome.sql.syntax.create_table import ColumnClause, read_table_text
from rome.sql.syntax.tokens import quoted, tokenize
from rome.sqlite.workspace import Row, Workspace
from rome.transaction.writes.write_set import RowWrite
from rome.values import SqlValue

FOREIGN_KEY = "FOREIGN KEY constraint failed"

_CHECK = "CHECK constraint failed: "


def is_of_foreign_key(error: Error | None) -> bool:
    """Return True for the error of a foreign key that does not say which one."""
    return isinstance(error, IntegrityError) and str(error) == FOREIGN_KEY and error.parent is None


def is_foreign_key_error(error: Error | None) -> bool:
    """Return True for the error of a foreign key."""
    return isinstance(error, IntegrityError) and str(error) == FOREIGN_KEY


def foreign_key_error(workspace: Workspace, catalog: Catalog, writes: Iterable[RowWrite]) -> IntegrityError:
    """Return the error of the foreign key that these writes violate, with its tables and columns if they are found.

    The workspace must hold the written rows.
    """
    for write in writes:
        for key, values, restricts in _keys_of(catalog, write):
            if _is_violated(workspace, key, values, restricts):
                name = _name_of(catalog.tables[fold_name(key.table)], key)
                return IntegrityError(FOREIGN_KEY, key.table, key.columns, name, key.parent)
    return IntegrityError(FOREIGN_KEY)


def _keys_of(catalog: Catalog, write: RowWrite) -> Iterator[tuple[ForeignKey, Sequence[SqlValue], bool]]:
    """Yield the foreign keys that a written row may violate, each with the key's values, and True for RESTRICT.

    RESTRICT is never deferred: its violation does not depend on the parent's absence.
    """
    table = catalog.by_id.get(write.table.id)
    if table is None:
        return  # it was dropped since
    old, new = (None if row is None else migrate_row(row, write.table, table) for row in (write.old, write.new))
    for key in filter(_is_resolved, table.foreign_keys):
        values = _values(table, new, key.columns)
        if values and values != _values(table, old, key.columns):
            yield key, values, False
    for key in filter(_is_resolved, catalog.children.get(fold_name(table.name), ())):
        values = _values(table, old, key.parent_columns)
        if values and values != _values(table, new, key.parent_columns):
            action = key.on_delete if new is None else key.on_update
            yield key, values, action == "RESTRICT"


def _is_resolved(key: ForeignKey) -> bool:
    return key.is_resolved


def _values(table: Table, row: Row | None, columns: Sequence[str]) -> list[SqlValue]:
    """Return the values of a row for a key; an empty list if one of them is NULL, or there is no row."""
    places = [table.position.get(fold_name(column)) for column in columns]
    values = [None if row is None or place is None else row[place] for place in places]
    return [] if None in values else values


def _is_violated(workspace: Workspace, key: ForeignKey, values: Sequence[SqlValue], restricts: bool) -> bool:
    """Return True if the key has children and no parent (or, for RESTRICT, children)."""
    return _has(workspace, key.table, key.columns, values) and (
        restricts or not _has(workspace, key.parent, key.parent_columns, values)
    )


def _has(workspace: Workspace, table: str, columns: Sequence[str], values: Sequence[SqlValue]) -> bool:
    where = " AND ".join(f"{quoted(column)} = ?" for column in columns)
    return bool(workspace.run(f"SELECT 1 FROM main.{quoted(table)} WHERE {where} LIMIT 1", values).rows)


def _name_of(child: Table, wanted: ForeignKey) -> str | None:
    """Return the name of a foreign key. The catalog lists the foreign keys in the order of the table's text."""
    clauses = (clause for clause in _clauses(child) if clause.kind in ("REFERENCES", "FOREIGN"))
    for key, clause in zip(child.foreign_keys, clauses, strict=False):
        if key is wanted:
            return clause.name
    return None


def _clauses(table: Table) -> Iterator[ColumnClause]:
    text = read_table_text(table.sql)
    for column in text.columns:
        yield from column.clauses
    yield from text.constraints


def check_error(error: IntegrityError, tables: Iterable[Table]) -> IntegrityError:
    """Return the error of a CHECK with its table: the first of these that has this CHECK. Return others unchanged."""
    text = str(error)
    if not text.startswith(_CHECK):
        return error
    wanted = text.removeprefix(_CHECK)
    for table in tables:
        for clause in _clauses(table):
            if clause.kind == "CHECK" and wanted in (clause.name, _expression(clause)):
                return IntegrityError(text, table.name, (), clause.name)
    return error


def _expression(check: ColumnClause) -> str:
    """Return the text in the parentheses of a CHECK."""
    tokens = tokenize(check.text)
    start = next(at for at, token in enumerate(tokens) if token.is_op("("))
    return check.text[tokens[start + 1].start : tokens[-2].end] if len(tokens) > start + 2 else ""
