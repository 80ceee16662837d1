"""Replay: a transaction whose commit meets a conflict runs again where the application cannot notice.

The statements of a transaction are recorded with their results (`open_transaction.ReplayLog`). After a conflict they
run again, in a new transaction at a newer version. If every result is identical, then the application would have done
the same had it begun later, and the new transaction commits in place of the refused one. If one result differs, the
application gets the Conflict.

So `UPDATE t SET n = n + 1` hardly ever surfaces a conflict. A value that was read, changed in Python and written
back always does, unless the value is the same again. Nothing is applied blindly: each statement runs as if for the
first time, with its constraint reads, and commit checks everything anew.

So are schema changes, where they can't be merged (`rome.transaction.commit.merge`).

Under READ COMMITTED only what the transaction changes must be the same: the row count and RETURNING of each change,
and the result of a SELECT from a table that the transaction had changed before (an application that reads its own
change relies on it). Other SELECTs are not repeated. So `SET n = 5` overwrites what another transaction has
committed since, as on PostgreSQL. Statements that failed are left out, and row locks stay.

Under AUTOCOMMIT the application has not got the result yet, so the result of the replay takes its place.

Not replayed at other levels: failed statements and locks (their order matters to the application); at any level:
fences, changes of the temporary schema, non-deterministic functions of the application, and transactions with very
many rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rome import events
from rome.cache.bound import NEWEST
from rome.errors import Conflict, Error, IntegrityError
from rome.session.dispatch import run_other
from rome.session.dml import RolledBackBySQLite
from rome.session.open_transaction import OpenTransaction
from rome.session.pragmas import NOTHING
from rome.session.run import plan_of, run, with_current_catalog
from rome.sql.syntax.statement import Statement, StatementKind
from rome.sqlite.workspace import Parameters, Result
from rome.transaction.transaction import Transaction
from rome.values import is_identical

_REPLAYS = 100
"""The attempts to replay a transaction before its conflict surfaces: with n others at one row, it wins every nth."""
_REPLAYS_OF_WRITES = 1000
"""The same where only what writes is replayed, and a conflict of writes must not surface: a statement would wait."""

SAVEPOINTS: dict[StatementKind, Callable[[Transaction, str], None]] = {
    StatementKind.SAVEPOINT: Transaction.savepoint,
    StatementKind.RELEASE: Transaction.release,
    StatementKind.ROLLBACK_TO: Transaction.rollback_to,
}


def may_replay(opened: OpenTransaction, transaction: Transaction) -> bool:
    """Return True if the statements of a transaction are recorded, and it holds nothing that can't be had again."""
    is_recorded = opened.is_deterministic and not opened.replay_log.is_disabled
    is_guarded = transaction.guards if opened.replay_log.omits_reads else transaction.is_guarded
    return is_recorded and not (is_guarded or transaction.sequences.id_collision)


def replay(opened: OpenTransaction, refused: Transaction) -> bool:
    """Replay a refused transaction, and report it. Return True if that committed."""
    is_committed = False
    try:
        is_committed = _replay(opened, refused)
        return is_committed
    finally:
        events.report(events.ReplayEnded(opened.database.url, is_committed))


def _replay(opened: OpenTransaction, refused: Transaction) -> bool:
    """Run the statements of a refused transaction again, at the newest version. Return True if that committed.

    Raise IntegrityError if a statement, or the commit, now violates a constraint: another transaction has won a race
    for a key.
    Errors of a commit other than Conflict propagate: whether that commit was applied may be unknown.
    """
    last = refused
    for _ in range(_REPLAYS_OF_WRITES if opened.replay_log.omits_reads else _REPLAYS):
        again = _again(opened, refused)
        again.take_locks_of(last)
        last = again
        try:
            is_same = _repeat(opened, again)
        except IntegrityError as error:
            again.rollback()
            error.is_race = refused.has_held()
            raise
        if not is_same:
            again.rollback()
            return False
        try:
            again.commit()
        except Conflict:
            continue
        except IntegrityError as error:  # of a deferred foreign key; such a transaction is still open
            again.rollback()
            error.is_race = refused.has_held()
            raise
        opened.database.replays += 1
        return True
    return False


def repeat(opened: OpenTransaction, failed: Transaction) -> bool:
    """Run the statements of a transaction that has failed again, and leave the new transaction open.

    Return True if no result differs that has to be the same. Raise IntegrityError if a constraint is violated.
    """
    return _repeat(opened, _again(opened, failed))


def find_violation(opened: OpenTransaction, refused: Transaction) -> None:
    """Raise IntegrityError if the recorded statements of a transaction that can't be replayed violate a constraint."""
    try:
        repeat(opened, refused)
    finally:
        opened.roll_back()
        opened.transaction = refused  # its locks are released with it


def _again(opened: OpenTransaction, refused: Transaction) -> Transaction:
    """Return a new transaction for the statements of a refused one. It reads the newest version, and defers nothing."""
    opened.workspace.take_back(refused.counters)
    again = opened.transaction = opened.new_transaction()
    again.read_bound = NEWEST
    again.sequences.reuse(refused.sequences.uncertain)
    return again


def _repeat(opened: OpenTransaction, transaction: Transaction) -> bool:
    """Run the recorded statements in a new transaction. Return True if no result differs that has to be the same.

    After a difference, run only those that change rows. Raise IntegrityError if one of them violates a constraint.
    """
    is_same = True
    try:
        for statement, sql, parameter_sets, result in opened.replay_log:
            if statement.kind is StatementKind.SELECT and not (
                is_same and _is_compared(opened, transaction, statement, sql, parameter_sets)
            ):
                continue
            if statement.kind in SAVEPOINTS:
                SAVEPOINTS[statement.kind](transaction, statement.name or "")
                again = NOTHING
            elif statement.is_about_rows:
                again = run(transaction, statement, sql, parameter_sets)
            else:
                again = run_other(transaction, statement, sql, parameter_sets, opened.replay_log.disable)
            is_same = is_same and (opened.is_autocommitted or _are_indistinguishable(again, result))
            opened.repeated = again
    except IntegrityError:
        raise
    except (RolledBackBySQLite, Error):
        return False
    return is_same


def _is_compared(
    opened: OpenTransaction,
    transaction: Transaction,
    statement: Statement,
    sql: str,
    parameter_sets: Sequence[Parameters],
) -> bool:
    """Return True if a SELECT has to have the same result in a replay."""
    if not opened.replay_log.omits_reads:
        return True
    if not transaction.has_writes:
        return False
    plan = with_current_catalog(plan_of, transaction, statement, sql, parameter_sets[0])
    return transaction.has_changed(plan.tables)


def _are_indistinguishable(one: Result, other: Result) -> bool:
    """Return True if two results are the same to the application: 1 and 1.0 are not."""
    return one[1:] == other[1:] and len(one.rows) == len(other.rows) and all(map(is_identical, one.rows, other.rows))
