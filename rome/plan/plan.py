"""Plans: how a statement is run under one catalog. Immutable, without values, shared between connections."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rome.catalog.model import Table
from rome.compiled.compile import Compiled, NotCompiled
from rome.sql.planner.read_plan import ReadPlan
from rome.sql.planner.step import Step
from rome.sql.rewrite.counter_ids import ValueRows
from rome.sql.syntax.statement import Statement


@dataclass(frozen=True)
class Plan:
    """The plan of a statement under one catalog.

    `sql`: the text for the workspace, in which an INSERT calls the sequence. `mentioned`: the names in the text.
    `reads`: what is fetched. `compiled`: the compiled evaluator, or the reason why there is none. `description`:
    PEP 249's description of the result. `reads_schema`: the statement reads the schema itself, so the workspace must
    have all of it. `target`: the table that the statement changes. `values`: the rows of INSERT … VALUES, as far as
    they are known before it runs. `unlimited`, `unlimited_sql`: a function and a text for the query block of the Top-N
    plan (`reads.topn`) without its LIMIT and OFFSET. `point_plan`: how to run an INSERT or UPDATE by key without
    SQLite, put there by `rome.session.point_dml` at the first execution.
    """

    statement: Statement
    sql: str
    mentioned: frozenset[str]
    reads: ReadPlan
    compiled: Compiled | NotCompiled
    description: tuple[tuple[object, ...], ...]
    reads_schema: bool = False
    values: ValueRows | None = None
    target: Table | None = None
    unlimited: Compiled | None = None
    unlimited_sql: str | None = None
    expected_ids: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By table id: how many ids the last execution allocated, if the text does not determine it. A hint only."""
    point_plan: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    @cached_property
    def point_step(self) -> Step | None:
        """Return the only step of a compiled statement that is a point lookup; None for any other statement."""
        reads = self.reads
        is_simple = len(reads.steps) == 1 and not (reads.full_scans or reads.count_step or reads.topn)
        if not is_simple or not isinstance(self.compiled, Compiled):
            return None
        (step,) = reads.steps
        return step if step.point_lookup else None

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Return the tables that the statement reads, each once."""
        found = {table.id: table for table in self.reads.full_scans}
        found.update((step.table.id, step.table) for step in self.reads.steps)
        return tuple(found.values())
