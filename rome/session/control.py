"""Transaction control: one connection's transaction, from its first statement to COMMIT, ROLLBACK or a replay.

A connection has at most one open transaction. It begins with the first statement that needs one (or with BEGIN) and
ends with COMMIT or ROLLBACK; under AUTOCOMMIT each statement outside of an explicit transaction ends its own. There,
SAVEPOINT begins a transaction, too, and the RELEASE of this savepoint commits it, as in SQLite.

    statement                             run by
    SELECT, INSERT, UPDATE, DELETE        `rome.session.run`
    CREATE, DROP, ALTER                   `rome.session.ddl`
    SELECT … FOR UPDATE                   `rome.session.for_update`
    EXPLAIN PLAN FOR, EXPLAIN ANALYZE     `rome.session.explain`
    BEGIN, COMMIT, ROLLBACK, SAVEPOINT    here: `_CONTROL`
    CREATE DATABASE, DROP DATABASE        `rome.session.databases`
    PRAGMA                                `rome.session.pragmas`, or `rome.session.run`
    VACUUM, ANALYZE                       here: `_maintain`

Replay
    A transaction whose commit meets a conflict is replayed where the application cannot notice. Its statements are
    recorded with their results. After a conflict they run again, in a new transaction at a newer version. If every
    result is identical, then the application would have done the same had it begun later, and the new transaction
    commits in place of the refused one. If one result differs, the application gets the Conflict.

    So `UPDATE t SET n = n + 1` hardly ever surfaces a conflict. A value that was read, changed in Python and written
    back always does, unless the value is the same again. Nothing is applied blindly: each statement runs as if for the
    first time, with its constraint reads, and commit checks everything anew.

    So are schema changes: two transactions that each create a table of their own both commit.

    Under READ COMMITTED only what the transaction changes must be the same: the row count and RETURNING of each change,
    and the result of a SELECT from a table that the transaction had changed before (an application that reads its own
    change relies on it). Other SELECTs are not repeated. So `SET n = 5` overwrites what another transaction has
    committed since, as on PostgreSQL. Statements that failed are left out, and row locks stay.

    Under AUTOCOMMIT the application has not got the result yet, so the result of the replay takes its place.

    Not replayed at other levels: failed statements and locks (their order matters to the application); at any level:
    fences, changes of the temporary schema, non-deterministic functions of the application, and transactions with very
    many rows.

A conflict inside a savepoint
    A Conflict rolls back the whole transaction. If savepoints were open, the application may still try to roll back to
    one and go on, which must not silently become a new transaction: each further statement raises the same Conflict
    (`doomed_by`) until the application rolls back or commits.

Interrupted statements
    A signal handler may raise an exception at any point of a statement (KeyboardInterrupt, a timeout), and leave the
    transaction and the workspace in any state. No handler of ours can mend that reliably: it may be interrupted, too.
    So whatever runs says so first (`runner`) and takes that back as its last step, or when it raises one of ROME's
    errors. If the next call finds it set, the former one was interrupted: the transaction and the workspace are thrown
    away, and each further statement raises OperationalError until the application rolls back or commits.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from rome import events, forks, waits
from rome.cache.bound import DEFAULT, NEWEST, ReadBound
from rome.database.database import Database
from rome.errors import (
    Conflict,
    Error,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from rome.fast_tuples import tuple_maker
from rome.locks.manager import Lock
from rome.session.databases import run_database_statement
from rome.session.ddl import change_schema
from rome.session.dml import RolledBackBySQLite
from rome.session.explain import explain, log_slow, parse_explain
from rome.session.for_update import lock_and_read
from rome.session.pragmas import NOTHING, ConnectionSettings, is_write, user_version
from rome.session.run import plan_of, run, with_current_catalog
from rome.sql.syntax.statement import LockWaitPolicy, Statement, StatementKind, classify
from rome.sql.syntax.tokens import names
from rome.sqlite.errors import SQLITE_ERRORS
from rome.sqlite.user_functions import UserFunctions
from rome.sqlite.workspace import Parameters, Result, Workspace
from rome.transaction.index_entries import IndexEntries
from rome.transaction.transaction import Isolation, Transaction
from rome.transaction.writes.sequences import SequenceExhausted
from rome.values import is_identical

_MAINTENANCE = frozenset({"vacuum", "analyze"})
"""Statements about SQLite's file and statistics. They do nothing here."""

_REPLAYS = 10
"""The attempts to replay a transaction before its conflict surfaces."""
_REPLAYS_OF_WRITES = 1000
"""The same where only what writes is replayed, and a conflict of writes must not surface: a statement would wait."""
_MAX_REPLAY_ROWS = 10_000
"""Rows of results and of parameters; a longer transaction is not replayed."""
_STATEMENT_ROWS = 10
"""The rows that each statement counts as, because it must run again."""

_statement_ended = tuple_maker(events.StatementEnded)

ReplayStep = tuple[Statement, str, Sequence[Parameters], Result]
"""A statement, its text, its sets of parameters, and the result that the application got."""


class ReplayLog(list[ReplayStep]):
    """The statements of one transaction with their results."""

    is_disabled = False
    """True if the transaction cannot be replayed."""
    omits_reads = False
    """True under READ COMMITTED: what is read before the first change is not recorded."""
    _rows = 0

    def note(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters], result: Result) -> None:
        """Record a statement that was run."""
        if self.is_disabled:
            return
        if self.omits_reads and statement.kind is StatementKind.SELECT:
            if not self:
                return
            locking = statement.locking
            if locking is not None and locking.wait is not LockWaitPolicy.SKIP:
                # The locks stay, so the rows are read without locking them again.
                statement, sql = replace(statement, locking=None), sql[: locking.at]
        self.append((statement, sql, parameter_sets, result))
        self._rows += len(result.rows) + len(parameter_sets) + _STATEMENT_ROWS
        if self._rows > _MAX_REPLAY_ROWS or not (statement.is_about_rows or _is_replayable(statement)):
            self.disable()

    def disable(self) -> None:
        """Note that something happened which cannot be repeated."""
        self.is_disabled = True
        self.clear()


def _is_replayable(statement: Statement) -> bool:
    is_temporary = statement.change is not None and statement.change.temporary
    return statement.kind is not StatementKind.EXPLAIN and statement.locking is None and not is_temporary


def _are_indistinguishable(one: Result, other: Result) -> bool:
    """Return True if two results are the same to the application: 1 and 1.0 are not."""
    return one[1:] == other[1:] and len(one.rows) == len(other.rows) and all(map(is_identical, one.rows, other.rows))


class TransactionControl:
    """The workspace of a connection, and the transaction that is open on it."""

    is_closed = False
    runner: Any = None
    """The thread, or the greenlet of a task, that runs a statement, a commit or a rollback now (`waits.current`).

    Or that ran one until it was interrupted.
    """
    _is_autocommitted = False
    """True if the statement that runs, or ran last, is a transaction of its own."""
    _repeated: Result | None = None
    """The result of the last statement of a replay, which takes the place of the first one under AUTOCOMMIT."""
    is_begun_by_savepoint = False
    """True if SAVEPOINT has begun the transaction under AUTOCOMMIT: then the RELEASE of that savepoint commits it."""

    def __init__(
        self,
        database: Database,
        isolation: Isolation,
        foreign_keys: bool,
        lock_timeout: float,
        slow_ms: float | None,
    ) -> None:
        """`lock_timeout`: seconds to wait for row locks; `slow_ms`: log statements that take longer."""
        self.database = database
        self.server = database.url
        """The URL of the store that CREATE DATABASE and DROP DATABASE are about."""
        self.isolation = isolation
        self.settings = ConnectionSettings(foreign_keys, lock_timeout)
        self.functions = UserFunctions()
        self.workspace = self._new_workspace()
        self.is_deterministic = True
        """False if the application has added a function that may answer differently when it is called again."""
        self.transaction: Transaction | None = None
        self._read_bound = DEFAULT
        self._slow_ms = slow_ms
        self._index_entries = IndexEntries()
        self._doomed_by: OperationalError | None = None
        self._replay_log = ReplayLog()

    # ── statements ────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, sql: str, parameter_sets: Sequence[Parameters]) -> Result:
        """Run one statement, once for each set of parameters. Return its results together. Raise PEP 249's errors.

        The caller resets `runner` when it has taken the results.
        """
        if self.is_closed:
            raise closed_error()
        if self.runner is not None:
            self._recover()
        if forks.fork_is_under_way:
            forks.wait_for_fork()
        self.runner = waits.current()
        try:
            statement = classify(sql)
            if self.settings.query_only and is_write(statement, sql):
                raise OperationalError(self.settings.read_only_because)
            if not statement.is_about_rows:
                result = self._run_control(statement, sql, parameter_sets)
                if result is not None:
                    return result
            if self._slow_ms is None and not events.observers:
                return self._run_in_transaction(statement, sql, parameter_sets)
            return self._run_observed(statement, sql, parameter_sets)
        except Error:
            self.runner = None
            raise

    def _run_control(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result | None:
        """Run a statement that is about the connection or its transaction. Return None for any other."""
        if statement.tail:
            raise ProgrammingError("You can only execute one statement at a time.")
        control = _CONTROL.get(statement.kind)
        if control is not None:
            result = control(self, statement)
            if statement.kind in _SAVEPOINTS:
                self._replay_log.note(statement, sql, parameter_sets, result)
            return result
        if statement.kind is StatementKind.PRAGMA:
            return self.settings.run(statement, self.transaction is not None)
        if statement.kind is StatementKind.ATTACH:
            raise NotSupportedError(
                "ATTACH is not supported: a connection is to one ROME database; open another connection for another one"
            )
        return None

    def _run_observed(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result:
        """Run a statement, log it if it is slow, and report it to the observers."""
        counts = self.database.store.stats.of_caller()
        rounds, began = counts[0], time.perf_counter()
        rows = 0
        failure: type[BaseException] | None = None
        try:
            result = self._run_in_transaction(statement, sql, parameter_sets)
            rows = len(result.rows) or max(0, result.rowcount)
            return result
        except BaseException as error:
            failure = type(error)
            raise
        finally:
            took = time.perf_counter() - began
            if events.observers:
                rounds = counts[0] - rounds
                event = _statement_ended((self.database.url, statement.verb, sql, took, rounds, rows, failure))
                for observer in events.observers:
                    observer(event)
            if self._slow_ms is not None and took * 1000 > self._slow_ms:
                log_slow(self.transaction, statement, sql, parameter_sets[0], took * 1000)

    def _run_in_transaction(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result:
        transaction = self.transaction
        is_autocommitted = self._is_autocommitted = transaction is None and self.isolation is Isolation.AUTOCOMMIT
        if transaction is None:
            transaction = self.begin()
        try:
            if statement.is_about_rows:
                result = run(transaction, statement, sql, parameter_sets)
            else:
                result = self._run_other(transaction, statement, sql, parameter_sets)
            self._replay_log.note(statement, sql, parameter_sets, result)
        except RolledBackBySQLite as rolled_back:
            self._rollback()
            raise rolled_back.error from rolled_back.error.__cause__
        except BaseException as error:
            is_left_out = self._replay_log.omits_reads and isinstance(error, Error) and not statement.may_fail_partly
            if not is_left_out or isinstance(error, Conflict):
                self._replay_log.disable()
            if is_autocommitted or isinstance(error, Conflict):
                if is_autocommitted and isinstance(error, IntegrityError) and transaction.write_set:
                    self._autocommit()  # OR FAIL: what the statement did before the error persists
                    raise
                is_within_savepoint = bool(transaction.savepoints)
                self._rollback()
                if is_within_savepoint and isinstance(error, Conflict):
                    self._doomed_by = error
            raise
        if is_autocommitted:
            self._autocommit()
            return self._repeated or result
        return result

    def _autocommit(self) -> None:
        """Commit the transaction of a single statement. Roll it back if a deferred foreign key is violated."""
        self._repeated = None
        try:
            self._commit()
        except IntegrityError:
            self._rollback()
            raise

    def _run_other(
        self, transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]
    ) -> Result:
        """Run a statement that is not a plain SELECT or DML statement."""
        transaction.settle()
        if statement.kind is StatementKind.DDL:
            return change_schema(transaction, statement, sql, parameter_sets[0])
        if statement.kind is StatementKind.EXPLAIN:
            about = parse_explain(sql)
            if about is not None:
                return explain(transaction, *about, parameter_sets[0])
        if statement.locking is not None:
            return lock_and_read(transaction, statement, sql, parameter_sets)
        if statement.kind is StatementKind.PRAGMA and statement.name == "user_version":
            if statement.argument is not None:
                self._replay_log.disable()
            return user_version(transaction, statement)
        if statement.kind is StatementKind.OTHER and statement.verb in _MAINTENANCE:
            return _maintain(transaction, statement, sql, parameter_sets[0])
        return run(transaction, statement, sql, parameter_sets)

    def _id_taker(self) -> Callable[[int], int]:
        """Return the function that SQLite calls for ids. It does not keep this object, which keeps SQLite."""
        control = weakref.ref(self)

        def take_id(table_id: int) -> int:
            """Return the next reserved id of a table. Raise SequenceExhausted."""
            transaction = getattr(control(), "transaction", None)
            if transaction is None:
                raise SequenceExhausted(table_id)
            rowid: int = transaction.take_reserved_id(table_id)
            return rowid

        return take_id

    # ── beginning and ending ──────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> Transaction:
        """Return the open transaction, or begin one. Raise the Conflict that has doomed the last one."""
        if self.transaction is None:
            if self._doomed_by is not None:
                raise self._doomed_by
            self.transaction = self._new_transaction()
            self.transaction.read_bound = self._read_bound
            self._replay_log = ReplayLog()
            if self.isolation is Isolation.READ_COMMITTED:
                self._replay_log.omits_reads = True
            self.is_begun_by_savepoint = False
        return self.transaction

    @property
    def read_bound(self) -> ReadBound:
        """How fresh the next read version is to be, if the database has a cache."""
        return self._read_bound

    @read_bound.setter
    def read_bound(self, wanted: ReadBound) -> None:
        self._read_bound = wanted
        if self.transaction is not None:
            self.transaction.read_bound = wanted

    def _new_transaction(self) -> Transaction:
        settings = self.settings
        return Transaction(
            self.database,
            self.workspace,
            self._index_entries,
            self.isolation,
            settings.foreign_keys,
            settings.lock_timeout,
        )

    def commit(self) -> None:
        """Write what the transaction changed. Raise Conflict, with nothing written, if a replay does not help."""
        if self.is_closed:
            raise closed_error()
        if self.runner is not None:
            self._recover()
        self.runner = waits.current()
        try:
            self._commit()
        except Error:
            self.runner = None
            raise
        self.runner = None

    def _commit(self) -> None:
        transaction = self.transaction
        if transaction is None:
            doomed_by, self._doomed_by = self._doomed_by, None
            if doomed_by is not None:
                raise doomed_by
            return
        try:
            transaction.commit()
        except IntegrityError:
            raise  # of a deferred foreign key: the transaction is still open
        except Conflict:
            try:
                if not (self._may_replay(transaction) and self._replay_reported(transaction)):
                    raise
            finally:
                self._finish()
            return
        except BaseException:
            self._finish()
            raise
        self._finish()

    def rollback(self) -> None:
        """Discard what the transaction changed."""
        if self.is_closed:
            raise closed_error()
        if self.runner is not None:
            self._recover()
        self.runner = waits.current()
        self._rollback()
        self.runner = None

    def _rollback(self) -> None:
        self._doomed_by = None
        if self.transaction is not None:
            try:
                self.transaction.rollback()
            finally:
                self._finish()

    def _finish(self) -> None:
        """Release what outlives the transaction's commit or rollback."""
        finished, self.transaction = self.transaction, None
        if finished is not None and (finished.row_locks is not None or finished.commit_locks is not None):
            finished.release_locks()

    def close(self) -> None:
        """Roll back the open transaction and close the workspace."""
        self.rollback()
        self.is_closed = True
        self.workspace.close()

    # ── interruptions ─────────────────────────────────────────────────────────────────────────────────────────────

    def _new_workspace(self) -> Workspace:
        if forks.fork_is_under_way:  # threads that only connect must let it happen, too
            forks.wait_for_fork()
        workspace = Workspace(self._id_taker())
        self.functions.add_to(workspace)
        return workspace

    def _recover(self) -> None:
        """Throw away what an interrupted statement, commit or rollback has left.

        Raise ProgrammingError if it still runs, in another thread or task.
        """
        if self._still_runs():
            if self.runner != waits.current():
                other = "task" if waits.in_task() else "thread"
                raise ProgrammingError(f"the connection is used by another {other} now; open one for each {other}")
            return  # a function of the application that a statement calls
        interrupted, left = self.transaction, self.workspace
        if interrupted is not None:
            interrupted.release_locks()
        self.workspace = self._new_workspace()
        self.workspace.take_back(left.counters())
        self._index_entries = IndexEntries()
        if interrupted is not None and not self._is_autocommitted:
            self._doomed_by = OperationalError(
                "the transaction was interrupted in the middle of a statement or commit; unless its commit had begun, "
                "nothing was written; roll back and run it again"
                + (" (the temporary tables are lost)" if left.temporary else "")
            )
        self.transaction = None
        self.runner = None
        with suppress(Error, *SQLITE_ERRORS):
            left.close()

    def _still_runs(self) -> bool:
        """Return True if the statement, commit or rollback that `runner` is about has not been left."""
        frame = sys._getframe(3) if self.runner == waits.current() else waits.frame_of(self.runner)
        while frame is not None:
            if frame.f_code in _RUNNING and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return False

    def interrupt(self) -> None:
        """Stop the statement that another thread runs, if it is in SQLite or waits for row locks."""
        self.workspace.sqlite.interrupt()
        transaction = self.transaction
        if transaction is not None and transaction.row_locks is not None:
            transaction.row_locks.interrupt()

    def check_idle(self) -> None:
        """Have nothing half done, before anything but a statement. Raise ProgrammingError if it is closed or in use."""
        if self.is_closed:
            raise closed_error()
        if self.runner is not None:
            self._recover()

    # ── replay ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _may_replay(self, transaction: Transaction) -> bool:
        is_recorded = self.is_deterministic and not self._replay_log.is_disabled
        is_guarded = transaction.guards if self._replay_log.omits_reads else transaction.is_guarded
        return is_recorded and not (is_guarded or transaction.sequences.id_collision)

    def _replay_reported(self, refused: Transaction) -> bool:
        """Replay a refused transaction, and report it. Return True if that committed."""
        is_committed = False
        try:
            is_committed = self._replay(refused)
            return is_committed
        finally:
            events.report(events.ReplayEnded(self.database.url, is_committed))

    def _replay(self, refused: Transaction) -> bool:
        """Run the statements of a refused transaction again, at the newest version. Return True if that committed.

        Raise IntegrityError if a statement now violates a constraint: another transaction has won a race for a key.
        Errors of a commit other than Conflict propagate: whether that commit was applied may be unknown.
        """
        last = refused
        for _ in range(_REPLAYS_OF_WRITES if self._replay_log.omits_reads else _REPLAYS):
            self.workspace.take_back(refused.counters)
            again = self._new_transaction()
            again.read_bound = NEWEST
            again.take_locks_of(last)
            self.transaction = last = again
            again.sequences.reuse(refused.sequences.uncertain)
            try:
                is_same = self._repeat(again)
            except IntegrityError as error:
                again.rollback()
                error.is_race = True
                raise
            if not is_same:
                again.rollback()
                return False
            try:
                again.commit()
            except Conflict:
                continue
            except IntegrityError:  # of a deferred foreign key; such a transaction is still open
                again.rollback()
                return False
            self.database.replays += 1
            return True
        return False

    def _repeat(self, transaction: Transaction) -> bool:
        """Run the recorded statements in a new transaction. Return True if no result differs that has to be the same.

        After a difference, run only those that change rows. Raise IntegrityError if one of them violates a constraint.
        """
        is_same = True
        try:
            for statement, sql, parameter_sets, result in self._replay_log:
                if statement.kind is StatementKind.SELECT and not (
                    is_same and self._is_compared(transaction, statement, sql, parameter_sets)
                ):
                    continue
                if statement.kind in _SAVEPOINTS:
                    again = _CONTROL[statement.kind](self, statement)
                elif statement.is_about_rows:
                    again = run(transaction, statement, sql, parameter_sets)
                else:
                    again = self._run_other(transaction, statement, sql, parameter_sets)
                is_same = is_same and (self._is_autocommitted or _are_indistinguishable(again, result))
                self._repeated = again
        except IntegrityError:
            raise
        except (RolledBackBySQLite, Error):
            return False
        return is_same

    def _is_compared(
        self, transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]
    ) -> bool:
        """Return True if a SELECT has to have the same result in a replay."""
        if not self._replay_log.omits_reads:
            return True
        if not transaction.has_writes:
            return False
        plan = with_current_catalog(plan_of, transaction, statement, sql, parameter_sets[0])
        return transaction.has_changed(plan.tables)

    # ── for connections ───────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def rebuilding_table(self, table: str) -> Iterator[None]:
        """Within the block, allow a table to be dropped and created again (see `Transaction.rebuilding_table`)."""
        transaction = self.begin()
        self._replay_log.disable()
        with_current_catalog(transaction.ensure_snapshot)
        with transaction.rebuilding_table(table):
            yield

    def fence(self, lock: Lock, late: bool) -> None:
        """Let a lock guard the commit of the transaction that is open, or begins now (see `Transaction.fence`)."""
        if self.isolation is Isolation.AUTOCOMMIT:
            raise InterfaceError(f"lock {lock.name!r} can't guard a transaction under AUTOCOMMIT: there is none")
        try:
            self.begin().fence(lock.guard(), late)
        except Conflict:
            self._rollback()
            raise


_RUNNING = frozenset(
    method.__code__ for method in (TransactionControl.run, TransactionControl.commit, TransactionControl.rollback)
)


def closed_error() -> ProgrammingError:
    """Return the error of a closed connection, in the words of the sqlite3 module."""
    return ProgrammingError("Cannot operate on a closed database.")


def _maintain(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Result:
    """Do nothing for VACUUM and ANALYZE, if what they name exists. Raise SQLite's error otherwise."""
    if statement.verb == "vacuum" and "into" in names(sql):
        raise NotSupportedError("VACUUM INTO is not supported: back up the store by its own means")
    with_current_catalog(plan_of, transaction, statement, sql, parameters)
    return NOTHING


def _nothing(_control: TransactionControl, _statement: Statement) -> Result:
    return NOTHING


def _database(control: TransactionControl, statement: Statement) -> Result:
    if control.settings.query_only and control.server is control.database.url:
        raise OperationalError(control.settings.read_only_because)
    run_database_statement(control.server, statement)
    return NOTHING


def _begin(control: TransactionControl, _statement: Statement) -> Result:
    if control.transaction is not None:
        raise OperationalError("cannot start a transaction within a transaction")
    control._is_autocommitted = False
    control.begin()
    return NOTHING


def _commit(control: TransactionControl, _statement: Statement) -> Result:
    if control.transaction is None:
        raise OperationalError("cannot commit - no transaction is active")
    control._commit()
    return NOTHING


def _rollback(control: TransactionControl, _statement: Statement) -> Result:
    if control.transaction is None:
        raise OperationalError("cannot rollback - no transaction is active")
    control._rollback()
    return NOTHING


def _savepoint(control: TransactionControl, statement: Statement) -> Result:
    begins = control.transaction is None and control.isolation is Isolation.AUTOCOMMIT
    control._is_autocommitted = False
    control.begin().savepoint(statement.name or "")
    control.is_begun_by_savepoint = control.is_begun_by_savepoint or begins
    return NOTHING


def _release(control: TransactionControl, statement: Statement) -> Result:
    transaction, name = _with_savepoint(control, statement)
    if control.is_begun_by_savepoint and transaction.is_outermost(name):
        control._commit()
    else:
        transaction.release(name)
    return NOTHING


def _rollback_to(control: TransactionControl, statement: Statement) -> Result:
    transaction, name = _with_savepoint(control, statement)
    transaction.rollback_to(name)
    return NOTHING


def _with_savepoint(control: TransactionControl, statement: Statement) -> tuple[Transaction, str]:
    """Return the open transaction and the name of a savepoint. Under AUTOCOMMIT, raise an error if there is none."""
    name = statement.name or ""
    if control.isolation is Isolation.AUTOCOMMIT and control.transaction is None and control._doomed_by is None:
        raise OperationalError(f"no such savepoint: {name}")
    return control.begin(), name


_SAVEPOINTS = frozenset({StatementKind.SAVEPOINT, StatementKind.RELEASE, StatementKind.ROLLBACK_TO})

_CONTROL: dict[StatementKind, Callable[[TransactionControl, Statement], Result]] = {
    StatementKind.EMPTY: _nothing,
    StatementKind.DATABASE: _database,
    StatementKind.BEGIN: _begin,
    StatementKind.COMMIT: _commit,
    StatementKind.ROLLBACK: _rollback,
    StatementKind.SAVEPOINT: _savepoint,
    StatementKind.RELEASE: _release,
    StatementKind.ROLLBACK_TO: _rollback_to,
}
