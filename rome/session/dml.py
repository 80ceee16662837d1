"""DML in the workspace: run a statement, fetch what the constraints of its changes need, run it again if that was new.

SQLite judges constraints by the rows that are loaded (`rome.transaction.constraints.needed_keys`). A statement runs
under a savepoint of its own. If rows that its changes need have not been fetched, it is undone, they are fetched in one
round trip, and it runs again.

    INSERT INTO child (parent_id) SELECT …
    run 1      the changes refer to parents 4 and 9, which are not fetched: undo
    fetch      parents 4 and 9, in one round trip
    run 2      SQLite finds the parents, or raises FOREIGN KEY constraint failed

For INSERT … VALUES the needed keys are known before the statement runs, so that it runs once.

A statement that may roll the transaction back (OR ROLLBACK) runs with OR ABORT until nothing has to be fetched.

It may also run again for ids: if it needs more than were reserved (`rome.transaction.writes.sequences`), and once more
with foreign keys deferred, where SQLite would refuse a row before recording it. Ids that an undone run has allocated
are allocated again, so that each run makes the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rome.catalog.model import Table
from rome.errors import Error, IntegrityError, OperationalError
from rome.fallback import ValueNotKnown
from rome.folding import fold_name
from rome.plan.plan import Plan
from rome.session.fetch import fetch
from rome.sql.rewrite.counter_ids import ValueRows
from rome.sql.syntax.operands import value_of
from rome.sql.syntax.statement import StatementKind, with_abort
from rome.sql.syntax.tokens import names
from rome.sqlite.stored_rows import row_of
from rome.sqlite.workspace import Parameters, Result, Row, merge_results
from rome.storage.keys import decode
from rome.transaction.constraints.needed_keys import NeededKeys
from rome.transaction.constraints.violations import (
    check_error,
    foreign_key_error,
    is_foreign_key_error,
    is_of_foreign_key,
    is_of_unique_key,
    table_of_unique_key,
)
from rome.transaction.reads.row_cache import TableRequest, whole
from rome.transaction.savepoints import Savepoint
from rome.transaction.transaction import Transaction
from rome.transaction.writes.sequences import SequenceExhausted
from rome.transaction.writes.write_set import RowWrite
from rome.values import SqlValue, is_identical

_SAVEPOINT = "rome_statement"
_MAX_EXPECTED_IDS = 1000
_MOST_RUNS = 10
"""A statement that still needs other rows after so many runs gets the whole tables."""


class RolledBackBySQLite(Exception):
    """SQLite rolled the whole transaction back (ON CONFLICT ROLLBACK); `error` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error))
        self.error = error


class _Run(NamedTuple):
    """A run of a statement. Its savepoint is still open."""

    savepoint: Savepoint
    result: Result | None
    error: Error | None
    writes: list[RowWrite]
    needed: list[TableRequest]
    sets: int
    """The number of sets of parameters that it has run, or begun to run."""


def change(transaction: Transaction, plan: Plan, parameter_sets: Sequence[Parameters]) -> Result:
    """Run a DML statement in the workspace, once for each set of parameters. Return the results together.

    Raise PEP 249's errors, the transaction being as before; RolledBackBySQLite if SQLite has rolled back everything.
    """
    calls = transaction.workspace.repeated_calls
    calls.begin()
    try:
        return _Change(transaction, plan, parameter_sets).run()
    finally:
        calls.end()


class _Change:
    """One execution of a DML statement."""

    def __init__(self, transaction: Transaction, plan: Plan, parameter_sets: Sequence[Parameters]) -> None:
        self._transaction = transaction
        self._workspace = transaction.workspace
        self._plan = plan
        self._parameter_sets = parameter_sets
        self._needed_keys = NeededKeys(
            transaction.catalog, transaction.entries, transaction.foreign_keys, transaction.sequences.allocated
        )
        self._sql = with_abort(plan.sql) if _may_roll_back(plan) else plan.sql
        """The text that is run. OR ABORT finds the rows to fetch first where SQLite would roll everything back."""
        self._needed_by_values: list[TableRequest] = []
        """The requests of INSERT … VALUES, known before it runs."""
        self._ids = 0
        """The number of ids that INSERT … VALUES needs."""
        if plan.values is not None and plan.target is not None:
            self._read_values(plan.target, plan.values)
        elif plan.statement.kind is StatementKind.INSERT and plan.target is not None and plan.target.counted:
            plan.expected_ids.setdefault(plan.target.id, 1)

    def run(self) -> Result:
        """Run the statement until nothing more has to be fetched for it. Return its result, or raise its error."""
        transaction = self._transaction
        transaction.settle()
        transaction.verify_assumed()
        self._announce_ids()
        fetch(transaction, self._plan, self._parameter_sets, self._needed_by_values)
        transaction.ensure_snapshot()
        self._workspace.schema.ensure(self._plan.mentioned)
        transaction.note_constraint_reads(self._needed_by_values)
        is_deferred = was_deferred = False
        sets = len(self._parameter_sets)
        runs = 0
        while True:
            run = self._run(sets, is_deferred)
            compared = self._workspace.recorder.compared_tables if self._workspace.recorder.has_unseen else ()
            refusing = self._refusing_tables(run.error)
            if compared or refusing:
                self._undo(run.savepoint, is_deferred)
                needed = self._needed_when_watched(sets, is_deferred, compared, refusing)
                run = self._run(sets, is_deferred)._replace(needed=needed)
            missing = transaction.row_cache.missing(run.needed)
            runs += 1
            if runs > _MOST_RUNS:  # its keys are others in each run: a time is among them
                missing = [whole(table) for table in {request.table.id: request.table for request in missing}.values()]
            # A single row that lacks its parent is refused before it is recorded: look at it with the check deferred.
            is_hidden = not was_deferred and is_of_foreign_key(run.error)
            if not missing and not is_deferred and not is_hidden:
                if self._sql is not self._plan.sql:
                    self._undo(run.savepoint, is_deferred)
                    self._sql = self._plan.sql
                    continue
                return self._finish(run._replace(error=self._described_error(run)))
            self._undo(run.savepoint, is_deferred)
            is_deferred = is_hidden and not missing
            sets = run.sets if is_deferred else len(self._parameter_sets)
            was_deferred = was_deferred or is_deferred
            transaction.fetch(missing)

    def _refusing_tables(self, error: Error | None) -> list[Table]:
        """Return the tables for which SQLite may have judged a row by one of its unique keys, without the others.

        It records no row that it refuses or ignores, so the keys of that row are not known. The first violated one
        decides: which error it is, or which clause of an upsert applies.
        """
        plan, catalog = self._plan, self._transaction.catalog
        if not is_of_unique_key(error) and not _may_ignore_rows(plan):
            return []
        named = table_of_unique_key(error, catalog)
        found = {table.id: table for table in (named, plan.target) if table is not None and _has_several_keys(table)}
        return list(found.values())

    def _needed_when_watched(
        self, sets: int, defer_foreign_keys: bool, compared: Sequence[Table], refusing: Sequence[Table]
    ) -> list[TableRequest]:
        """Run the statement and undo it. Return what it needs, also for rows that it makes and takes back, or refuses.

        `compared` and `refusing` tables: see `rome.sqlite.change_recorder.ChangeRecorder.watch`.
        """
        try:
            run = self._run(sets, defer_foreign_keys, lambda: self._workspace.recorder.watch(compared, refusing))
            self._undo(run.savepoint, defer_foreign_keys)
        finally:
            self._workspace.recorder.unwatch()
        return run.needed

    def _run(self, sets: int, defer_foreign_keys: bool, prepared: Callable[[], None] | None = None) -> _Run:
        """Run the statement under a savepoint, with as many ids as it takes.

        `sets`: for so many sets of parameters. With the check deferred, those after the one that failed must not run.
        `prepared`: is called under the savepoint, before the statement.
        """
        transaction, workspace = self._transaction, self._workspace
        while True:
            compared = workspace.recorder.compared_tables
            transaction.load_all_into_workspace()
            self._counters = workspace.counters()
            savepoint = transaction.mark(_SAVEPOINT)
            self._reserve_ids()
            workspace.recorder.has_unseen = False
            workspace.repeated_calls.run_again()
            if prepared is not None:
                prepared()
            violated = workspace.deferred_violations
            results: list[Result] = []
            error: Error | None = None
            try:
                if defer_foreign_keys:
                    workspace.run("PRAGMA defer_foreign_keys = ON", ())
                for each in self._parameter_sets[:sets]:
                    result = workspace.run(self._sql, each, transaction.foreign_keys, record=True)
                    results.append(result)  # one by one: after an error, it has those before
            except SequenceExhausted as exhausted:
                wanted = transaction.sequences.wanted(exhausted.table_id)
                self._undo(savepoint, defer_foreign_keys)
                transaction.sequences.reserve_more(exhausted.table_id, wanted)
                self._plan.expected_ids.setdefault(exhausted.table_id, 1)
                continue
            except Error as raised:
                error = raised
                if workspace.recorder.compared_tables != compared and workspace.sqlite.in_transaction:
                    self._undo(savepoint, defer_foreign_keys)
                    continue
            if not workspace.sqlite.in_transaction:
                transaction.sequences.release_surplus()
                raise RolledBackBySQLite(error or OperationalError("the transaction was rolled back")) from error
            writes = transaction.pending(savepoint)
            needed = self._needed_keys.of_writes(writes, violated or workspace.deferred_violations)
            merged = merge_results(results) if error is None else None
            return _Run(savepoint, merged, error, writes, list(needed), len(results) + (error is not None))

    def _undo(self, savepoint: Savepoint, foreign_keys_are_deferred: bool) -> None:
        if foreign_keys_are_deferred:
            # This also sets the count of open violations to zero; ROLLBACK TO brings it back.
            self._workspace.run("PRAGMA defer_foreign_keys = OFF", ())
        self._transaction.roll_back_to(savepoint)
        self._workspace.release(_SAVEPOINT)
        self._workspace.take_back(self._counters)

    def _finish(self, run: _Run) -> Result:
        """Keep what the statement did, or undo it and raise its error."""
        transaction = self._transaction
        writes = run.writes
        if run.error is not None:
            writes = self._kept_writes(run)
            if not writes:
                transaction.roll_back_to(run.savepoint)
        self._workspace.release(_SAVEPOINT)
        if run.error is None:
            self._note_expected_ids()
        transaction.sequences.release_surplus()
        transaction.note_constraint_reads(run.needed)
        transaction.record(writes)
        if run.error is not None:
            raise run.error
        assert run.result is not None
        return run.result

    def _kept_writes(self, run: _Run) -> list[RowWrite]:
        """Return the writes of a run that SQLite has kept although it failed: those before an OR FAIL.

        The hook records changes as they happen, and SQLite undoes them if the error is not of an OR FAIL; so the rows
        are looked at. A violated foreign key undoes all of a statement, and so does an error in one of several sets of
        parameters.
        """
        is_partial = len(self._parameter_sets) == 1 and not is_foreign_key_error(run.error)
        if not is_partial or not self._may_fail_partly():
            return []
        first: dict[tuple[int, bytes], tuple[Table, Row | None, int]] = {}
        for table, old_key, old, new_key, _, rowid, _ in run.writes:
            for key, row in ((old_key, old), (new_key, None)):
                if key is not None:
                    first.setdefault((table.id, key), (table, row, rowid))
        kept = []
        for (_, key), (table, old, rowid) in first.items():
            new = row_of(self._workspace.sqlite, table, decode(key))
            if old != new if old is None or new is None else not is_identical(old, new):
                kept.append(
                    RowWrite(table, None if old is None else key, old, None if new is None else key, new, rowid)
                )
        return kept

    def _may_fail_partly(self) -> bool:
        """Return True if an OR FAIL is the statement's, or may be that of its table or of a trigger."""
        plan = self._plan
        if plan.statement.may_fail_partly or plan.target is None:
            return plan.statement.may_fail_partly
        texts = [plan.target.sql]
        texts += [item.sql or "" for item in self._transaction.catalog.objects.values() if item.type == "trigger"]
        return any("fail" in names(text) for text in texts)

    def _described_error(self, run: _Run) -> Error | None:
        """Return the error of a run; that of a foreign key or a CHECK with what SQLite leaves out."""
        error = run.error
        if is_of_foreign_key(error):
            self._transaction.roll_back_to(run.savepoint)  # executemany: the sets before the one that has failed
            again = self._run(run.sets, defer_foreign_keys=True)
            described = foreign_key_error(self._workspace, self._transaction.catalog, again.writes)
            self._undo(again.savepoint, foreign_keys_are_deferred=True)
        elif isinstance(error, IntegrityError) and self._plan.target is not None:
            described = check_error(error, [self._plan.target, *self._transaction.catalog.tables.values()])
        else:
            return error
        described.__cause__ = error.__cause__ if error else None
        return described

    # ── INSERT … VALUES ───────────────────────────────────────────────────────────────────────────────────────────

    def _read_values(self, table: Table, values: ValueRows) -> None:
        """Find the keys and the number of ids that the rows of INSERT … VALUES need. Note the ids that they give."""
        transaction, needed = self._transaction, self._needed_by_values
        ids = 0
        sequence_column = fold_name(table.counted) if table.counted else ""
        for parameters in self._parameter_sets:
            for row in values.rows:
                known: dict[str, SqlValue] = {}
                for name, source in row.items():
                    try:
                        if source is not None:
                            known[name] = value_of(source, parameters)
                    except ValueNotKnown:
                        continue
                rowid = known.get(sequence_column)
                if isinstance(rowid, int):
                    transaction.sequences.note_explicit(table.id, (rowid,))
                if rowid is None:
                    known.pop(sequence_column, None)
                    ids += 1
                elif not table.key:
                    needed.append(TableRequest(table, table.row_codec.get(table.row_codec.encode((rowid,)))))
                needed.extend(self._needed_keys.of_values(table, known))
        self._ids = ids if sequence_column else 0

    # ── ids ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _announce_ids(self) -> None:
        """Let the first round trip draw the ids that `_reserve_ids` reserves."""
        sequences, plan = self._transaction.sequences, self._plan
        if self._ids and plan.target is not None:
            sequences.announce(plan.target.id, self._ids)
        for table_id, count in plan.expected_ids.items():
            sequences.announce(table_id, count)

    def _reserve_ids(self) -> None:
        """Reserve the ids that the statement will allocate: as many as its values need, or as it took the last time."""
        sequences, plan = self._transaction.sequences, self._plan
        if self._ids and plan.target is not None:
            sequences.reserve(plan.target.id, self._ids)
        for table_id, count in list(plan.expected_ids.items()):
            sequences.reserve_available(table_id, count)

    def _note_expected_ids(self) -> None:
        """Let the plan remember how many ids the statement has allocated, where its values do not tell."""
        expected = self._plan.expected_ids
        if expected:
            allocated = self._transaction.sequences.allocated_since_mark()
            for table_id in list(expected):
                expected[table_id] = min(max(1, allocated.get(table_id, 0)), _MAX_EXPECTED_IDS)


def _has_several_keys(table: Table) -> bool:
    return bool(table.key) + sum(index.unique for index in table.indexes) > 1


def _may_roll_back(plan: Plan) -> bool:
    """Return True if SQLite may undo the transaction for a row that violates one of several unique keys.

    By then the rows of the other keys must have been fetched: the first violated key decides what happens.
    """
    target = plan.target
    if target is None or plan.statement.kind is StatementKind.DELETE or not _has_several_keys(target):
        return False
    return "rollback" in (plan.statement.on_conflict or names(target.sql))


def _may_ignore_rows(plan: Plan) -> bool:
    """Return True if a row may meet one of several conflict clauses: those of an upsert, or of the table."""
    if plan.statement.has_upsert and plan.sql.lower().count("conflict") > 1:
        return True
    return plan.target is not None and "ignore" in names(plan.target.sql)
