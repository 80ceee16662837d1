"""The workspace: an in-memory SQLite per connection that evaluates statements over the rows fetched for them.

It is the evaluator of record: the original SQL text runs here, so types, constraints, triggers, upserts and cascades
are SQLite's own.

What it holds
    Tables of the catalog (`WorkspaceSchema`), kept from one transaction to the next. Their rows are there only during
    a transaction. Temporary tables and their rows live here and nowhere else, as long as the connection.

Loaded rows and changes
    `load` inserts fetched rows while triggers and foreign keys are off and changes are not recorded. The changes of
    statements are recorded (`rome.sqlite.change_recorder`).

Deferred rows
    Some changes of single rows need no SQLite (`rome.session.point_dml`). Their rows are deferred (`defer_row`), and
    inserted before a statement runs, a savepoint opens or loaded rows are deleted. The functions last_insert_rowid(),
    changes() and total_changes() of SQL count these changes, and do not count loaded rows.

Unfinished statements
    Every statement is run to its end: while one goes on, SQLite drops no table and releases no savepoint. An unfinished
    cursor may live on in the traceback of an exception. Only `_cursor` ends what it has begun when it is used next.

Savepoints
    `open_savepoint` and `rollback_to` go along with SAVEPOINT and ROLLBACK TO: what was created, loaded or recorded
    since the savepoint is undone with it. `rome.transaction.undo.UndoLog` does the same for the transaction's own
    state.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from functools import partial
from itertools import chain, groupby
from typing import Any, NamedTuple

import apsw

import rome.sqlite.forking  # noqa: F401 - forks wait for threads that are inside of SQLite
from rome.catalog.model import Catalog, Table
from rome.errors import IntegrityError, InternalError
from rome.fast_tuples import tuple_maker
from rome.folding import fold_name
from rome.sql.rewrite.counter_ids import COUNTER_FUNCTION
from rome.sql.syntax.tokens import quoted
from rome.sqlite.change_recorder import ChangeRecorder
from rome.sqlite.errors import SQLITE_ERRORS, translate
from rome.sqlite.repeated_calls import RepeatedCalls, add_random_functions
from rome.sqlite.workspace_schema import WorkspaceSchema
from rome.values import SqlValue

Parameters = Sequence[SqlValue] | Mapping[str, SqlValue]
Row = tuple[SqlValue, ...]
Counters = tuple[int, int, int]
"""last_insert_rowid(), changes() and total_changes() of SQL."""


class Result(NamedTuple):
    """The result of a statement.

    `description` is PEP 249's, None if the statement returns no rows; `rowcount` is -1 if it is unknown.
    """

    rows: list[Row]
    description: tuple[tuple[Any, ...], ...] | None
    rowcount: int
    lastrowid: int | None = None


make_result = tuple_maker(Result)

_TRIGGERS, _FOREIGN_KEYS = apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, apsw.SQLITE_DBCONFIG_ENABLE_FKEY
_MOST_DESCRIPTIONS = 1000
_COUNTED = "rome_counted"
_ROWS_PER_INSERT = 16
"""Times SQLite's greatest number of columns, 2000, this is less than its greatest number of parameters."""


class Workspace:
    """One in-memory SQLite with the tables of a catalog."""

    def __init__(self, next_id: Callable[[int], int], longest_value: int) -> None:
        """`next_id` returns the next number of the sequence of a table, by the table's id.

        `longest_value`: the most bytes of a text, a blob or a row; a statement with more is refused at once.
        """
        self.sqlite = apsw.Connection(":memory:")
        self.sqlite.limit(apsw.SQLITE_LIMIT_LENGTH, longest_value)
        # Otherwise SQLite plans many statements again for each execution, to see the values: here are no statistics.
        self.sqlite.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        self.schema = WorkspaceSchema(self.sqlite)
        # What SQLite calls must not keep the workspace: the garbage collector does not see what apsw refers to.
        this = weakref.proxy(self)
        functions: dict[str, tuple[Any, int]] = {
            COUNTER_FUNCTION: (next_id, 1),
            "changes": (partial(Workspace._sql_changes, this), 0),
            "total_changes": (partial(Workspace._sql_total_changes, this), 0),
        }
        for name, (function, arguments) in functions.items():
            self.sqlite.create_scalar_function(name, function, arguments)
        self.repeated_calls = RepeatedCalls()
        add_random_functions(self.sqlite, self.repeated_calls)
        self.temporary = False
        """True if temporary tables, views or triggers may exist."""
        self.redefined: Set[str] = frozenset()
        """The functions of the application that have names which planner and evaluators know, in lower case."""
        self.last_rowid = 0
        """SQL's last_insert_rowid()."""
        self.last_changes = 0
        """SQL's changes(): the number of rows that the last statement changed."""
        self.changes_not_counted = 0
        """The changes in SQLite's count that SQL's total_changes() leaves out, less the deferred ones."""
        self._total_before_statement = 0
        self._deferred_rows: list[tuple[Table, Row]] = []
        self.recorder = ChangeRecorder(self.sqlite, self.schema)
        self._options = {_TRIGGERS: 1, _FOREIGN_KEYS: 0}
        self.sqlite.config(_FOREIGN_KEYS, 0)
        self._insert_statements: dict[tuple[str, str, int], str] = {}
        self._descriptions: dict[str, Any] = {}
        """The text of a statement → PEP 249's description of its result."""
        self._cursor = self.sqlite.cursor()

    # ── the schema ────────────────────────────────────────────────────────────────────────────────────────────────

    def use(self, catalog: Catalog) -> None:
        """Have the tables of this catalog from now on. Only between transactions."""
        if catalog is not self.schema.catalog:
            self._set_option(_FOREIGN_KEYS, 0)  # DROP TABLE would delete its rows first, and judge that
            self.schema.use(catalog)
            self._forget_statements()

    def adopt(self, catalog: Catalog) -> None:
        """Take over the catalog that results from DDL statements that ran here, or from their ROLLBACK."""
        self.schema.adopt(catalog)
        if self.sqlite.in_transaction:
            self.recorder.tables_with_rows.update(catalog.tables)  # a renamed table has the rows of the old name
        self._forget_statements()

    def _forget_statements(self) -> None:
        self._insert_statements.clear()
        self._descriptions.clear()
        self.recorder.use_catalog()

    def is_temporary(self, name: str) -> bool:
        """Return True if something in the temporary schema has this name."""
        if not self.temporary:
            return False
        sql = "SELECT 1 FROM temp.sqlite_master WHERE lower(name) = ?"
        return bool(self.sqlite.execute(sql, (fold_name(name),)).fetchall())

    # ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Begin SQLite's transaction, if none is open."""
        if not self.sqlite.in_transaction:
            self._cursor.execute("BEGIN")

    def end(self, keep: bool, base: Catalog | None = None) -> None:
        """End the transaction and delete all rows. `keep`: temporary tables and DDL stay as they are now.

        `base`: the catalog that the transaction began with, where its DDL is rolled back. SQLite may have rolled the
        transaction back by itself already (ON CONFLICT ROLLBACK).
        """
        self.recorder.changes.clear()
        self._deferred_rows.clear()
        if self.sqlite.in_transaction:
            if keep:
                self._delete_all_rows()
                self._cursor.execute("COMMIT")
                self.schema.created_in_transaction.clear()
            else:
                self._cursor.execute("ROLLBACK")
        elif not self.schema.created_in_transaction and base is None:
            return  # the transaction did not use the workspace
        self.recorder.tables_with_rows.clear()
        lost = self.schema.forget_created()
        if base is not None:
            self.adopt(base)
        # Create them again at once, outside of a transaction, so that the next transaction finds them.
        self.schema.ensure(lost)

    def _delete_all_rows(self) -> None:
        """Delete every row of the catalog's tables."""
        self._set_option(_TRIGGERS, 0)
        self._set_option(_FOREIGN_KEYS, 0)
        self.recorder.record(False)
        before = self.sqlite.total_changes()
        for name in self.recorder.tables_with_rows:
            if name in self.schema.created:
                self._cursor.execute(f"DELETE FROM main.{quoted(name)}")
        self.changes_not_counted += self.sqlite.total_changes() - before

    def open_savepoint(self, name: str) -> tuple[int, int]:
        """Open a savepoint; return what `rollback_to` needs besides its name."""
        if self._deferred_rows:
            self._flush_deferred()
        self._cursor.execute(f"SAVEPOINT {quoted(name)}")
        return len(self.recorder.changes), len(self.schema.created_in_transaction)

    def rollback_to(self, name: str, mark: tuple[int, int]) -> None:
        """Undo everything since the savepoint, which stays open."""
        self._cursor.execute(f"ROLLBACK TO {quoted(name)}")
        del self.recorder.changes[mark[0] :]
        self.schema.forget_created(mark[1])

    def release(self, name: str) -> None:
        """Close a savepoint and keep everything since."""
        self._cursor.execute(f"RELEASE {quoted(name)}")

    @property
    def deferred_violations(self) -> bool:
        """True if a deferred foreign key is violated now."""
        return bool(self.sqlite.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0])

    @property
    def may_not_commit(self) -> bool:
        """True if SQLite would refuse to COMMIT now, because its count of deferred violations is not zero.

        The count may be too low where a row that refers to its own table is replaced. Below zero, it is still not
        positive, and so not reported, with one violation more.
        """
        if self.deferred_violations or not self.schema.catalog.has_deferred_self_references:
            return self.deferred_violations
        before = self.sqlite.total_changes()
        self.recorder.record(False)
        self._set_option(_FOREIGN_KEYS, 1)
        self._cursor.execute(f"SAVEPOINT {_COUNTED}")
        references = f"REFERENCES {_COUNTED} DEFERRABLE INITIALLY DEFERRED"
        self._cursor.execute(f"CREATE TEMP TABLE {_COUNTED} (id INTEGER PRIMARY KEY, parent {references})")
        self._cursor.execute(f"INSERT INTO temp.{_COUNTED} VALUES (1, 2)")
        is_positive = self.deferred_violations
        self._cursor.execute(f"ROLLBACK TO {_COUNTED}")
        self._cursor.execute(f"RELEASE {_COUNTED}")
        self.changes_not_counted += self.sqlite.total_changes() - before
        return not is_positive

    def close(self) -> None:
        """Close SQLite."""
        self.sqlite.close()

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, table: Table, rows: Iterable[Row]) -> None:
        """Insert fetched rows, as the store has them; in tables without a key, the rowid comes first."""
        if any(column.generated for column in table.stored):
            kept = [at for at, column in enumerate(table.stored) if not column.generated]
            if not table.key:
                kept = [0, *(at + 1 for at in kept)]
            rows = [tuple([row[at] for at in kept]) for row in rows]
        self._insert_rows(table, rows, "INSERT")

    def unload(self, table: Table, keys: Iterable[Row]) -> None:
        """Delete loaded rows, by the values of their key (or their rowid)."""
        if self._deferred_rows:
            self._flush_deferred()
        columns = table.key or (table.rowid_name or "rowid",)
        where = " AND ".join([f"{quoted(column)} IS ?" for column in columns])
        self.recorder.record(False)
        self._set_option(_FOREIGN_KEYS, 0)
        self._set_option(_TRIGGERS, 0)
        before = self.sqlite.total_changes()
        self._cursor.executemany(f"DELETE FROM main.{quoted(table.name)} WHERE {where}", keys)
        self.changes_not_counted += self.sqlite.total_changes() - before

    def defer_row(self, table: Table, row: Row, rowid: int | None) -> None:
        """Keep a row that was changed, or inserted with this rowid, without SQLite, until it is needed here.

        `count_changes` counts it.
        """
        self._deferred_rows.append((table, row if table.key else (rowid, *row)))

    def count_changes(self, total: int, last: int, last_rowid: int | None) -> None:
        """Let SQL's functions count changes that were made without SQLite.

        `total`: how many in all; `last`: by the last statement; `last_rowid`: of the last new row, if there is one.
        """
        if last_rowid is not None:
            self.last_rowid = last_rowid
        self.last_changes = last
        self.changes_not_counted -= total

    def counters(self) -> Counters:
        """Return what SQL's functions say of the changes until now."""
        return self.last_rowid, self.last_changes, self.sqlite.total_changes() - self.changes_not_counted

    def take_back(self, counters: Counters) -> None:
        """Let SQL's functions say what they said before, after changes that were undone."""
        self.last_rowid, self.last_changes, total = counters
        self.changes_not_counted = self.sqlite.total_changes() - total

    def _flush_deferred(self) -> None:
        """Insert the deferred rows."""
        deferred, self._deferred_rows = self._deferred_rows, []
        for _, group in groupby(deferred, lambda each: each[0].id):
            table, *_ = first = next(group)
            self.schema.ensure((fold_name(table.name),))
            self._insert_rows(table, [row for _, row in (first, *group)], "INSERT OR REPLACE")

    def _insert_rows(self, table: Table, rows: Iterable[Row], verb: str) -> None:
        """Insert rows that do not count as changes of a statement."""
        self.begin()
        self.recorder.tables_with_rows.add(fold_name(table.name))
        self.recorder.record(False)
        self._set_option(_FOREIGN_KEYS, 0)
        if self.temporary or fold_name(table.name) in self.schema.catalog.triggers:
            self._set_option(_TRIGGERS, 0)
        before = self.sqlite.total_changes()
        try:
            for count, parameters in _grouped(list(rows)):
                self._cursor.executemany(self._insert_statement(table, verb, count), parameters)
        except apsw.InterruptError as error:
            raise translate(error) from error
        except apsw.Error as error:
            raise InternalError(f"a stored row of {table.name} does not fit its table: {error}") from error
        self.changes_not_counted += self.sqlite.total_changes() - before

    def _insert_statement(self, table: Table, verb: str, count: int) -> str:
        """Return the statement that inserts so many rows."""
        key = table.name, verb, count
        sql = self._insert_statements.get(key)
        if sql is None:
            columns = [column.name for column in table.stored if not column.generated]
            if not table.key:
                columns.insert(0, table.rowid_name or "rowid")
            row = f"({', '.join('?' * len(columns))})"
            listed = ", ".join(map(quoted, columns))
            sql = f"{verb} INTO main.{quoted(table.name)} ({listed}) VALUES {', '.join([row] * count)}"
            self._insert_statements[key] = sql
        return sql

    # ── statements ────────────────────────────────────────────────────────────────────────────────────────────────

    def run(
        self,
        sql: str,
        parameters: Parameters,
        foreign_keys: bool = False,
        record: bool = False,
    ) -> Result:
        """Run one statement. `foreign_keys`: enforce them; `record`: record its changes in `changes`.

        Raise PEP 249's errors with SQLite's texts.
        """
        if self._deferred_rows:
            self._flush_deferred()
        self.recorder.record(record)
        self._set_option(_TRIGGERS, 1)
        self._set_option(_FOREIGN_KEYS, int(foreign_keys))
        if self.sqlite.last_insert_rowid() != self.last_rowid:
            self.sqlite.set_last_insert_rowid(self.last_rowid)
        before = self._total_before_statement = self.sqlite.total_changes()
        recorder = self.recorder
        compared = recorder.rows_to_compare() if record and recorder.compared_tables else []
        has_failed = True
        try:
            description = self._descriptions.get(sql)
            if description is None:
                result = self._run_first_time(sql, parameters, before)
            else:
                rows = self._cursor.execute(sql, parameters).fetchall()
                result = Result(rows, description or None, *self._counts(before))
            has_failed = False
        except IntegrityError:  # of ROME's own, raised by a function
            self.last_changes = self.sqlite.changes()
            raise
        except SQLITE_ERRORS as error:
            translated = translate(error)
            if isinstance(translated, IntegrityError):
                self.last_changes = self.sqlite.changes()
            raise translated from error
        finally:
            self.last_rowid = self.sqlite.last_insert_rowid()
            if compared and self.sqlite.in_transaction:  # a failed statement, too: OR FAIL keeps what it has done
                recorder.record_differences(compared, has_failed)
        return result

    def _counts(self, before: int) -> tuple[int, int | None]:
        """Return the rowcount and the lastrowid of a statement that has run."""
        if self.recorder.is_recording:
            self.last_changes = self.sqlite.changes() if self.sqlite.total_changes() != before else 0
            return self.last_changes, self.sqlite.last_insert_rowid()
        return -1, None

    def _run_first_time(self, sql: str, parameters: Parameters, before: int) -> Result:
        """Run a statement, and keep the description of its result, which apsw has only before the first row."""
        seen: list[Any] = []

        def trace(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
            seen.append(cursor.get_description())
            return True

        cursor = self.sqlite.cursor()
        cursor.exec_trace = trace
        # Not from apsw's cache: a statement that was prepared before a change of the schema has the old names.
        try:
            rows = cursor.execute(sql, parameters, can_cache=False).fetchall()
        except UnicodeDecodeError:
            cursor.close(True)  # the rest of its rows
            raise
        counts = self._counts(before)
        description = _description(seen[0] if seen else ())
        if len(self._descriptions) > _MOST_DESCRIPTIONS:
            self._descriptions.clear()
        self._descriptions[sql] = description
        return Result(rows, description or None, *counts)

    def prepare(
        self, sql: str, parameters: Parameters, authorizer: Callable[..., int], *, foreign_keys: bool = False
    ) -> tuple[tuple[Any, ...], ...]:
        """Prepare a statement without running it; return PEP 249's description of its result.

        SQLite calls `authorizer` for each table and column that the statement accesses. Raise SQLite's errors.
        """
        self._set_option(_TRIGGERS, 1)
        self._set_option(_FOREIGN_KEYS, int(foreign_keys))
        seen: list[Any] = []

        def stop(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
            seen.extend(cursor.get_description())
            return False

        cursor = self.sqlite.cursor()
        cursor.exec_trace = stop
        self.sqlite.authorizer = authorizer
        try:
            with suppress(apsw.ExecTraceAbort):
                cursor.execute(sql, parameters, can_cache=False)
        except SQLITE_ERRORS as error:
            raise translate(error) from error
        finally:
            self.sqlite.authorizer = None
        return _description(seen)

    def _set_option(self, option: int, value: int) -> None:
        """Set an option of SQLite, if it has another value: each change makes SQLite prepare all statements again."""
        if self._options[option] != value:
            self.sqlite.config(option, value)
            self._options[option] = value

    def _sql_changes(self) -> int:
        """Return SQL's changes(): of the statement before, or of one within the running statement (in a trigger)."""
        is_inside = self.sqlite.total_changes() != self._total_before_statement
        return self.sqlite.changes() if is_inside else self.last_changes

    def _sql_total_changes(self) -> int:
        """Return SQL's total_changes()."""
        return self.sqlite.total_changes() - self.changes_not_counted


def merge_results(results: Sequence[Result]) -> Result:
    """Return the results of several executions of one statement as one result."""
    if len(results) == 1:
        return results[0]
    counts = [result.rowcount for result in results]
    return Result(
        [row for result in results for row in result.rows],
        results[-1].description,
        -1 if -1 in counts else sum(counts),
        results[-1].lastrowid,
    )


def _description(columns: Iterable[Any]) -> tuple[tuple[Any, ...], ...]:
    """Return PEP 249's description of result columns, given as pairs of name and declared type."""
    return tuple([(name, None, None, None, None, None, None) for name, *_ in columns])


def _grouped(rows: list[Row]) -> list[tuple[int, list[Row]]]:
    """Return how many rows each INSERT has, and the parameters of all that have as many.

    An INSERT of each row alone takes almost twice as long.
    """
    if len(rows) < 4 * _ROWS_PER_INSERT:
        return [(1, rows)]
    rest = len(rows) - len(rows) % _ROWS_PER_INSERT
    groups = [tuple(chain.from_iterable(rows[at : at + _ROWS_PER_INSERT])) for at in range(0, rest, _ROWS_PER_INSERT)]
    return [(_ROWS_PER_INSERT, groups), (1, rows[rest:])]
