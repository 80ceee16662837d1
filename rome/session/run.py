"""Running one statement in a transaction: fetch a superset, evaluate exactly.

    read      fetch what the access paths ask for → run the text in the workspace
    change    the same, with constraint reads (`changes`) → the workspace records what it changed → journal
    schema    `schema_change`

Five functions in order lead from text to rows: `Statements.run`, `plan`, `Transaction.fetch`, `RowCache.add`,
`Workspace.run`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rome.compiled import Compiled
from rome.errors import OperationalError
from rome.fallback import UnsupportedValue
from rome.fast_tuples import tuple_maker
from rome.plan.plan import Plan
from rome.plan.prepare import prepare
from rome.session.dml import change
from rome.session.fetch import PlanFetch, fetch, rows_of_step, stage
from rome.session.topn import fetch_page
from rome.sql.planner.bind import bind_count
from rome.sql.planner.step import Step
from rome.sql.syntax.statement import Statement
from rome.sqlite.workspace import Parameters, Result, Row, together
from rome.transaction.transaction import CatalogChanged, Transaction


def run(transaction: Transaction, statement: Statement, sql: str, rows: Sequence[Parameters]) -> Result:
    """Run a statement that reads or changes rows, once for each set of parameters; the results together.

    Raises PEP 249's errors; the transaction is as before the statement then. RolledBack when it is gone.
    """
    transaction.next_statement()
    # Whether the schema we know is the newest is seen at the first fetch; then the statement is planned again.
    for _ in range(3):
        try:
            plan = plan_of(transaction, statement, sql, rows[0])
            if statement.changes_rows:
                return change(transaction, plan, rows)
            return _read(transaction, plan, rows)
        except CatalogChanged:
            continue
    raise OperationalError("the schema keeps changing under this statement; run it again")


def plan_of(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Plan:
    """The plan of a statement: the one that is known, or a new one. Raises StaleCatalog, and SQLite's errors."""
    workspace, database = transaction.workspace, transaction.database
    is_shared = not (workspace.temporary or transaction.schema_changed)
    plan = database.plans.get(transaction.catalog.digest, sql) if is_shared else None
    if plan is None:
        try:
            plan = prepare(workspace, statement, sql, parameters, database.statistics)
        except OperationalError:
            # What is missing may be there in a newer schema than the one we know.
            transaction.ensure_snapshot()
            raise
        if is_shared:
            database.plans.put(transaction.catalog.digest, sql, plan)
    if plan.about_schema:
        transaction.ensure_snapshot()
    return plan


def _read(transaction: Transaction, plan: Plan, rows: Sequence[Parameters]) -> Result:
    is_changed = transaction.has_changed(plan.tables)
    if plan.point_step is not None and len(rows) == 1 and not is_changed:
        found = rows_of_step(transaction, plan.point_step, rows[0])
        if found is not None:
            try:
                return _evaluated(plan, [found], rows[0])
            except UnsupportedValue:
                pass  # a value that only SQLite knows how to treat
    if plan.reads.topn is not None and len(rows) == 1:
        page = fetch_page(transaction, plan, rows[0])
        if page is not None:
            return page if isinstance(page, Result) else _evaluate(transaction, plan, page, rows)
    can_count = not is_changed and not plan.reads.full_scans and len(rows) == 1
    # Rows that are to be locked must be seen.
    if plan.reads.count_step is not None and can_count and transaction.row_locks is None:
        number = _count(transaction, plan.reads.count_step, rows[0])
        if number is not None:
            return Result([(number,)], plan.description, -1)
    return _evaluate(transaction, plan, fetch(transaction, plan, rows), rows)


def _evaluate(transaction: Transaction, plan: Plan, fetching: PlanFetch, rows: Sequence[Parameters]) -> Result:
    """The statement's results over what was fetched for it."""
    if isinstance(plan.compiled, Compiled) and not transaction.has_changed(plan.tables):
        try:
            return together([_evaluated(plan, fetching.rows(at), parameters) for at, parameters in enumerate(rows)])
        except UnsupportedValue:
            pass  # a value that only SQLite knows how to treat
    if not fetching.is_for_workspace:
        fetch(transaction, plan, rows)
    stage(transaction, plan)
    return together([transaction.workspace.run(plan.sql, parameters) for parameters in rows])


def _count(transaction: Transaction, step: Step, parameters: Parameters) -> int | None:
    """The number of a step's rows; None where they must be fetched to be counted."""
    request = bind_count(step, parameters)
    if request is None:
        return None
    number = transaction.count(step.table, request) if request.ranges else 0
    transaction.database.statistics.note(step, [request], number)
    return number


def _evaluated(plan: Plan, rows: list[list[Row]], parameters: Parameters) -> Result:
    """What the plan's function makes of the rows of each table reference. Raises UnsupportedValue."""
    assert isinstance(plan.compiled, Compiled)
    return _result((plan.compiled.run(rows, parameters), plan.description or None, -1, None))


_result = tuple_maker(Result)
