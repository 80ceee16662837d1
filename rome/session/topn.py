"""Fetching a page from the front of the rows in its order, until enough rows have come out (`planner.plan_topn`).

How many come out is told by a compiled function, or, where the whole statement is the page, by the workspace. The
workspace has all rows of a table together: what it says holds only if it has none that lie behind those that this
page has fetched.
"""

from __future__ import annotations

from dataclasses import replace

from rome.errors import Error
from rome.fallback import UnsupportedValue
from rome.plan.plan import Plan
from rome.session.fetch import PlanFetch, fetch, stage
from rome.sql.planner.bind import bind_step, number_of
from rome.sql.planner.plan_topn import initial_batch, next_batch
from rome.sql.planner.read_plan import TopNPlan
from rome.sqlite.workspace import Parameters, Result
from rome.transaction.transaction import Transaction


def first_rows(transaction: Transaction, plan: Plan, parameters: Parameters) -> int | None:
    """With how many rows of its step a plan's page begins; None if everything is fetched."""
    asked = _asked(plan, parameters)
    return None if asked is None else initial_batch(*asked, transaction.database.statistics)


def _asked(plan: Plan, parameters: Parameters) -> tuple[TopNPlan, int] | None:
    """A plan's page, and how many rows LIMIT and OFFSET ask for; None if there is none, or that can't be told."""
    page = plan.reads.topn
    wanted = number_of(page.limit, parameters) if page is not None else None
    return None if page is None or wanted is None else (page, wanted)


def fetch_page(transaction: Transaction, plan: Plan, parameters: Parameters) -> PlanFetch | Result | None:
    """Fetch what is enough for a plan's page, or answer the statement at once; None if everything is to be fetched."""
    asked = _asked(plan, parameters)
    if asked is None:
        return None
    page, wanted = asked
    # (A subselect's page is told by what is in the store.)
    if transaction.has_changed((page.step.table,) if page.is_statement else plan.tables):
        return None
    statistics = transaction.database.statistics
    rows = initial_batch(page, wanted, statistics)
    if rows is None and wanted <= page.max_batch:
        statistics.nudge_selectivity(page.filter_id)
    while rows is not None:
        fetching = fetch(transaction, plan, (parameters,), first=rows)
        brought = len(fetching.of_step(page.step))
        found = _come_out(transaction, plan, fetching, parameters)
        if found is None:
            return None
        came = len(found.rows) if isinstance(found, Result) else found
        if brought < rows:
            statistics.note(page.step, bind_step(page.step, parameters, None), brought)
        is_enough = came >= wanted or brought != rows  # (more rows than asked for are all there are)
        rows = None if is_enough else next_batch(page, wanted, came, brought)
        if rows is None and brought:
            statistics.note_selectivity(page.filter_id, came, brought)
        if is_enough:
            return _cut(found, page, wanted, parameters) if isinstance(found, Result) else fetching
    return None


def _come_out(transaction: Transaction, plan: Plan, fetching: PlanFetch, parameters: Parameters) -> Result | int | None:
    """What comes out if LIMIT and OFFSET leave all, or how many rows; None if that can't be told."""
    if plan.unlimited is not None and not transaction.has_changed(plan.tables):
        try:
            return len(plan.unlimited.run(fetching.rows(0), parameters))
        except UnsupportedValue:
            pass  # a value that only SQLite knows how to treat
    if plan.unlimited_sql is None or not fetching.is_for_workspace:
        return None
    stage(transaction, plan)
    try:
        return transaction.workspace.run(plan.unlimited_sql, parameters)
    except Error:
        return None  # of a row, perhaps, behind those that LIMIT leaves


def _cut(result: Result, page: TopNPlan, wanted: int, parameters: Parameters) -> Result:
    """What LIMIT and OFFSET leave. (They are not left to SQLite: random() would tell something else the next time.)"""
    limit = number_of(replace(page.limit, counts=page.limit.counts[:1]), parameters) or 0
    return result._replace(rows=result.rows[wanted - limit : wanted])
