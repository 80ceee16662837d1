"""Planner step: fetch the rows of ORDER BY … LIMIT in batches, where filters and joins drop some of them (Top-N).

    SELECT c.* FROM c JOIN p ON p.id = c.pid WHERE c.name <> ? ORDER BY c.id LIMIT 20

    before     round 1    full scan of c
                          full scan of p
    after      round 1    Top-N on primary key of c, limit 20, grows
               round 2    primary key lookup on p (id = c.pid)

The number of rows of c that lead to 20 results is not known. So a batch of rows is fetched from the front of a path in
the order of ORDER BY, with all rows that they join, and the statement runs over these. Its results are the first ones:
rows after the batch come later in the order. If the results are as many as LIMIT and OFFSET ask for, or the path has no
more rows, the page is complete; otherwise a batch is fetched that is `MIN_GROWTH` to `MAX_GROWTH` times as large. The
statistics remember the selectivity of each filter, so the first batch is usually large enough. `rome.session.topn`
executes the batches.

If a path has only the first terms of ORDER BY in its order, of a batch only complete groups of equal values count
(`rome.sql.planner.incremental_sort`). The statistics remember the size of the groups, and a batch is larger by that.
Where groups are so large that a batch cannot win, everything is fetched.

The worst case is a filter that drops nearly all rows. Then two thirds of the cost of fetching everything are wasted
(four thirds, if the selectivity is not known yet) before everything is fetched. Each batch repeats the rounds of the
plan; there are at most log(rows / first batch) / log(`MIN_GROWTH`) batches. The next time, the selectivity is known and
everything is fetched at once, except for a new try now and then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rome.folding import fold_name
from rome.sql.planner.access_path import Limit
from rome.sql.planner.candidate_paths import OrderedPath, ordered_paths
from rome.sql.planner.order_fetches import ROUND_ROWS, estimate_limit, estimate_rows, rounds_of
from rome.sql.planner.read_plan import PlannerInput, ReadPlan, Rounds, Step, TopNPlan
from rome.sql.planner.statistics import Statistics

MIN_GROWTH = 4
MAX_GROWTH = 8

_SELECTIVITY = 0.5
"""The estimate for filters of which nothing is known."""

_DEVIATIONS = 2.0
"""The first batch allows for so many standard deviations fewer results than expected."""


def plan_topn(plan: ReadPlan, given: PlannerInput) -> ReadPlan:
    """Return the plan with a Top-N plan, if there is an ordered path and a batch may cost less than everything."""
    source = given.topn
    if source is None:
        return plan
    relation, order = source.relation, source.relation.topn
    in_full = [step for step in plan.steps if step.table_ref in source.table_refs]
    if order is None or any(step.limit for step in in_full) or fold_name(relation.table.name) in given.scanned:
        return plan
    found: list[tuple[float, OrderedPath]] = [
        (estimate_rows(relation.table, each.path, given.statistics, {}, given.parameters), each)
        for each in ordered_paths(relation, order)
    ]
    if not found:
        return plan
    rows, (path, presorted) = min(found, key=_preference)
    limit = Limit(order.limit, order.descending, grows=True, presorted=presorted)
    # No more rows of the path matter than the plan without Top-N would fetch.
    selectivity = min(max(sum(step.rows for step in in_full), 1.0) / max(rows, 1.0), 1.0)
    batch = max(estimate_limit(limit), 1.0) / selectivity
    names = {each.number: each.name for each in given.relations}
    steps = [Step(number, relation.table, path, batch, limit, names[number]) for number in source.table_refs]
    rounds = rounds_of(given, steps)
    per_row, fixed = _cost_per_row(rounds, steps)
    max_batch = (_cost(plan.rounds) - fixed - ROUND_ROWS * len(rounds)) / per_row
    if max_batch <= batch:
        return plan
    reads = ReadPlan(plan.basis, rounds=rounds)
    default = min(selectivity, _SELECTIVITY)
    return replace(
        plan, topn=TopNPlan(reads, steps[0], limit, source.is_whole_statement, source.filter_id, default, max_batch)
    )


def _preference(option: tuple[float, OrderedPath]) -> tuple[float, ...]:
    """Return the sort key of a path and its estimated rows, the best one first: if need be, the one with most order."""
    rows, (path, presorted) = option
    return rows, bool(presorted), -len(presorted), *(-value for value in path.rank)


def _cost(rounds: Rounds) -> float:
    return sum(step.rows for steps in rounds for step in steps) + ROUND_ROWS * len(rounds)


def _cost_per_row(rounds: Rounds, batch: Sequence[Step]) -> tuple[float, float]:
    """Return how many rows are fetched for each row of a batch, itself included, and how many independently of it."""
    of_batch, fixed = batch[0].rows, 0.0
    dependent = {step.table_ref for step in batch}
    for steps in rounds:
        for step in steps:
            if not dependent.isdisjoint(step.depends_on):
                dependent.add(step.table_ref)
                of_batch += step.rows
            elif step.table_ref not in dependent:
                fixed += step.rows
    return of_batch / batch[0].rows, fixed


# ── while it runs ─────────────────────────────────────────────────────────────────────────────────────────────────────


class BatchResult(NamedTuple):
    """The outcome of a batch of a Top-N plan.

    `rows`: how many. `complete`: how many of them took part in the result. `results`: how many came out. `group_size`:
    of the groups that an incremental sort distinguishes; None if all rows took part.
    """

    rows: int
    complete: int
    results: int
    group_size: float | None


def initial_batch(topn: TopNPlan, wanted: int, statistics: Statistics) -> int | None:
    """Return the size of the first batch, for so many results; None if fetching everything costs less."""
    selectivity = statistics.selectivity(topn.filter_id)
    rows = _batch_for(wanted, topn.selectivity if selectivity is None else selectivity)
    if topn.limit.presorted:
        rows += _rest_of_group(statistics.group_size(topn.step.table, topn.step.path, topn.limit))
    most = topn.max_batch if selectivity is None else topn.max_batch / 2  # (to learn it is worth a first batch)
    return rows if rows <= most else None


def next_batch(topn: TopNPlan, wanted: int, last: BatchResult) -> int | None:
    """Return the size of the batch after one that had too few results; None if fetching everything costs less."""
    selectivity = (last.results + 0.5) / last.complete if last.complete else topn.selectivity
    rows = _batch_for(wanted, selectivity)
    if last.group_size is not None:
        rows += _rest_of_group(last.group_size)
    rows = min(max(rows, MIN_GROWTH * last.rows), MAX_GROWTH * last.rows)
    return rows if rows <= topn.max_batch / 2 else None


def note_batch(topn: TopNPlan, last: BatchResult, *, is_enough: bool, statistics: Statistics) -> None:
    """Record what the last batch has shown."""
    if last.complete:
        statistics.note_selectivity(topn.filter_id, last.results, last.complete)
    if last.group_size is not None:
        # Of a group that is larger than the last batch, only a larger batch could have brought all.
        size = last.group_size if last.complete or is_enough else float(MAX_GROWTH * last.rows)
        statistics.note_group_size(topn.step.table, topn.step.path, topn.limit, size)


def note_full_fetch(topn: TopNPlan, statistics: Statistics) -> None:
    """Let a batch be tried again at some time, after everything was fetched because of what is known."""
    statistics.nudge_selectivity(topn.filter_id)
    if topn.limit.presorted:
        statistics.nudge_group_size(topn.step.table, topn.step.path, topn.limit)


def _batch_for(wanted: int, selectivity: float) -> int:
    """Return the number of rows from which so many results come out, most likely."""
    return math.ceil((wanted + _DEVIATIONS * math.sqrt(wanted * abs(1 - selectivity))) / selectivity)


def _rest_of_group(size: float) -> int:
    """Return how many more rows it takes to the end of a group, and to see that it has ended, most likely."""
    return math.ceil(2 * size - 1)
