"""Pages of which it is not known how many rows they take: rows are fetched in their order until enough have come out.

    SELECT c.* FROM c JOIN p ON p.id = c.pid WHERE c.name LIKE ? ORDER BY c.id LIMIT 20

    round 1
      c by key, first 20, and on while too few come out
    round 2
      p by key (id = c.pid)

The statement over some rows from the front of a path in the wanted order, and over whatever belongs to them, gives the
first of its rows. If these are as many as LIMIT and OFFSET ask for, or if there are no more rows, they are all that is
wanted; else more rows are fetched, `LEAST_GROWTH` to `MOST_GROWTH` times as many. How many it takes is learned: the
statistics know for each filter how many rows come out for one that goes in (its rate), so that mostly the first
attempt is enough.

What it costs at worst, with a filter that lets hardly anything through: two thirds of the rows that everything takes
are fetched in vain (four thirds, where it is not known yet how many those are), and then everything. Each attempt takes
the rounds of the plan once more; there are log(rows / first attempt) / log(`LEAST_GROWTH`) of them at most. What was
learned of the filter spares that the next time: then everything is fetched at once, but for a look now and then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set

from rome.sql.analysis.relation import Relation, TopNSource
from rome.sql.planner.access_path import Limit
from rome.sql.planner.candidate_paths import in_order, path_rank
from rome.sql.planner.order_fetches import ROUND_ROWS, Rounds, arrange, expected, rows_of
from rome.sql.planner.read_plan import Page, ReadPlan, Step
from rome.sql.planner.statistics import Statistics

LEAST_GROWTH = 4
MOST_GROWTH = 8

_RATE = 0.5
"""Of filters of which nothing is known."""

_DEVIATIONS = 2.0
"""By how many standard deviations fewer rows than expected may come out without that one more attempt is needed."""


def plan_page(
    front: TopNSource,
    driving: Relation,
    table_refs: Sequence[Relation],
    whole: Set[str],
    statistics: Statistics,
    everything: Rounds,
) -> Page | None:
    """The way to a page from the front of a table reference's rows; None if it is never less than to fetch everything.

    `everything`: the rounds that fetch everything.
    """
    table, topn = driving.table, driving.topn
    others = [step for steps in everything for step in steps if step.table_ref in front.table_refs]
    if topn is None or any(step.limit is not None for step in others) or table.name.lower() in whole:
        return None
    limit = Limit(topn.limit, topn.descending, goes_on=True)
    paths = list(in_order(table, driving.predicates, driving.any_of, topn))
    if not paths:
        return None
    found = [(rows_of(table, path, statistics, {}), path) for path in paths]
    rows, path = min(found, key=lambda each: (each[0], *(-value for value in path_rank(each[1]))))
    # Not more of them matter than those which are fetched otherwise.
    rate = min(max(sum(step.rows for step in others), 1.0) / max(rows, 1.0), 1.0)
    steps = [Step(number, table, path, max(expected(limit), 1.0) / rate, limit) for number in front.table_refs]
    step = steps[0]
    rounds = arrange(table_refs, whole, statistics, steps)
    each, beside = _split(rounds, steps)
    most = (_cost(everything) - beside - ROUND_ROWS * len(rounds)) / each
    if most <= step.rows:
        return None
    return Page(ReadPlan(rounds=rounds), step, limit, front.is_whole_statement, front.filter_id, min(rate, _RATE), most)


def _cost(rounds: Rounds) -> float:
    return sum(step.rows for steps in rounds for step in steps) + ROUND_ROWS * len(rounds)


def _split(rounds: Rounds, front: Sequence[Step]) -> tuple[float, float]:
    """How many rows are fetched for each row of some steps (which bring the same), itself included; how many beside."""
    of_front, beside = front[0].rows, 0.0
    led = {step.table_ref for step in front}
    for steps in rounds:
        for step in steps:
            if not led.isdisjoint(step.after):
                led.add(step.table_ref)
                of_front += step.rows
            elif step.table_ref not in led:
                beside += step.rows
    return of_front / front[0].rows, beside


def first_attempt(page: Page, wanted: int, statistics: Statistics) -> int | None:
    """How many rows to begin with, for so many to come out; None if everything is less."""
    rate = statistics.rate(page.about)
    rows = _enough(wanted, page.rate if rate is None else rate)
    most = page.most if rate is None else page.most / 2  # (to know it is worth a first attempt)
    return rows if rows <= most else None


def next_attempt(page: Page, wanted: int, came: int, of: int) -> int | None:
    """How many rows to go on with, after fewer than wanted came out of some; None if everything is less."""
    rows = min(max(_enough(wanted, (came + 0.5) / of), LEAST_GROWTH * of), MOST_GROWTH * of)
    return rows if rows <= page.most / 2 else None


def _enough(wanted: int, rate: float) -> int:
    """Out of how many rows so many come, most likely."""
    return math.ceil((wanted + _DEVIATIONS * math.sqrt(wanted * abs(1 - rate))) / rate)
