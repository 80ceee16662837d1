"""Read plans: which rows of which tables a statement fetches, by which access path, and in which round.

It is made once for a text and a catalog, is shared between executions, and holds no values. Its text is what the golden
tests show, and EXPLAIN with the estimated numbers of rows:

    round 1
      index lookup on services using services_uuid_idx (uuid = ?1)
    round 2
      primary key lookup on tags (service_id = services.id)
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from functools import cached_property

from rome.catalog.model import Table
from rome.sql.analysis.relation import Relation, TopNSource
from rome.sql.planner.access_path import FullScan, Limit
from rome.sql.planner.statistics import Basis, Statistics
from rome.sql.planner.step import Step

Rounds = tuple[tuple[Step, ...], ...]
"""The steps of each round. A round is one round trip to the store."""


@dataclass(frozen=True)
class ReadPlan:
    """The read plan of a statement.

    `basis`: the statistics that the plan was chosen by. `parsed`: the text was understood. If not, the plan is empty,
    and all tables that SQLite touches must be read. `rounds`: a step depends on the rows of steps in earlier rounds
    only. `full_scans`: tables to be read whole because no step covers them: those that views and triggers use, or a
    syntax that is not analyzed. They belong to round 1. `count_step`: the statement counts this step's rows, so that
    the store may count them and nothing is fetched. `topn`: another plan of the same rows, which fetches only as many
    as LIMIT needs.
    """

    basis: Basis = field(compare=False, repr=False)
    parsed: bool = True
    rounds: Rounds = ()
    full_scans: tuple[Table, ...] = ()
    count_step: Step | None = None
    topn: TopNPlan | None = None

    def under(self, statistics: Statistics) -> ReadPlan | None:
        """Return the same plan based on another database's statistics; None if these may lead to another plan."""
        basis = self.basis.under(statistics)
        return None if basis is None else replace(self, basis=basis)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return all steps, in the order of their rounds."""
        return tuple(step for steps in self.rounds for step in steps)

    @cached_property
    def by_table_ref(self) -> dict[int, Step]:
        """Return the steps by the numbers of their table references, in ascending order."""
        return {step.table_ref: step for step in sorted(self.steps, key=lambda step: step.table_ref)}

    @cached_property
    def backward(self) -> frozenset[int]:
        """Return the table references whose rows are read backward, in descending order of their keys.

        The evaluators get these rows in that order, so that rows which ORDER BY does not distinguish come in the same
        order whichever page is asked for.
        """
        steps = self.steps + (self.topn.reads.steps if self.topn is not None else ())
        return frozenset(each.table_ref for each in steps if each.limit and each.limit.backward)

    def __str__(self) -> str:
        if self.count_step:
            return self.count_step.describe_count()
        if self.topn:
            return str(self.topn.reads)
        lines = []
        for number, steps in enumerate(self.rounds or ((),), 1):
            scans = self.other_scans if number == 1 else []
            shown = dict.fromkeys([*map(str, steps), *map(str, scans)])
            lines += [f"round {number}", *(f"  {each}" for each in shown)] if shown else []
        return "\n".join(lines) or "nothing to fetch"

    @property
    def other_scans(self) -> list[FullScan]:
        """Return the full scans that are not steps as well."""
        scanned = {step.table.id for step in self.steps if isinstance(step.path, FullScan)}
        return [FullScan(table.name) for table in self.full_scans if table.id not in scanned]


@dataclass(frozen=True)
class TopNPlan:
    """A plan that fetches a table reference in the order of ORDER BY, in batches, until enough rows come out.

    `reads`: the rounds, for whatever batch of rows `step` fetches. (Each member of a UNION has a step like it.)
    `limit`: LIMIT and OFFSET. `is_statement`: these are the statement's own, not those of a subquery in it.
    `filter_id`: what the statistics know the selectivity by: how many rows come out for one row of the step.
    `selectivity`: what it is estimated at before anything is known. `max_batch`: a batch of this size costs as much as
    to fetch everything.
    """

    reads: ReadPlan
    step: Step
    limit: Limit
    is_statement: bool
    filter_id: int
    selectivity: float
    max_batch: float


@dataclass(frozen=True)
class PlannerInput:
    """The input of the planner's steps: the analysis of a statement with its IN lists filled in, and statistics.

    `relations`: the table references and their predicates. `scanned`: the lower-case names of tables that are read
    whole anyway. `counted`: the table reference whose rows the statement counts. `topn`: the table reference in whose
    order the rows of a query block with LIMIT come out.
    """

    relations: tuple[Relation, ...]
    scanned: Set[str]
    counted: Relation | None
    topn: TopNSource | None
    statistics: Statistics
