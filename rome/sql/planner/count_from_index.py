"""Planner step: let the store count rows, so that none are fetched.

    SELECT count(*) FROM p WHERE host = ?

    before     the statement counts the rows of p with host = ?1, and nothing else
    after      count from index p_host of p (host = ?1)

Index entries are counted in place of rows. So there must be a path to exactly the rows that fulfil the conditions, and
to no others. If the transaction has changed the table, or rows are to be locked, the rounds of the plan are used.
"""

from __future__ import annotations

from dataclasses import replace

from rome.sql.planner.candidate_paths import exact_paths
from rome.sql.planner.read_plan import PlannerInput, ReadPlan
from rome.sql.planner.step import Step


def count_from_index(plan: ReadPlan, given: PlannerInput) -> ReadPlan:
    """Return the plan with a `count_step`, if the statement counts rows that an exact path leads to."""
    counted = given.counted
    if counted is None or counted.topn is None:
        return plan
    path = max(exact_paths(counted.table, counted.topn.conditions), key=lambda path: path.rank, default=None)
    return (
        plan
        if path is None
        else replace(plan, count_step=Step(counted.number, counted.table, path, 0.0, alias=counted.name))
    )
