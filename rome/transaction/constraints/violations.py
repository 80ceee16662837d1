"""Errors of violated constraints, with what SQLite leaves out: the foreign key and its tables, the table of a CHECK.

SQLite raises UNIQUE and NOT NULL violations with the table and the columns. `FOREIGN KEY constraint failed` names
nothing, so the violated key is searched for: one of the written rows refers to a parent that does not exist, or was the
parent of rows that still exist. The workspace, which holds all of these rows, is asked with the check deferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeGuard

from rome.catalog.model import Catalog, ForeignKey, Table
from rome.catalog.rows import migrate_row
from rome.errors import Error, IntegrityError
from rome.folding import fold_name
from rome.sql.syntax.create_table import ColumnClause, read_table_text
from rome.sql.syntax.tokens import quoted, tokenize
from rome.sqlite.workspace import Row, Workspace
from rome.transaction.constraints.table_keys import Reference, TableKeys
from rome.transaction.writes.write_set import RowWrite

FOREIGN_KEY = "FOREIGN KEY constraint failed"

_CHECK = "CHECK constraint failed: "
_UNIQUE = "UNIQUE constraint failed: "
_UNIQUE_INDEX = f"{_UNIQUE}index '"


def is_of_foreign_key(error: Error | None) -> bool:
    """Return True for the error of a foreign key that does not say which one."""
    return isinstance(error, IntegrityError) and str(error) == FOREIGN_KEY and error.parent is None


def is_foreign_key_error(error: Error | None) -> bool:
    """Return True for the error of a foreign key."""
    return isinstance(error, IntegrityError) and str(error) == FOREIGN_KEY


def is_of_unique_key(error: Error | None) -> TypeGuard[IntegrityError]:
    """Return True for the error of a unique key."""
    return isinstance(error, IntegrityError) and str(error).startswith(_UNIQUE)


def table_of_unique_key(error: Error | None, catalog: Catalog) -> Table | None:
    """Return the table whose unique key is violated; None if the error is another one.

    SQLite names the index instead of the table if it is one on expressions.
    """
    if not is_of_unique_key(error):
        return None
    index = catalog.objects.get(fold_name(str(error).removeprefix(_UNIQUE_INDEX).rstrip("'")))
    return catalog.table(error.table or (index.table if index is not None else ""))


def foreign_key_error(workspace: Workspace, catalog: Catalog, writes: Iterable[RowWrite]) -> IntegrityError:
    """Return the error of the foreign key that these writes violate, with its tables and columns if they are found.

    The workspace must hold the written rows.
    """
    rows: dict[ForeignKey, _RowsOfKey] = {}
    for reference, values, restricts in _changed_references(catalog, writes):
        key = reference.key
        of_key = rows.setdefault(key, _RowsOfKey(workspace, reference))
        if of_key.has_children(values) and (restricts or not of_key.has_parent(values)):
            return IntegrityError(FOREIGN_KEY, key.table, key.columns, _name_of(reference.child, key), key.parent)
    return IntegrityError(FOREIGN_KEY)


class _RowsOfKey:
    """The rows in the workspace that have a key of one foreign key."""

    def __init__(self, workspace: Workspace, reference: Reference) -> None:
        self._workspace = workspace
        self._reference = reference

    def has_children(self, values: Row) -> bool:
        """Return True if a child refers to this key."""
        return self._reference.parent_key(values) in self._of_children

    def has_parent(self, values: Row) -> bool:
        """Return True if a row of the parent has this key."""
        return self._reference.parent_key(values) in self._of_parents

    @cached_property
    def _of_children(self) -> frozenset[object]:
        return self._keys(self._reference.key.table, self._reference.key.columns)

    @cached_property
    def _of_parents(self) -> frozenset[object]:
        return self._keys(self._reference.key.parent, self._reference.key.parent_columns)

    def _keys(self, table: str, columns: Sequence[str]) -> frozenset[object]:
        sql = f"SELECT DISTINCT {', '.join(map(quoted, columns))} FROM main.{quoted(table)}"
        rows = self._workspace.run(sql, ()).rows
        return frozenset(self._reference.parent_key(row) for row in rows if None not in row)


def _changed_references(catalog: Catalog, writes: Iterable[RowWrite]) -> Iterator[tuple[Reference, Row, bool]]:
    """Yield the foreign keys that written rows may violate, each with the key's values, and True for RESTRICT.

    RESTRICT is never deferred: its violation does not depend on the parent's absence.
    """
    keys: dict[int, TableKeys] = {}
    for write in writes:
        table = catalog.by_id.get(write.table.id)
        if table is None:
            continue  # it was dropped since
        of_table = keys.get(table.id)
        if of_table is None:
            of_table = keys[table.id] = TableKeys(catalog, table)
        old, new = (None if row is None else migrate_row(row, write.table, table) for row in (write.old, write.new))
        changed = [(*each, False) for each in of_table.needed(old, new)]
        for reference, values in of_table.orphaned(old, new):
            action = reference.key.on_delete if new is None else reference.key.on_update
            changed.append((reference, values, action == "RESTRICT"))
        for reference, values, restricts in changed:
            if values is not None and reference.is_resolved:
                yield reference, values, restricts


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
