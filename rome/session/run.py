"""Run one statement in a transaction: plan it, fetch a superset of the rows that it needs, evaluate it exactly.

    SELECT    fetch what the access paths ask for → evaluate, compiled or in the workspace
    INSERT, UPDATE, DELETE    → `point_dml`, else `bulk_dml`, else `dml`: the same with constraint reads; changes go to
                              the write set

Five functions in order lead from text to rows: `run`, `plan_of`, `Transaction.fetch`, `RowCache.add`, and
`Compiled.run` or `Workspace.run`.

A SELECT is evaluated by the first of these that applies
    point lookup   one table, one key: fetch the rows, call the compiled function
    Top-N          fetch the front of an order, in batches, until LIMIT is filled (`topn`)
    count          let the store count the keys of a range
    general        fetch in rounds (`fetch`), then the compiled function, or the workspace where there is none

Schema changes of other transactions
    A statement is planned under the catalog that this process knows. The first fetch of a transaction shows whether
    that is still the newest one; if not, it raises CatalogChanged, and nothing has happened yet. There is one policy
    for it: `with_current_catalog` runs the step again, under the newer catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import ParamSpec, TypeVar

import apsw

from rome.cache.bound import NEWEST
from rome.cache.results import SharedRows
from rome.collection import collecting_later
from rome.compiled.compile import Compiled
from rome.errors import OperationalError
from rome.fallback import UnsupportedValue
from rome.plan.plan import Plan
from rome.plan.prepare import prepare
from rome.session.bulk_dml import delete_all, write_rows
from rome.session.bulk_plan import BulkDelete, bulk_plan_for
from rome.session.dml import change
from rome.session.fetch import PlanFetch, fetch, load_workspace
from rome.session.point_dml import run_point_dml
from rome.session.topn import fetch_topn
from rome.sql.planner.bind import bind_count
from rome.sql.planner.read_plan import Step
from rome.sql.rewrite.counter_ids import original_trigger
from rome.sql.syntax.statement import Statement, StatementKind
from rome.sql.syntax.tokens import names
from rome.sqlite.workspace import Parameters, Result, Row, make_result, merge_results
from rome.transaction.reads.row_cache import table_request
from rome.transaction.snapshot import CatalogChanged, Isolation
from rome.transaction.transaction import Transaction

_ATTEMPTS = 3
"""The attempts to run a step, if each finds a newer catalog."""

_FOREIGN_KEY_MISMATCH = "foreign key mismatch"

P = ParamSpec("P")
T = TypeVar("T")


def with_current_catalog(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `step` returns for these arguments. Call it again if it finds that the catalog has changed.

    Raise OperationalError if that goes on.
    """
    for _ in range(_ATTEMPTS):
        try:
            return step(*args, **kwargs)
        except CatalogChanged:
            continue
    raise OperationalError("the schema keeps changing under this statement; run it again")


def run(transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result:
    """Run a statement that reads or changes rows, once for each set of parameters. Return the results together.

    Raise PEP 249's errors, the transaction being as before the statement; RolledBackBySQLite if all of it is undone.
    """
    if transaction.isolation is Isolation.READ_COMMITTED:
        transaction.next_statement()
    return with_current_catalog(run_once, transaction, statement, sql, parameter_sets)


def run_once(transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]) -> Result:
    """Run a statement as `run` does. Raise CatalogChanged, with nothing done, if its plan's catalog is outdated."""
    plan = plan_of(transaction, statement, sql, parameter_sets[0])
    if transaction.blocks and _may_see_blocks(transaction, plan):
        transaction.settle()
    if not statement.changes_rows:
        return _read(transaction, plan, parameter_sets)
    result = run_point_dml(transaction, plan, parameter_sets)
    if result is None and len(parameter_sets) == 1:
        result = run_bulk_dml(transaction, plan, sql, parameter_sets[0])
    return change(transaction, plan, parameter_sets) if result is None else result


def _may_see_blocks(transaction: Transaction, plan: Plan) -> bool:
    """Return True if a statement may read or change rows that are in blocks. An INSERT asks for the keys of its own."""
    is_insert = plan.statement.kind is StatementKind.INSERT
    changed = (plan.target,) if plan.target is not None and not is_insert else ()
    return plan.reads_schema or transaction.has_blocks((*plan.tables, *changed))


def plan_of(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Plan:
    """Return the plan of a statement, from the plan cache or new. Raise CatalogChanged, and SQLite's errors."""
    workspace, database = transaction.workspace, transaction.database
    own = workspace.temporary or (workspace.redefined and not workspace.redefined.isdisjoint(names(sql)))
    is_shared = not (own or transaction.schema_changed or transaction.later_tables)
    plan = database.plans.get(transaction.catalog.digest, sql, parameters) if is_shared else None
    if plan is None:
        try:
            plan = prepare(workspace, statement, sql, parameters, database.statistics)
        except OperationalError as error:
            # A newer schema than the one we know may have what is missing.
            had_snapshot = transaction.version is not None
            transaction.read_bound = NEWEST
            transaction.ensure_snapshot()
            may_be_later = had_snapshot and str(error).startswith("no such table")
            if not may_be_later or not transaction.add_later_tables(names(sql)):
                raise _mismatch(transaction, statement, sql, parameters) or error from error.__cause__
            return plan_of(transaction, statement, sql, parameters)
        if is_shared:
            database.plans.put(transaction.catalog.digest, sql, parameters, plan)
    if plan.reads_schema:
        transaction.ensure_snapshot()
    return plan


def _mismatch(
    transaction: Transaction, statement: Statement, sql: str, parameters: Parameters
) -> OperationalError | None:
    """Return the error of a foreign key without a key of its parent, where SQLite finds that before another mistake."""
    if transaction.foreign_keys and statement.changes_rows:
        try:
            transaction.workspace.prepare(sql, parameters, _allow, foreign_keys=True)
        except OperationalError as error:
            if str(error).startswith(_FOREIGN_KEY_MISMATCH):
                return error
    return None


def _allow(*_: object) -> int:
    return int(apsw.SQLITE_OK)


def run_bulk_dml(transaction: Transaction, plan: Plan, sql: str, parameters: Parameters) -> Result | None:
    """Run a statement that changes rows without the workspace. Return None, with nothing done, if that is not possible.

    Raise CatalogChanged.
    """
    bulk = bulk_plan_for(transaction, plan, sql)
    if bulk is None:
        return None
    select = plan_of(transaction, bulk.select, bulk.source.sql, parameters)
    if not isinstance(select.compiled, Compiled) or transaction.has_changed((bulk.table, *select.tables)):
        return None
    if isinstance(bulk, BulkDelete) and bulk.source.is_of_all:
        deleted = delete_all(transaction, bulk.table)
        if deleted is not None:
            return deleted
    fetched = fetch(transaction, select, [parameters], only_page=True)
    transaction.ensure_snapshot()
    sources = [(fetched.rows(at), each) for at, each in enumerate(fetched.parameter_sets)]
    with collecting_later(sum(len(rows) for of_tables, _ in sources for rows in of_tables)):
        try:
            found = [select.compiled.run(of_tables, each) for of_tables, each in sources]
        except UnsupportedValue:
            return None
        # Only the callee has these rows, so that they are gone when garbage is collected.
        return write_rows(transaction, bulk, found.pop() if len(found) == 1 else list(chain.from_iterable(found)))


# ── SELECT ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _read(transaction: Transaction, plan: Plan, parameter_sets: Sequence[Parameters]) -> Result:
    is_changed = transaction.has_writes and transaction.has_changed(plan.tables)
    if plan.point_step is not None and len(parameter_sets) == 1 and not is_changed:
        rows = _point_lookup(transaction, plan.point_step, parameter_sets[0])
        if rows is not None:
            try:
                return _evaluate_compiled(plan, [rows], parameter_sets[0])
            except UnsupportedValue:
                pass  # a value that only SQLite knows how to treat
    if plan.reads.topn is not None and len(parameter_sets) == 1:
        topn = fetch_topn(transaction, plan, parameter_sets[0])
        if topn is not None:
            return topn if isinstance(topn, Result) else _evaluate(transaction, plan, topn, parameter_sets)
    can_count = not is_changed and not plan.reads.full_scans and len(parameter_sets) == 1
    # Rows that are to be locked must be fetched.
    if plan.reads.count_step is not None and can_count and transaction.row_locks is None:
        number = _count(transaction, plan.reads.count_step, parameter_sets[0])
        if number is not None:
            return Result([(number,)], plan.description, -1)
    return _evaluate(transaction, plan, fetch(transaction, plan, parameter_sets, only_page=True), parameter_sets)


def _point_lookup(transaction: Transaction, step: Step, parameters: Parameters) -> list[Row] | None:
    """Return the rows of a step that is one simple request; None if these parameters need more than that."""
    request = step.point_lookup.request(parameters) if step.point_lookup else None
    if request is None:
        return None
    requests = [table_request((step.table, request))]
    fetched = transaction.fetch(requests)
    rows = transaction.row_cache.rows(requests)
    if fetched and not step.is_get:
        transaction.database.statistics.note_key(step.table, step.path, request, len(rows))
    return rows


def _count(transaction: Transaction, step: Step, parameters: Parameters) -> int | None:
    """Return the number of a step's rows, counted by the store; None if they must be fetched to be counted."""
    request = bind_count(step, parameters)
    if request is None:
        return None
    number = transaction.count(step.table, request) if request.ranges else 0
    transaction.database.statistics.note(step.table, step.path, [request], number)
    return number


def _evaluate(transaction: Transaction, plan: Plan, fetched: PlanFetch, parameter_sets: Sequence[Parameters]) -> Result:
    """Return the statement's results over the rows that were fetched for it."""
    if isinstance(plan.compiled, Compiled) and not (transaction.has_writes and transaction.has_changed(plan.tables)):
        try:
            sets = fetched.parameter_sets
            if len(sets) == 1:
                return _evaluate_compiled(plan, fetched.rows(0), sets[0])
            if sets:
                return merge_results(
                    [_evaluate_compiled(plan, fetched.rows(at), parameters) for at, parameters in enumerate(sets)]
                )
        except UnsupportedValue:
            pass  # a value that only SQLite knows how to treat
    if not fetched.is_for_workspace:
        fetched = fetch(transaction, plan, parameter_sets)
    transaction.settle()
    transaction.verify_assumed()
    load_workspace(transaction, plan, fetched.left_out)
    result = merge_results([transaction.workspace.run(plan.sql, parameters) for parameters in parameter_sets])
    return result._replace(rows=_with_original_triggers(result.rows)) if plan.reads_schema else result


def _with_original_triggers(rows: list[Row]) -> list[Row]:
    """Return rows of the schema with the texts of triggers as the application wrote them."""
    return [tuple([original_trigger(value) if isinstance(value, str) else value for value in row]) for row in rows]


def _evaluate_compiled(plan: Plan, rows: list[list[Row]], parameters: Parameters) -> Result:
    """Return the compiled function's result over the rows of each table reference. Raise UnsupportedValue."""
    compiled = plan.compiled
    assert isinstance(compiled, Compiled)
    if len(rows) == 1 and type(rows[0]) is SharedRows:
        result = _evaluate_shared(compiled, rows[0], parameters)
    else:
        result = compiled.run(rows, parameters)
    return make_result((result, plan.description or None, -1, None))


def _evaluate_shared(compiled: Compiled, rows: SharedRows, parameters: Parameters) -> list[Row]:
    """Return the compiled function's result over rows that the cache shares. Raise UnsupportedValue."""

    def evaluate() -> list[Row]:
        wanted = compiled.equality(parameters)
        return compiled.run([rows if wanted is None else rows.having(*wanted)], parameters)

    return rows.result(compiled, parameters, evaluate)
