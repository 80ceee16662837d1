"""Execute a Top-N plan: fetch the front of an order in growing batches, until enough rows come out of the query.

    SELECT … FROM t JOIN u ON … WHERE u.a = ? ORDER BY t.id LIMIT 10

    batch 1   the first 20 rows of t in key order, and their rows of u → 6 rows come out
    batch 2   the first 60 rows of t, and so on, until 10 come out or t ends

`rome.sql.planner.plan_topn` chooses the sizes, from the selectivity that the statistics have learned. A compiled
function counts the rows that come out. Where there is none, and the LIMIT is that of the whole statement, the workspace
evaluates the statement without it. The workspace has all cached rows of a table, so its result is valid only if none of
them sorts after the rows of the batch.

Where the rows are in the order of the first terms of ORDER BY only, those of the last group of a batch take no part
(`rome.sql.planner.incremental_sort`).
"""

from __future__ import annotations

from dataclasses import replace

from rome.errors import Error
from rome.fallback import UnsupportedValue
from rome.plan.plan import Plan
from rome.session.fetch import PlanFetch, fetch, load_workspace
from rome.sql.planner.bind import bind_step, number_of
from rome.sql.planner.plan_topn import BatchResult, initial_batch, next_batch, note_batch, note_full_fetch
from rome.sql.planner.read_plan import TopNPlan
from rome.sqlite.workspace import Parameters, Result
from rome.transaction.transaction import Transaction


def initial_batch_size(transaction: Transaction, plan: Plan, parameters: Parameters) -> int | None:
    """Return the size of the first batch of a plan's Top-N step; None if everything is fetched."""
    asked = _rows_needed(plan, parameters)
    return None if asked is None else initial_batch(*asked, transaction.database.statistics)


def _rows_needed(plan: Plan, parameters: Parameters) -> tuple[TopNPlan, int] | None:
    """Return a plan's Top-N plan and the sum of LIMIT and OFFSET; None without one, or if they are not known."""
    topn = plan.reads.topn
    needed = number_of(topn.limit, parameters) if topn is not None else None
    return None if topn is None or needed is None else (topn, needed)


def fetch_topn(transaction: Transaction, plan: Plan, parameters: Parameters) -> PlanFetch | Result | None:
    """Fetch enough rows for a Top-N plan. Return them, or the whole result; None if everything must be fetched."""
    asked = _rows_needed(plan, parameters)
    if asked is None:
        return None
    topn, needed = asked
    # The LIMIT of a subselect counts rows of the store only.
    if transaction.has_changed((topn.step.table,) if topn.is_statement else plan.tables):
        return None
    statistics = transaction.database.statistics
    batch = initial_batch(topn, needed, statistics)
    if batch is None and needed <= topn.max_batch:
        note_full_fetch(topn, statistics)
    while batch is not None:
        fetched = fetch(transaction, plan, (parameters,), batch=batch, only_page=True)
        brought = len(fetched.rows_of_step(topn.step))
        found = _evaluate_unlimited(transaction, plan, fetched, parameters)
        if found is None:
            return None
        passed = len(found.rows) if isinstance(found, Result) else found
        if brought < batch:
            statistics.note(topn.step.table, topn.step.path, bind_step(topn.step, parameters, None), brought)
        is_enough = passed >= needed or brought != batch  # (more rows than asked for: these are all that there are)
        last = _batch_result(fetched, brought, passed)
        batch = None if is_enough else next_batch(topn, needed, last)
        if batch is None:
            note_batch(topn, last, is_enough=is_enough, statistics=statistics)
        if is_enough:
            return _apply_limit(found, topn, needed, parameters) if isinstance(found, Result) else fetched
    return None


def _batch_result(fetched: PlanFetch, brought: int, passed: int) -> BatchResult:
    groups = fetched.groups
    if groups is None:
        return BatchResult(brought, brought, passed, None)
    return BatchResult(brought, len(groups.complete), passed, groups.size)


def _evaluate_unlimited(
    transaction: Transaction, plan: Plan, fetched: PlanFetch, parameters: Parameters
) -> Result | int | None:
    """Return the result without LIMIT and OFFSET, or the number of its rows; None if neither can be found."""
    if plan.unlimited is not None and not transaction.has_changed(plan.tables):
        try:
            return len(plan.unlimited.run(fetched.rows(0), parameters))
        except UnsupportedValue:
            pass  # a value that only SQLite knows how to treat
    if plan.unlimited_sql is None or not fetched.is_for_workspace:
        return None
    load_workspace(transaction, plan, fetched.left_out)
    try:
        return transaction.workspace.run(plan.unlimited_sql, parameters)
    except Error:
        return None  # perhaps of a row that LIMIT would have left out


def _apply_limit(result: Result, topn: TopNPlan, needed: int, parameters: Parameters) -> Result:
    """Return the rows that LIMIT and OFFSET leave. SQLite does not run again for it: random() would differ."""
    limit = number_of(replace(topn.limit, counts=topn.limit.counts[:1]), parameters) or 0
    return result._replace(rows=result.rows[needed - limit : needed])
