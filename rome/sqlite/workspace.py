"""The workspace: an in-memory SQLite per connection that evaluates statements over the rows fetched for them.

It is the definition of what is right: the original SQL text runs here, so types, constraints, triggers, upserts and
cascades are SQLite's own.

What it holds
    Tables of the catalog, made when a statement first names them, and kept from one transaction to the next; rows only
    while a transaction runs. Temporary tables and their rows live here and nowhere else, as long as the connection.

Loading against changing
    Fetched rows are put in by `load` while triggers and foreign keys are off and no change is recorded. What statements
    change is recorded by SQLite's preupdate hook: one `RowChange` a row, cascades and triggers included. (SQLite's
    session extension would net the changes out by itself, but costs four times as much for a transaction with one
    UPDATE.) The hook can't read tables with virtual generated columns; those are compared before and after the
    statement.

Changes made elsewhere
    A change of single rows may need no SQLite (`rome.session.point_dml`). Its rows are owed (`defer_row`), and put in
    before a statement, a savepoint or anything else looks. What SQL can ask of changes (last_insert_rowid(), changes(),
    total_changes()) tells of them, and not of rows that were loaded.

Savepoints
    `mark` and `back_to` go along with SAVEPOINT and ROLLBACK TO: whatever was made, loaded or recorded since the mark
    is forgotten with it. What else a transaction keeps in step (see `UndoLog`) hangs on the same marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any, NamedTuple

import apsw

from rome.catalog.model import Catalog, Table
from rome.errors import IntegrityError, InternalError
from rome.sql.rewrite.counter_ids import trigger_with_counter_ids
from rome.sql.syntax.tokens import names
from rome.sqlite.catalog_reader import quoted
from rome.sqlite.errors import translated
from rome.values import SqlValue

Parameters = Sequence[SqlValue] | Mapping[str, SqlValue]
Row = tuple[SqlValue, ...]


class RowChange(NamedTuple):
    """One row that a statement changed. `old` and `new` are whole rows in column order; None: it was, or is, not there.

    The rowids say which row it is in tables without a key.
    """

    table: str
    old: Row | None
    new: Row | None
    old_rowid: int
    new_rowid: int


class Result(NamedTuple):
    """What a statement gave: rows, PEP 249's description (None: no rows can come), rows affected (-1: unknown)."""

    rows: list[Row]
    description: tuple[tuple[Any, ...], ...] | None
    rowcount: int
    lastrowid: int | None = None


class Workspace:
    """One in-memory SQLite with the tables of a catalog."""

    def __init__(self, next_id: Callable[[int], int]) -> None:
        """`next_id` gives the next number of the counter of a table, by the table's id."""
        self.sqlite = apsw.Connection(":memory:")
        own: dict[str, tuple[Any, int]] = {
            "rome_next": (next_id, 1),
            "changes": (self._count_of_changes, 0),
            "total_changes": (self._count_of_all_changes, 0),
        }
        for name, (function, width) in own.items():
            self.sqlite.create_scalar_function(name, function, width)
        self.catalog = Catalog()
        self.changes: list[RowChange] = []
        self.temporary = False
        self.last_rowid = 0
        """What last_insert_rowid() is."""
        self._deferred_rows: list[tuple[Table, Row]] = []
        self.last_changes = 0
        """SQL's changes(): the number of rows that the last statement changed."""
        self._uncounted = 0
        self._total_before = 0
        self._made: dict[str, str] = {}
        self._names_of: dict[str, frozenset[str]] = {}
        self._in_transaction: list[str] = []
        self._hook_on = False
        self._toggles = {apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER: 1, apsw.SQLITE_DBCONFIG_ENABLE_FKEY: 0}
        self.sqlite.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0)
        self._inserts: dict[tuple[str, str], str] = {}
        self._descriptions: dict[str, Any] = {}
        self._dirty: set[str] = set()
        self._cursor = self.sqlite.cursor()
        self._unreadable: tuple[Table, ...] = ()

    # ── the schema ────────────────────────────────────────────────────────────────────────────────────────────────

    def use(self, catalog: Catalog) -> None:
        """Hold the tables of this catalog from now on. Only between transactions."""
        if catalog is self.catalog:
            return
        if catalog.digest != self.catalog.digest or catalog.tables != self.catalog.tables:
            for name, kind in list(self._made.items())[::-1]:
                if self._definition(catalog, name) != self._definition(self.catalog, name):
                    self.sqlite.execute(f"DROP {kind} IF EXISTS main.{quoted(name)}")
            self._made = self._present()
        self.catalog = catalog
        self._forget_statements()

    def is_made(self, table: Table) -> bool:
        """Whether the table is in the workspace."""
        return table.name.lower() in self._made

    def _definition(self, catalog: Catalog, name: str) -> Any:
        table = catalog.tables.get(name)
        return table.sql if table else catalog.objects.get(name)

    def adopt(self, catalog: Catalog) -> None:
        """The schema was changed, or changed back, by statements that ran here; this is the catalog of it now."""
        self.catalog = catalog
        self._made = self._present()
        if self.sqlite.in_transaction:
            self._dirty |= catalog.tables.keys()  # loaded rows may stand under a new name
        self._forget_statements()

    def _present(self) -> dict[str, str]:
        """Lower-case names of what is made, with the keyword of their kind."""
        found: list[Any] = self.sqlite.execute("SELECT name, upper(type) FROM main.sqlite_master").fetchall()
        return {name.lower(): kind for name, kind in found}

    def _forget_statements(self) -> None:
        self._inserts.clear()
        self._descriptions.clear()
        self._names_of.clear()
        self._unreadable = tuple(table for table in self.catalog.tables.values() if table.has_virtual)

    def ensure(self, mentioned: Iterable[str]) -> None:
        """Make what these lower-case names stand for, with everything that it needs, where it is not made yet."""
        wanted = [name for name in mentioned if name not in self._made and self._known(name)]
        if not wanted:
            return
        found: dict[str, None] = {}
        while wanted:
            name = wanted.pop()
            if name in found or name in self._made or not self._known(name):
                continue
            found[name] = None
            wanted.extend(self._needs(name))
        inside = self.sqlite.in_transaction
        for name in sorted(found, key=self._order):
            self._make(name)
            if inside:
                self._in_transaction.append(name)

    def ensure_for(self, mentioned: Iterable[str], everything: bool) -> None:
        """As `ensure`, or as `ensure_all`."""
        if everything:
            self.ensure_all()
        else:
            self.ensure(mentioned)

    def ensure_all(self) -> None:
        """Make the whole schema: for statements about it."""
        self.ensure([*self.catalog.tables, *self.catalog.objects])

    def _known(self, name: str) -> bool:
        return name in self.catalog.tables or name in self.catalog.objects

    def _order(self, name: str) -> tuple[int, int]:
        table = self.catalog.tables.get(name)
        return (0, table.id) if table else (1, self.catalog.objects[name].order)

    def _needs(self, name: str) -> Iterable[str]:
        """Names that must be there when `name` is used: parents and children, indexes, triggers, what views mention."""
        if name in self._names_of:
            return self._names_of[name]
        found: set[str] = set()
        table = self.catalog.tables.get(name)
        if table is not None:
            found |= {key.parent.lower() for key in table.foreign_keys}
            found |= {key.table.lower() for key in self.catalog.children.get(name, ())}
            found |= {own for own, item in self.catalog.objects.items() if item.table.lower() == name}
        else:
            item = self.catalog.objects[name]
            found |= names(item.sql or "") | {item.table.lower()}
        self._names_of[name] = frozenset(found - {name})
        return self._names_of[name]

    def _make(self, name: str) -> None:
        table = self.catalog.tables.get(name)
        if table is not None:
            sql, kind = table.sql, "TABLE"
        else:
            item = self.catalog.objects[name]
            sql, kind = item.sql or "", item.type.upper()
            if kind == "TRIGGER":
                sql = trigger_with_counter_ids(sql, self.catalog, counter_call)
        try:
            self.sqlite.execute(sql)
        except apsw.Error as error:
            raise InternalError(f"the catalog's definition of {name} is refused by SQLite: {error}") from error
        self._made[name] = kind

    # ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Open SQLite's transaction, if it is not open."""
        if not self.sqlite.in_transaction:
            self._cursor.execute("BEGIN")

    @property
    def open(self) -> bool:
        """Whether SQLite's transaction is open. An error with ON CONFLICT ROLLBACK closes it."""
        return self.sqlite.in_transaction

    def end(self, keep: bool) -> None:
        """End the transaction and take all rows out. `keep`: temporary tables and DDL stay as they are now."""
        self.changes.clear()
        self._deferred_rows.clear()
        inside = self.sqlite.in_transaction
        if not inside and not self._in_transaction:
            return  # nothing was put in
        made, self._in_transaction = self._in_transaction, []
        if inside:
            if keep:
                self._empty()
                self._cursor.execute("COMMIT")
                made = []
            else:
                self._cursor.execute("ROLLBACK")
        self._dirty.clear()
        for name in made:
            # Made again right away, outside of a transaction, so that the next one finds them.
            self._made.pop(name, None)
        self.ensure(made)

    def _empty(self) -> None:
        """Take out every row of the catalog's tables."""
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0)
        self._record(False)
        for name in self._dirty:
            if name in self._made:
                self._cursor.execute(f"DELETE FROM main.{quoted(name)}")

    def mark(self, name: str) -> tuple[int, int]:
        """Open a savepoint; what `back_to` wants beside its name."""
        if self._deferred_rows:
            self._flush_deferred()
        self._cursor.execute(f"SAVEPOINT {quoted(name)}")
        return len(self.changes), len(self._in_transaction)

    def back_to(self, name: str, mark: tuple[int, int]) -> None:
        """Undo what happened since the savepoint, which stays open."""
        self._cursor.execute(f"ROLLBACK TO {quoted(name)}")
        del self.changes[mark[0] :]
        for lost in self._in_transaction[mark[1] :]:
            self._made.pop(lost, None)
        del self._in_transaction[mark[1] :]

    def release(self, name: str) -> None:
        """Close a savepoint, keeping what happened since."""
        self._cursor.execute(f"RELEASE {quoted(name)}")

    def forget_transaction(self) -> None:
        """SQLite rolled everything back by itself."""
        self.changes.clear()
        self._deferred_rows.clear()
        lost, self._in_transaction = self._in_transaction, []
        for name in lost:
            self._made.pop(name, None)
        self._dirty.clear()

    @property
    def deferred_violations(self) -> bool:
        """Whether a deferred foreign key is violated at this moment."""
        return bool(self.sqlite.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0])

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, table: Table, rows: Iterable[Row]) -> None:
        """Put fetched rows in. A row is what the store holds of it; for tables without a key, its rowid comes first."""
        if any(column.generated for column in table.stored):
            kept = [at for at, column in enumerate(table.stored) if not column.generated]
            if not table.key:
                kept = [0, *(at + 1 for at in kept)]
            rows = [tuple(row[at] for at in kept) for row in rows]
        self._put(table, rows, "INSERT")

    def _put(self, table: Table, rows: Iterable[Row], verb: str) -> None:
        """Put rows in of which no statement is to know."""
        self.begin()
        self._dirty.add(table.name.lower())
        sql = self._inserts.get((table.name, verb))
        if sql is None:
            sql = self._inserts[table.name, verb] = _insert_sql(table, verb)
        self._record(False)
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0)
        if self._has_triggers(table):
            self._set(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        before = self.sqlite.total_changes()
        try:
            self._cursor.executemany(sql, rows)
        except apsw.Error as error:
            raise InternalError(f"a stored row of {table.name} does not fit its table: {error}") from error
        self._uncounted += self.sqlite.total_changes() - before

    def defer_row(self, table: Table, row: Row, rowid: int | None) -> None:
        """One row was changed that should be here, or inserted with this rowid; it is put in when somebody looks."""
        self._deferred_rows.append((table, row if table.key else (rowid, *row)))
        if rowid is not None:
            self.last_rowid = rowid
        self.last_changes = 1
        self._uncounted -= 1

    def _flush_deferred(self) -> None:
        """Put in what is owed."""
        owed, self._deferred_rows = self._deferred_rows, []
        for _, group in groupby(owed, lambda each: each[0].id):
            table, *_ = found = next(group)
            self.ensure((table.name.lower(),))
            self._put(table, [row for _, row in (found, *group)], "INSERT OR REPLACE")

    def unload(self, table: Table, keys: Iterable[Row]) -> None:
        """Take loaded rows out again, by the values of their key (or their rowid)."""
        if self._deferred_rows:
            self._flush_deferred()
        columns = table.key or (table.rowid_name or "rowid",)
        where = " AND ".join(f"{quoted(column)} IS ?" for column in columns)
        self._record(False)
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0)
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        self._cursor.executemany(f"DELETE FROM main.{quoted(table.name)} WHERE {where}", keys)

    def _has_triggers(self, table: Table) -> bool:
        return self.temporary or table.name.lower() in self.catalog.triggers

    def rows_of(self, table: Table) -> dict[Row, tuple[int, Row]]:
        """Every row of a table now: key (or rowid) → rowid (0 without one), row. For what the hook can't read."""
        key = ", ".join(map(quoted, table.key)) or table.rowid_name or ""
        columns = ", ".join(quoted(column.name) for column in table.stored)
        rowid = table.rowid_name or "0"
        cursor = self.sqlite.execute(f"SELECT {rowid}, {columns}, {key} FROM main.{quoted(table.name)}")
        width = len(table.stored)
        return {row[width + 1 :]: (row[0], row[1 : width + 1]) for row in cursor}

    def _compare(self, table: Table, before: dict[Row, tuple[int, Row]]) -> None:
        """Note the differences between what the rows of a table were and are."""
        after = self.rows_of(table) if self.sqlite.table_exists("main", table.name) else {}
        for key, (rowid, row) in before.items():
            if key not in after:
                self.changes.append(RowChange(table.name, row, None, rowid, rowid))
        for key, (rowid, row) in after.items():
            old = before.get(key)
            if old is None or old[1] != row:
                self.changes.append(RowChange(table.name, old[1] if old else None, row, rowid, rowid))

    # ── statements ────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, sql: str, parameters: Parameters, foreign_keys: bool = False, record: bool = False) -> Result:
        """Run one statement. `foreign_keys`: enforce them; `record`: note what it changes in `changes`.

        Raises PEP 249's errors with SQLite's texts.
        """
        if self._deferred_rows:
            self._flush_deferred()
        self._record(record)
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, int(foreign_keys))
        if self.sqlite.last_insert_rowid() != self.last_rowid:
            self.sqlite.set_last_insert_rowid(self.last_rowid)
        before = self._total_before = self.sqlite.total_changes()
        compared = [(table, self.rows_of(table)) for table in self._unreadable if self.is_made(table)] if record else []
        try:
            with translated():
                description = self._descriptions.get(sql)
                if description is None:
                    result = self._run_described(sql, parameters, before)
                else:
                    rows = self._cursor.execute(sql, parameters).fetchall()
                    result = Result(rows, description or None, *self._counts(before))
                for table, was in compared:
                    self._compare(table, was)
        except IntegrityError:
            self.last_changes = self.sqlite.changes()
            raise
        finally:
            self.last_rowid = self.sqlite.last_insert_rowid()
        return result

    def _counts(self, before: int) -> tuple[int, int | None]:
        if self._hook_on:
            self.last_changes = self.sqlite.changes() if self.sqlite.total_changes() != before else 0
            return self.last_changes, self.sqlite.last_insert_rowid()
        return -1, None

    @property
    def change_counters(self) -> tuple[int, int]:
        """What SQL is told of the last changes: last_insert_rowid() and changes()."""
        return self.last_rowid, self.last_changes

    @change_counters.setter
    def change_counters(self, counters: tuple[int, int]) -> None:
        self.last_rowid, self.last_changes = counters

    def _count_of_changes(self) -> int:
        """SQL's changes(): of the statement before, or of one within the statement that runs (of a trigger)."""
        return self.sqlite.changes() if self.sqlite.total_changes() != self._total_before else self.last_changes

    def _count_of_all_changes(self) -> int:
        """SQL's total_changes()."""
        return self.sqlite.total_changes() - self._uncounted

    def _run_described(self, sql: str, parameters: Parameters, before: int) -> Result:
        """As `run`, and find out the result's columns, which apsw tells only before the first row."""
        seen: list[Any] = []

        def trace(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
            seen.append(cursor.get_description())
            return True

        cursor = self.sqlite.cursor()
        cursor.exec_trace = trace
        # Not from apsw's cache: a statement prepared before a change of the schema still has the old names.
        rows = cursor.execute(sql, parameters, can_cache=False).fetchall()
        counts = self._counts(before)
        names_ = seen[0] if seen else ()
        description = tuple((name, None, None, None, None, None, None) for name, *_ in names_)
        if len(self._descriptions) > 1000:
            self._descriptions.clear()
        self._descriptions[sql] = description
        return Result(rows, description or None, *counts)

    def prepare(self, sql: str, parameters: Parameters, authorizer: Callable[..., int]) -> tuple[tuple[Any, ...], ...]:
        """Prepare a statement without running it, its every access shown to `authorizer`; PEP 249's description.

        Raises SQLite's errors.
        """
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
        self._set(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0)
        seen: list[Any] = []

        def stop(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
            seen.extend(cursor.get_description())
            return False

        cursor = self.sqlite.cursor()
        cursor.exec_trace = stop
        self.sqlite.authorizer = authorizer
        try:
            with translated(), suppress(apsw.ExecTraceAbort):
                cursor.execute(sql, parameters, can_cache=False)
        finally:
            self.sqlite.authorizer = None
        return tuple((name, None, None, None, None, None, None) for name, *_ in seen)

    def _set(self, option: int, value: int) -> None:
        # A change of these options makes SQLite prepare every statement again, so only when it is a change.
        if self._toggles[option] != value:
            self.sqlite.config(option, value)
            self._toggles[option] = value

    def _record(self, on: bool) -> None:
        if self._hook_on != on:
            self.sqlite.preupdate_hook(self._hook if on else None)
            self._hook_on = on

    def _hook(self, update: apsw.PreUpdate) -> None:
        if update.database_name != "main":
            return
        name = update.table_name
        table = self.catalog.tables.get(name.lower())
        self._dirty.add(name.lower())
        if table is not None and table.has_virtual:
            return  # compared before and after instead
        self.changes.append(RowChange(name, update.old, update.new, update.rowid, update.rowid_new))

    def is_temporary(self, name: str) -> bool:
        """Whether this is the name of something in the temporary schema."""
        if not self.temporary:
            return False
        found = self.sqlite.execute("SELECT 1 FROM temp.sqlite_master WHERE lower(name) = ?", (name.lower(),))
        return found.fetchone() is not None

    def close(self) -> None:
        """Let SQLite go."""
        self.sqlite.close()


def counter_call(table: Table) -> str:
    """The SQL that takes the next number of a table's counter."""
    return f"rome_next({table.id})"


def _insert_sql(table: Table, verb: str) -> str:
    columns = [column.name for column in table.stored if not column.generated]
    if not table.key:
        columns.insert(0, table.rowid_name or "rowid")
    listed = ", ".join(map(quoted, columns))
    return f"{verb} INTO main.{quoted(table.name)} ({listed}) VALUES ({', '.join('?' * len(columns))})"


def together(results: Sequence[Result]) -> Result:
    """The results of several executions of one statement as one."""
    if len(results) == 1:
        return results[0]
    counts = [result.rowcount for result in results]
    return Result(
        [row for result in results for row in result.rows],
        results[-1].description,
        -1 if -1 in counts else sum(counts),
        results[-1].lastrowid,
    )
