"""Transaction control: one connection's transaction, from its first statement to COMMIT, ROLLBACK or a replay.

A connection has at most one open transaction. It begins with the first statement that needs one (or with BEGIN) and
ends with COMMIT or ROLLBACK; under AUTOCOMMIT each statement outside of an explicit transaction ends its own. There,
SAVEPOINT begins a transaction, too, and the RELEASE of this savepoint commits it, as in SQLite.

    statement                             run by
    SELECT, INSERT, UPDATE, DELETE        `rome.session.run`
    CREATE, DROP, ALTER                   `rome.session.ddl`
    SELECT … FOR UPDATE                   `rome.session.for_update`
    EXPLAIN PLAN FOR, EXPLAIN ANALYZE     `rome.session.explain`
    BEGIN, COMMIT, ROLLBACK, SAVEPOINT    `rome.session.control_statements`
    CREATE DATABASE, DROP DATABASE        `rome.session.databases`
    PRAGMA                                `rome.session.pragmas`, or `rome.session.run`
    VACUUM, ANALYZE                       `rome.session.dispatch`

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import perf_counter

from rome import events, waits
from rome.errors import (
    Conflict,
    DatabaseError,
    Error,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from rome.fast_tuples import tuple_maker
from rome.locks.manager import Lock
from rome.session.control_statements import CONTROL
from rome.session.explain import log_slow
from rome.session.open_transaction import OpenTransaction, closed_error
from rome.session.replay import SAVEPOINTS, find_violation, may_replay, repeat, replay
from rome.session.run import with_current_catalog
from rome.sql.syntax.statement import Statement, StatementKind
from rome.sqlite.errors import SQLITE_ERRORS
from rome.sqlite.workspace import Parameters, Result
from rome.transaction.index_entries import IndexEntries
from rome.transaction.snapshot import Isolation
from rome.transaction.transaction import Transaction

_statement_ended = tuple_maker(events.StatementEnded)


class TransactionControl(OpenTransaction):
    """Runs the statements of a connection, and opens and ends its transactions."""

    # ── statements ────────────────────────────────────────────────────────────────────────────────────────────────

    def _run_control(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result | None:
        """Run a statement that is about the connection or its transaction. Return None for any other."""
        if statement.tail:
            raise ProgrammingError("You can only execute one statement at a time.")
        control = CONTROL.get(statement.kind)
        if control is not None:
            result = control(self, statement)
            if statement.kind in SAVEPOINTS:
                self.replay_log.note(statement, sql, parameter_sets, result)
            return result
        if statement.kind is StatementKind.PRAGMA:
            answer = self.settings.run(statement, self.transaction is not None)
            if self.settings.case_sensitive_like is not self.functions.case_sensitive_like:
                self.functions.distinguish_case(self.workspace, self.settings.case_sensitive_like)
            return answer
        if statement.kind is StatementKind.ATTACH:
            raise NotSupportedError(
                "ATTACH is not supported: a connection is to one ROME database; open another connection for another one"
            )
        return None

    def _run_observed(self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result:
        """Run a statement, and report it to the observers. Each statement pays its instructions: they are few."""
        counts = self._counts_of_caller()
        rounds = counts[0]
        began = perf_counter()
        try:
            result = self._run_in_transaction(statement, sql, parameter_sets)
        except BaseException as error:
            took = perf_counter() - began
            event = (self.database.url, statement.verb, sql, took, counts[0] - rounds, 0, type(error))
            events.report(_statement_ended(event))
            raise
        ended = (
            self.database.url,
            statement.verb,
            sql,
            perf_counter() - began,
            counts[0] - rounds,
            len(result.rows) or max(0, result.rowcount),
            None,
        )
        events.report(_statement_ended(ended))
        return result

    def _run_logged(
        self, statement: Statement, sql: str, parameter_sets: Sequence[Parameters], slow_ms: float
    ) -> Result:
        """Run a statement, and log it if it is slow."""
        run = self._run_observed if events.observers else self._run_in_transaction
        began = perf_counter()
        try:
            return run(statement, sql, parameter_sets)
        finally:
            took = (perf_counter() - began) * 1000
            if took > slow_ms:
                log_slow(self.transaction, statement, sql, parameter_sets[0], took)

    def close(self) -> None:
        """Roll back the open transaction and close the workspace."""
        self.rollback()
        self.is_closed = True
        self.workspace.close()

    def _replay(self, refused: Transaction) -> bool:
        if may_replay(self, refused):
            return replay(self, refused)
        if refused.assumed:
            find_violation(self, refused)
        return False

    def _restart(self, failed: Transaction) -> Transaction:
        failed.sequences.keep_uncertain(is_refused=True)
        failed.rollback()
        try:
            if repeat(self, failed) and may_replay(self, failed):
                return self.begin()
            raise Conflict("what this transaction depends on has changed; nothing was written, run it again")
        except DatabaseError as error:
            self.roll_back()
            self.doomed_by = error
            raise

    # ── interruptions ─────────────────────────────────────────────────────────────────────────────────────────────

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
        self.workspace = self.new_workspace()
        self.workspace.take_back(left.counters())
        self.index_entries = IndexEntries()
        if interrupted is not None and not self.is_autocommitted:
            self.doomed_by = OperationalError(
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

    # ── for connections ───────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def rebuilding_table(self, table: str) -> Iterator[None]:
        """Within the block, allow a table to be dropped and created again (see `Transaction.rebuilding_table`)."""
        transaction = self.begin()
        self.replay_log.disable()
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
            self.roll_back()
            raise


_RUNNING = frozenset(
    method.__code__ for method in (OpenTransaction.run, OpenTransaction.commit, OpenTransaction.rollback)
)
