"""Statements that change rows: run, look what was changed, fetch what constraints need, and run again if that was new.

See `constraints` for why. The trial runs under a savepoint of its own; what it drew from counters is given back when it
is undone, so that the next trial makes the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rome.errors import Error, IntegrityError, OperationalError
from rome.fallback import ValueNotKnown
from rome.plan.plan import Plan
from rome.session.fetch import fetch
from rome.sql.syntax.operands import value_of
from rome.sql.syntax.tokens import names
from rome.sqlite.workspace import Parameters, Result, merge_results
from rome.transaction.constraints.needed_keys import NeededKeys
from rome.transaction.constraints.violations import check_error, foreign_key_error, is_of_foreign_key
from rome.transaction.reads.row_cache import TableRequest
from rome.transaction.transaction import Savepoint, Transaction
from rome.transaction.writes.write_set import RowWrite
from rome.values import SqlValue

_SAVEPOINT = "rome_statement"


class RolledBackBySQLite(Exception):
    """SQLite rolled the whole transaction back (ON CONFLICT ROLLBACK); `error` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error))
        self.error = error


class _Trial(NamedTuple):
    """A statement that ran: its savepoint is still open."""

    mark: Savepoint
    result: Result | None
    error: Error | None
    entries: list[RowWrite]
    needs: list[TableRequest]


def change(transaction: Transaction, plan: Plan, rows: Sequence[Parameters]) -> Result:
    """Run a plan that changes rows, once for each set of parameters.

    Raises PEP 249's errors, the transaction being as before; RolledBack when SQLite has rolled back everything.
    """
    constraints = NeededKeys(
        transaction.catalog, transaction.entries, transaction.foreign_keys, transaction.numbers.drawn
    )
    known = list(_needs_of_values(transaction, constraints, plan, rows))
    if len(rows) > 1 and plan.target is not None and plan.values is not None:
        transaction.numbers.prepare(plan.target.id, len(rows))
    fetch(transaction, plan, rows, known)
    transaction.ensure_snapshot()
    transaction.workspace.schema.ensure(plan.mentioned)
    transaction.constrain(known)
    foreign_keys_put_off = looked = False
    while True:
        trial = _run(transaction, constraints, plan, rows, foreign_keys_put_off)
        missing = transaction.row_cache.missing(trial.needs)
        hidden = not looked and is_of_foreign_key(trial.error)
        if not missing and not foreign_keys_put_off and not hidden:
            return _settle(
                transaction, plan, trial._replace(error=_described(transaction, constraints, plan, rows, trial))
            )
        _undo(transaction, trial, foreign_keys_put_off)
        # A single row that lacks its parent is refused before it is recorded: look at it with the check put off.
        foreign_keys_put_off = hidden and not missing
        looked = looked or foreign_keys_put_off
        transaction.fetch(missing)


def _run(
    transaction: Transaction, constraints: NeededKeys, plan: Plan, rows: Sequence[Parameters], put_off: bool
) -> _Trial:
    workspace = transaction.workspace
    transaction.stage_all()
    mark = transaction.mark(_SAVEPOINT)
    violated = workspace.deferred_violations
    result: Result | None = None
    error: Error | None = None
    try:
        if put_off:
            workspace.run("PRAGMA defer_foreign_keys = ON", ())
        runs = [workspace.run(plan.sql, row, foreign_keys=transaction.foreign_keys, record=True) for row in rows]
        result = merge_results(runs)
    except Error as raised:
        error = raised
    if not workspace.sqlite.in_transaction:
        raise RolledBackBySQLite(error or OperationalError("the transaction was rolled back")) from error
    entries = transaction.pending(mark)
    needs = constraints.needs(entries, violated or workspace.deferred_violations)
    return _Trial(mark, result, error, entries, list(needs))


def _undo(transaction: Transaction, trial: _Trial, put_off: bool) -> None:
    if put_off:
        # This also sets the count of open violations to zero; ROLLBACK TO brings it back.
        transaction.workspace.run("PRAGMA defer_foreign_keys = OFF", ())
    transaction.back_to(trial.mark)
    transaction.workspace.release(_SAVEPOINT)


def _described(
    transaction: Transaction, constraints: NeededKeys, plan: Plan, rows: Sequence[Parameters], trial: _Trial
) -> Error | None:
    """The error that a trial failed with; of a foreign key or a CHECK, with what SQLite does not say."""
    error = trial.error
    if is_of_foreign_key(error):
        workspace = transaction.workspace
        counters = workspace.last_rowid, workspace.last_changes
        again = _run(transaction, constraints, plan, rows, put_off=True)
        described = foreign_key_error(transaction.workspace, transaction.catalog, again.entries)
        _undo(transaction, again, put_off=True)
        workspace.last_rowid, workspace.last_changes = counters
    elif isinstance(error, IntegrityError) and plan.target is not None:
        described = check_error(error, [plan.target, *transaction.catalog.tables.values()])
    else:
        return error
    described.__cause__ = error.__cause__ if error else None
    return described


def _settle(transaction: Transaction, plan: Plan, trial: _Trial) -> Result:
    """The outcome is final: keep what the statement did, or undo it and raise its error."""
    entries = trial.entries
    if trial.error is not None and not _may_fail_partly(transaction, plan):
        transaction.back_to(trial.mark)
        entries = []
    transaction.workspace.release(_SAVEPOINT)
    transaction.constrain(trial.needs)
    transaction.record(entries)
    if trial.error is not None:
        raise trial.error
    assert trial.result is not None
    return trial.result


def _may_fail_partly(transaction: Transaction, plan: Plan) -> bool:
    """Whether what was done before an error stays done: OR FAIL in the statement, in its table or in a trigger."""
    if plan.statement.may_fail_partly or plan.target is None:
        return plan.statement.may_fail_partly
    texts = [plan.target.sql]
    texts += [item.sql or "" for item in transaction.catalog.objects.values() if item.type == "trigger"]
    return any("fail" in text.lower() and "fail" in names(text) for text in texts)


def _needs_of_values(
    transaction: Transaction, constraints: NeededKeys, plan: Plan, rows: Sequence[Parameters]
) -> Iterator[TableRequest]:
    """The needs of an INSERT … VALUES before it runs. What it says of ids is told to who draws the others."""
    table = plan.target
    if plan.values is None or table is None:
        return
    counted = table.counted.lower() if table.counted else ""
    for parameters in rows:
        for row in plan.values.rows:
            known: dict[str, SqlValue] = {}
            for name, source in row.items():
                try:
                    if source is not None:
                        known[name] = value_of(source, parameters)
                except ValueNotKnown:
                    continue
            number = known.get(counted)
            if isinstance(number, int):
                transaction.numbers.give(table.id, (number,))
            if number is None:
                known.pop(counted, None)
            elif not table.key:
                yield TableRequest(table, table.row_codec.get(table.row_codec.encode((number,))))
            yield from constraints.needs_of_values(table, known)
