"""The transaction of a connection: statements run in it, and commit or rollback ends it.

This is the way of each statement. What is rare is in modules of its own: `control` has the statements about the
transaction itself and interruptions, `dispatch` the statements that are not about rows alone, `replay` what a refused
commit leads to.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rome import events, forks, waits
from rome.cache.bound import DEFAULT, ReadBound
from rome.compiled.bind.functions import COMPILED_FUNCTIONS
from rome.database.database import Database
from rome.errors import Conflict, DatabaseError, Error, IntegrityError, OperationalError, ProgrammingError
from rome.session.dispatch import run_other
from rome.session.dml import RolledBackBySQLite
from rome.session.pragmas import ConnectionSettings, is_write
from rome.session.run import run
from rome.sql.syntax.statement import LockWaitPolicy, Statement, StatementKind, classify
from rome.sqlite.user_functions import UserFunctions
from rome.sqlite.workspace import Parameters, Result, Workspace
from rome.transaction.index_entries import IndexEntries
from rome.transaction.snapshot import Isolation, RunAgain
from rome.transaction.transaction import Transaction
from rome.transaction.writes.sequences import SequenceExhausted

_MAX_REPLAY_ROWS = 10_000
"""Rows of results and of parameters; a longer transaction is not replayed."""
_STATEMENT_ROWS = 10
"""The rows that each statement counts as, because it must run again."""

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
        rows = self._rows = self._rows + len(result[0]) + len(parameter_sets) + _STATEMENT_ROWS
        if rows > _MAX_REPLAY_ROWS or not (statement.is_about_rows or _is_replayable(statement)):
            self.disable()
        else:
            self.append((statement, sql, parameter_sets, result))

    def has_room_for(self, sets: int) -> bool:
        """Return True if a statement can be recorded that runs for so many sets of parameters, with a row for each."""
        return not self.is_disabled and self._rows + 2 * sets + _STATEMENT_ROWS <= _MAX_REPLAY_ROWS

    def disable(self) -> None:
        """Note that something happened which cannot be repeated.

        What was recorded stays: it may have to tell which constraint is violated (`replay.find_violation`).
        """
        self.is_disabled = True


def _is_replayable(statement: Statement) -> bool:
    is_temporary = statement.change is not None and statement.change.temporary
    return statement.kind is not StatementKind.EXPLAIN and statement.locking is None and not is_temporary


class OpenTransaction(ABC):
    """The workspace of a connection, and the transaction that is open on it."""

    is_closed = False
    runner: Any = None
    """The thread, or the greenlet of a task, that runs a statement, a commit or a rollback now (`waits.current`).

    Or that ran one until it was interrupted.
    """
    is_autocommitted = False
    """True if the statement that runs, or ran last, is a transaction of its own."""
    repeated: Result | None = None
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
        self.functions = UserFunctions(COMPILED_FUNCTIONS)
        self.workspace = self.new_workspace()
        self.is_deterministic = True
        """False if the application has added a function that may answer differently when it is called again."""
        self.transaction: Transaction | None = None
        self._read_bound = DEFAULT
        self._slow_ms = slow_ms
        self._counts_of_caller = database.store.stats.of_caller
        self.index_entries = IndexEntries()
        self.doomed_by: DatabaseError | None = None
        self.replay_log = ReplayLog()

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
            if self._slow_ms is not None:
                return self._run_logged(statement, sql, parameter_sets, self._slow_ms)
            if not events.observers:
                return self._run_in_transaction(statement, sql, parameter_sets)
            return self._run_observed(statement, sql, parameter_sets)
        except Error:
            self.runner = None
            raise

    def _run_in_transaction(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result:
        transaction = self.transaction
        is_autocommitted = self.is_autocommitted = transaction is None and self.isolation is Isolation.AUTOCOMMIT
        if transaction is None:
            transaction = self.begin()
        if self.database.defers_constraints:
            has_room = self.is_deterministic and self.replay_log.has_room_for(len(parameter_sets))
            transaction.defers = has_room and not transaction.is_guarded
        try:
            try:
                result = self._run_in(transaction, statement, sql, parameter_sets)
            except RunAgain:
                transaction = self._restart(transaction)
                result = self._run_in(transaction, statement, sql, parameter_sets)
            self.replay_log.note(statement, sql, parameter_sets, result)
        except RolledBackBySQLite as rolled_back:
            self.roll_back()
            raise rolled_back.error from rolled_back.error.__cause__
        except BaseException as error:
            is_left_out = self.replay_log.omits_reads and isinstance(error, Error) and not statement.may_fail_partly
            if not is_left_out or isinstance(error, Conflict):
                self.replay_log.disable()
            if is_autocommitted or isinstance(error, Conflict):
                if is_autocommitted and isinstance(error, IntegrityError) and transaction.write_set:
                    self._autocommit()  # OR FAIL: what the statement did before the error persists
                    raise
                is_within_savepoint = bool(transaction.savepoints)
                self.roll_back()
                if is_within_savepoint and isinstance(error, Conflict):
                    self.doomed_by = error
            raise
        if is_autocommitted:
            self._autocommit()
            return self.repeated or result
        return result

    def _run_in(
        self, transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]
    ) -> Result:
        if statement.is_about_rows:
            return run(transaction, statement, sql, parameter_sets)
        return run_other(transaction, statement, sql, parameter_sets, self.replay_log.disable)

    def begin_savepoint(self, name: str) -> None:
        """Open a savepoint. What was assumed before is verified, so that errors inside are of statements inside."""
        transaction = self.begin()
        try:
            transaction.verify_assumed()
        except RunAgain:
            transaction = self._restart(transaction)
        transaction.savepoint(name)

    @abstractmethod
    def _restart(self, failed: Transaction) -> Transaction:
        """Run the statements of a transaction again, with constraint reads, because something it assumed fails.

        Return the transaction that takes its place. Raise IntegrityError or Conflict, the transaction being undone.
        """

    def _autocommit(self) -> None:
        """Commit the transaction of a single statement. Roll it back if a deferred foreign key is violated."""
        self.repeated = None
        try:
            self.commit_open()
        except IntegrityError:
            self.roll_back()
            self.workspace.last_changes = 0
            raise

    @abstractmethod
    def _run_control(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result | None:
        """Run a statement that is about the connection or its transaction. Return None for any other."""

    @abstractmethod
    def _run_observed(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result:
        """Run a statement, and report it to the observers."""

    @abstractmethod
    def _run_logged(
        self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters], slow_ms: float
    ) -> Result:
        """Run a statement, and log it if it is slow."""

    @abstractmethod
    def _recover(self) -> None:
        """Throw away what an interrupted statement, commit or rollback has left."""

    # ── beginning and ending ──────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> Transaction:
        """Return the open transaction, or begin one. Raise the Conflict that has doomed the last one."""
        if self.transaction is None:
            if self.doomed_by is not None:
                raise self.doomed_by
            self.transaction = self.new_transaction()
            self.transaction.read_bound = self._read_bound
            self.replay_log = ReplayLog()
            if self.isolation is Isolation.READ_COMMITTED:
                self.replay_log.omits_reads = True
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

    def new_transaction(self) -> Transaction:
        """Return a transaction that has done nothing."""
        settings = self.settings
        return Transaction(
            self.database,
            self.workspace,
            self.index_entries,
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
            self.commit_open()
        except Error:
            self.runner = None
            raise
        self.runner = None

    def rollback(self) -> None:
        """Discard what the transaction changed."""
        if self.is_closed:
            raise closed_error()
        if self.runner is not None:
            self._recover()
        if self.transaction is None and self.doomed_by is None:
            return  # connection pools roll back once more
        self.runner = waits.current()
        self.roll_back()
        self.runner = None

    def commit_open(self) -> None:
        """Commit the open transaction. Replay it if that is refused; raise its Conflict if that does not help."""
        transaction = self.transaction
        if transaction is None:
            doomed_by, self.doomed_by = self.doomed_by, None
            if doomed_by is not None:
                raise doomed_by
            return
        try:
            transaction.commit()
        except IntegrityError:
            raise  # of a deferred foreign key: the transaction is still open
        except Conflict:
            try:
                if not self._replay(transaction):
                    raise
            finally:
                self.finish()
            return
        except BaseException:
            self.finish()
            raise
        self.finish()

    @abstractmethod
    def _replay(self, refused: Transaction) -> bool:
        """Run the statements of a refused transaction again, and report that. Return True if that committed."""

    def roll_back(self) -> None:
        """Discard what the open transaction has changed, if there is one."""
        self.doomed_by = None
        if self.transaction is not None:
            try:
                self.transaction.rollback()
            finally:
                self.finish()

    def finish(self) -> None:
        """Release what outlives the transaction's commit or rollback."""
        finished, self.transaction = self.transaction, None
        if finished is not None and (finished.row_locks is not None or finished.commit_locks is not None):
            finished.release_locks()

    def new_workspace(self) -> Workspace:
        """Return a workspace without rows."""
        if forks.fork_is_under_way:  # threads that only connect must let it happen, too
            forks.wait_for_fork()
        workspace = Workspace(self._id_taker(), self.database.store.longest_value)
        self.functions.add_to(workspace)
        return workspace

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


def closed_error() -> ProgrammingError:
    """Return the error of a closed connection, in the words of the sqlite3 module."""
    return ProgrammingError("Cannot operate on a closed database.")
