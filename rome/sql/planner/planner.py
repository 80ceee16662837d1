"""The planner: from the analysis of a statement to its read plan.

A plan is made in named steps. Each takes a plan and what was found out about the statement, and returns the plan,
completed:

    order_fetches       choose an access path for each table reference, and order them in rounds
    count_from_index    let the store count the rows that COUNT(*) asks for
    plan_topn           fetch the rows of ORDER BY … LIMIT in batches, until enough come out

A new step is one function and one line in `STEPS`. `count_from_index` is below, the others are modules of their names.

**A superset, evaluated exactly.** A step of the plan may fetch more rows than the statement needs, never fewer: the
statement runs over what was fetched, so a missing row is a wrong answer. Everything here narrows only what it
understands, and the rest is read by a full scan: a text that does not parse, an unknown clause, an ambiguous name, and
the tables that views and triggers use. Plans do not cover what constraints read (`rome.transaction.constraints`).

    >>> print(plan_reads("SELECT * FROM services JOIN tags ON service_id = id WHERE uuid = ?", catalog))
    round 1
      index lookup on services using services_uuid_idx (uuid = ?1)
    round 2
      primary key lookup on tags (service_id = services.id)

When the statement runs, `bind` turns each step and the values of parameters into requests to the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rome.catalog.model import Catalog, Table
from rome.sql.analysis.analyze import Analysis
from rome.sql.analysis.relation import Lists
from rome.sql.planner.candidate_paths import exact_paths
from rome.sql.planner.order_fetches import order_fetches
from rome.sql.planner.plan_topn import plan_topn
from rome.sql.planner.read_plan import PlannerInput, ReadPlan, Step
from rome.sql.planner.skew import note_classes
from rome.sql.planner.statistics import Basis, Statistics
from rome.sql.syntax.operands import Parameters


def count_from_index(plan: ReadPlan, given: PlannerInput) -> ReadPlan:
    """Planner step: let the store count rows, so that none are fetched; return the plan with a `count_step`.

        SELECT count(*) FROM p WHERE host = ?

        before     the statement counts the rows of p with host = ?1, and nothing else
        after      count from index p_host of p (host = ?1)

    Index entries are counted in place of rows. So there must be a path to exactly the rows that fulfil the conditions,
    and to no others. If the transaction has changed the table, or rows are to be locked, the rounds of the plan are
    used.
    """
    counted = given.counted
    if counted is None or counted.topn is None:
        return plan
    path = max(exact_paths(counted.table, counted.topn.conditions), key=lambda path: path.rank, default=None)
    if path is None:
        return plan
    return replace(plan, count_step=Step(counted.number, counted.table, path, 0.0, alias=counted.name))


STEPS: tuple[Callable[[ReadPlan, PlannerInput], ReadPlan], ...] = (order_fetches, count_from_index, plan_topn)


def plan_reads(
    analysis: Analysis,
    lists: Lists,
    catalog: Catalog,
    statistics: Statistics,
    full_scans: Sequence[Table],
    *,
    parameters: Parameters = (),
    has_topn: bool = True,
    has_page: bool = False,
) -> ReadPlan:
    """Return the read plan of a statement.

    `analysis`: of its normalized text, perhaps under another catalog with tables of the same shape. `lists`: what the
    placeholders of that text stand for. `full_scans`: the tables to be read whole. `parameters`: the values of this
    execution, by which paths are chosen (`rome.sql.planner.skew`). `has_topn`: a Top-N plan may be
    made. `has_page`: other tables may be looked up by the rows that a derived table has.
    """
    basis = Basis(statistics)
    topn = analysis.topn if has_topn else None
    given = PlannerInput(
        relations=tuple(relation.with_lists(lists, catalog) for relation in analysis.relations),
        scanned=analysis.whole,
        counted=analysis.row_count.with_lists(lists, catalog) if analysis.row_count else None,
        topn=replace(topn, relation=topn.relation.with_lists(lists, catalog)) if topn else None,
        page=analysis.page if has_page else None,
        statistics=basis,
        parameters=parameters,
    )
    plan = ReadPlan(basis, analysis.parsed, full_scans=tuple(full_scans))
    for step in STEPS:
        if step is not plan_topn or given.topn is not None:
            plan = step(plan, given)
    if basis.asked_skewed():
        note_classes(plan, parameters)
    return plan
