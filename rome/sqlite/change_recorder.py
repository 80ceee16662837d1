"""Recording the rows that statements change in the workspace, cascades and triggers included.

SQLite's preupdate hook reports each change as it happens: one `RowChange` a row. (SQLite's session extension would
merge the changes of a row by itself, but costs four times as much for a transaction with one UPDATE.)

Compared tables
    The hook can't read virtual generated columns, and generated texts that are not UTF-8. Tables with such are compared
    before and after the statement. The hook tells at least which rows were touched.

Watched tables
    What a statement did and undid again leaves no difference: the rows before the one for which it failed, and what a
    trigger has changed once more. `has_unseen` says that there may be such rows. The hook does not see, either, the row
    that SQLite refuses for one of its unique keys. Then the statement is undone, and runs once more under triggers of
    ROME's own that report each new row (`watch`).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import apsw

from rome.catalog.model import Table
from rome.folding import fold_name
from rome.sql.syntax.tokens import quoted
from rome.sqlite.computed_texts import Row
from rome.sqlite.stored_rows import rows_of, stored_columns
from rome.sqlite.workspace_schema import WorkspaceSchema
from rome.values import SqlValue

_WATCHER = "rome_watch"
_MOST_ARGUMENTS = 100


class RowChange(NamedTuple):
    """A row that a statement changed.

    `old` and `new` are whole rows in column order; None if the row was inserted or deleted. The rowids identify rows
    of tables without a key.
    """

    table: str
    old: Row | None
    new: Row | None
    old_rowid: int
    new_rowid: int


RowsBefore = list[tuple[Table, dict[Row, tuple[int, Row]]]]
"""The rows of the compared tables before a statement."""


class ChangeRecorder:
    """Records the changes of a workspace."""

    def __init__(self, sqlite: apsw.Connection, schema: WorkspaceSchema) -> None:
        self._sqlite = sqlite
        self._schema = schema
        self.tables_with_rows: set[str] = set()
        """The tables that may have rows, by their names in lower case. The workspace adds those that it fills."""
        self.changes: list[RowChange] = []
        """The recorded changes of the transaction."""
        self.is_recording = False
        self.compared_tables: tuple[Table, ...] = ()
        """The tables that the hook can't read.

        It finds out while a statement runs that a generated text is not UTF-8: if this has changed after an error, then
        the statement must be undone, and run again.
        """
        self._touched: dict[tuple[int, int], int] = {}
        """By table id and rowid: how often the running statement changed a row of a compared table.

        A row that was deleted or inserted counts twice.
        """
        self.has_unseen = False
        """True if a statement may have made rows of compared tables that are not there any more.

        Set by statements, reset by the caller.
        """
        self._watched: list[SqlValue] = []
        """The values of the next row that the triggers of `watch` have reported so far."""
        # What SQLite calls must not keep the recorder: the garbage collector does not see what apsw refers to.
        this = weakref.proxy(self)
        self._hook = partial(ChangeRecorder._preupdate_hook, this)
        self._note = partial(ChangeRecorder._note_watched, this)

    def use_catalog(self) -> None:
        """Note that the schema has another catalog."""
        self.compared_tables = tuple([table for table in self._schema.catalog.tables.values() if table.has_virtual])

    def record(self, on: bool) -> None:
        """Switch the recording of changes on or off."""
        if self.is_recording != on:
            self._sqlite.preupdate_hook(self._hook if on else None)
            self.is_recording = on

    def _preupdate_hook(self, update: apsw.PreUpdate) -> None:
        if update.database_name != "main":
            return
        name = update.table_name
        table = self._schema.catalog.tables.get(fold_name(name))
        self.tables_with_rows.add(fold_name(name))
        if table is not None and table in self.compared_tables:
            self._note_touched(table, update)
            return
        try:
            self.changes.append(RowChange(name, update.old, update.new, update.rowid, update.rowid_new))
        except UnicodeDecodeError:
            if table is not None and table.has_stored_generated:
                self.compared_tables += (table,)
            raise

    # ── compared tables ───────────────────────────────────────────────────────────────────────────────────────────

    def _note_touched(self, table: Table, update: apsw.PreUpdate) -> None:
        is_update = update.op == "UPDATE" and update.rowid == update.rowid_new
        for rowid in {update.rowid, update.rowid_new} if table.rowid_name else (0,):
            times = self._touched.get((table.id, rowid), 0)
            self._touched[table.id, rowid] = times + (1 if is_update else 2)

    def rows_to_compare(self) -> RowsBefore:
        """Return the rows of the compared tables, as they are before a statement."""
        self._touched.clear()
        created = self._schema.created
        return [
            (table, rows_of(self._sqlite, table)) for table in self.compared_tables if fold_name(table.name) in created
        ]

    def record_differences(self, compared: RowsBefore, has_failed: bool) -> None:
        """Record the differences between the rows of the compared tables before a statement and now."""
        self.has_unseen |= bool(self._touched) and (has_failed or max(self._touched.values()) > 2)
        for table, rows in compared:
            self._record_differences(table, rows)

    def _record_differences(self, table: Table, before: dict[Row, tuple[int, Row]]) -> None:
        """Record the differences between the rows of a table before a statement and now.

        Foreign keys also follow what leaves no difference. A row that was changed once is recorded as updated, also if
        it is the same. One that was changed several times may have had another key meanwhile: it is recorded as deleted
        and inserted. Without a rowid, the changes of any row count for all of them.
        """
        after = rows_of(self._sqlite, table) if self._sqlite.table_exists("main", table.name) else {}
        for key, (rowid, row) in before.items():
            if key not in after:
                self.changes.append(RowChange(table.name, row, None, rowid, rowid))
        for key, (rowid, row) in after.items():
            old = before[key][1] if key in before else None
            times = self._touched.get((table.id, rowid), 0)
            if old is not None and times > 1:
                self.changes.append(RowChange(table.name, old, None, rowid, rowid))
                self.changes.append(RowChange(table.name, None, row, rowid, rowid))
            elif old is None or times:
                self.changes.append(RowChange(table.name, old, row, rowid, rowid))

    # ── watched tables ────────────────────────────────────────────────────────────────────────────────────────────

    def watch(self, compared: Iterable[Table], refusing: Iterable[Table]) -> None:
        """Record rows as inserted until the open savepoint is rolled back.

        In `compared` tables these are all rows that are made, in `refusing` tables all that are to be made.
        """
        self._watched.clear()
        self._sqlite.create_scalar_function(_WATCHER, self._note)
        for time, tables in (("AFTER", compared), ("BEFORE", refusing)):
            for table in tables:
                if fold_name(table.name) in self._schema.created:
                    self._watch(table, time)

    def _watch(self, table: Table, time: str) -> None:
        terms = stored_columns(table, "new.").terms
        parts = [terms[at : at + _MOST_ARGUMENTS] for at in range(0, len(terms), _MOST_ARGUMENTS)]
        calls = [f"SELECT {_WATCHER}(NULL, {', '.join(part)})" for part in parts]
        rowid = f"new.{table.rowid_name}" if table.rowid_name else "0"
        body = "; ".join([*calls, f"SELECT {_WATCHER}({table.id}, {rowid})"])
        for event in ("INSERT", "UPDATE"):
            name = f"{_WATCHER}_{time}_{event}_{table.id}"
            self._sqlite.execute(
                f"CREATE TEMP TRIGGER {name} {time} {event} ON main.{quoted(table.name)} BEGIN {body}; END"
            )

    def unwatch(self) -> None:
        """Take away from statements the function that the triggers of `watch` call."""
        self._sqlite.create_scalar_function(_WATCHER, None)

    def _note_watched(self, table_id: int | None, *values: Any) -> None:
        """Take some values of a row; with the table's id, its rowid instead: then it is complete."""
        if table_id is None:
            self._watched.extend(values)
            return
        row, self._watched = tuple(self._watched), []
        table = self._schema.catalog.by_id[table_id]
        (rowid,) = values
        self.changes.append(RowChange(table.name, None, stored_columns(table).read(row), rowid, rowid))
