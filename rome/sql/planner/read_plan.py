"""The plan of a statement's reads: which rows are fetched, by which path, and in which order.

It is made once for a text and a catalog, shared between executions, and holds no values. Its text is what EXPLAIN and
the golden tests show:

    round 1
      services by services_uuid_idx (uuid = ?1)
    round 2
      tags by key (service_id = services.id)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from rome.catalog.model import Table
from rome.sql.planner.access_path import KeyPath, Limit, Path, Scan
from rome.sql.planner.point_lookup import OnePrefix, one_prefix
from rome.sql.planner.statistics import Basis, Statistics


@dataclass(frozen=True)
class Step:
    """The rows of one table reference of a table."""

    table_ref: int
    """Its number, as `table_refs` counts them."""
    table: Table
    path: Path
    rows: float
    """How many rows it is expected to bring."""
    limit: Limit | None = None
    """That only the first rows of the path are needed."""

    @cached_property
    def after(self) -> frozenset[int]:
        """The table references whose rows must have been fetched before."""
        return frozenset() if isinstance(self.path, Scan) else self.path.after

    @cached_property
    def one_prefix(self) -> OnePrefix | None:
        """How the rows are asked for, where that is simple."""
        return None if self.limit else one_prefix(self.table, self.path)

    @cached_property
    def is_get(self) -> bool:
        """Whether rows are got by their whole keys."""
        return isinstance(self.path, KeyPath) and self.path.is_get

    def __str__(self) -> str:
        return f"{self.path}, {self.limit}" if self.limit else str(self.path)


@dataclass(frozen=True)
class ReadPlan:
    """What a statement reads.

    `parsed`: whether the text was understood. If not, nothing else is said, and all that SQLite touches is to be read.
    `rounds`: a step needs the rows of steps in rounds before its own only. `whole`: tables to be read whole for what is
    behind the text (views, triggers) or in a form that is not understood; they belong to the first round.
    `counted`: the answer is one row with the number of this step's rows, and nothing needs to be fetched.
    `page`: another way, by which perhaps not all of it is fetched.
    """

    parsed: bool = True
    rounds: tuple[tuple[Step, ...], ...] = ()
    whole: tuple[Table, ...] = ()
    counted: Step | None = None
    page: Page | None = None
    basis: Basis | None = field(default=None, compare=False, repr=False)

    @property
    def is_outdated(self) -> bool:
        """Whether what is known of the tables has changed so much that another plan may be better."""
        return self.basis is not None and self.basis.is_outdated()

    def under(self, statistics: Statistics) -> ReadPlan | None:
        """The same plan under another database's statistics; None if another one may be better there."""
        basis = self.basis.under(statistics) if self.basis is not None else None
        return None if basis is None else replace(self, basis=basis)

    @property
    def follows_rows(self) -> bool:
        """Whether what is fetched depends on rows. Rows that a statement changes with one set of parameters then matter
        to what it needs with the next one.
        """
        return any(step.after or step.limit for step in self.steps)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order of their rounds."""
        return tuple(step for steps in self.rounds for step in steps)

    @cached_property
    def by_table_ref(self) -> dict[int, Step]:
        """The steps by the numbers of their table references, in the order of these."""
        return {step.table_ref: step for step in sorted(self.steps, key=lambda step: step.table_ref)}

    @cached_property
    def backwards(self) -> frozenset[int]:
        """The table references whose rows are wanted in the reverse of their keys' order.

        So are they handed on: then rows with the same place in ORDER BY come in one order, whatever page is asked for.
        """
        steps = self.steps + (self.page.reads.steps if self.page is not None else ())
        return frozenset(each.table_ref for each in steps if each.limit and each.limit.backwards)

    def __str__(self) -> str:
        if self.counted:
            return f"count of {self.counted}"
        if self.page:
            return str(self.page.reads)
        lines = []
        for number, steps in enumerate(self.rounds or ((),), 1):
            whole = [str(Scan(table.name)) for table in self.whole] if number == 1 else []
            shown = dict.fromkeys([*map(str, steps), *whole])
            lines += [f"round {number}", *(f"  {each}" for each in shown)] if shown else []
        return "\n".join(lines) or "nothing to fetch"


@dataclass(frozen=True)
class Page:
    """A way that fetches a table reference from the front of a path, as far as it takes until enough rows come out.

    `reads`: the rounds, for whatever rows `step` brings. (In the members of a UNION other steps bring the same.)
    `limit`: LIMIT and OFFSET; `is_all`: they are the statement's, not those of a subselect in it. `about`: what the
    statistics know the rate by, the number of rows that come out for one row of the step; `rate`: what it is taken for
    before. `most`: with so many rows of the step this costs as much as to fetch everything.
    """

    reads: ReadPlan
    step: Step
    limit: Limit
    is_all: bool
    about: int
    rate: float
    most: float
