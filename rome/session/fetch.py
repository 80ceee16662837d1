"""Fetching what a plan reads, round by round: each round is one round trip, or none if all of it is known.

The keys of a later round come from rows that earlier ones have brought, for each set of parameters by itself. How many
rows came is told to the statistics, by which later plans are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from rome.plan.plan import Plan
from rome.sql.planner.access_path import Limit
from rome.sql.planner.bind import bind_step
from rome.sql.planner.step import Step
from rome.sql.syntax.operands import Const
from rome.sqlite.workspace import Parameters, Row
from rome.storage.store import Request
from rome.transaction.reads.row_cache import TableRequest, whole
from rome.transaction.transaction import Transaction


class PlanFetch:
    """The answers to a plan's steps, for each set of parameters."""

    def __init__(self, transaction: Transaction, plan: Plan, count: int, first: int | None) -> None:
        """`first`: it is the plan's page that is fetched, and of its step so many rows."""
        self._transaction = transaction
        self._first = first
        self.reads = plan.reads.topn.reads if plan.reads.topn and first is not None else plan.reads
        # Of several changes, each finds what the ones before it have done: their rows lead nowhere yet.
        self._in_turn = count > 1 and plan.statement.changes_rows
        self._targets: list[dict[int, list[TableRequest]]] = [{} for _ in range(count)]

    def bind(self, step: Step, at: int, parameters: Parameters) -> list[TableRequest]:
        """What a step asks for with set number `at` of the parameters."""
        request = step.point_lookup.request(parameters) if step.point_lookup else None
        requests = (request,) if request is not None else self._bind(step, at, parameters)
        targets = self._targets[at][step.table_ref] = [TableRequest(step.table, request) for request in requests]
        return targets

    def _bind(self, step: Step, at: int, parameters: Parameters) -> tuple[Request, ...]:
        rows_of = None if self._in_turn or not step.depends_on else partial(self._rows_of, at)
        # A changed row may come before those that a limit counts.
        limited = bool(step.limit) and not self._in_turn and not self._transaction.has_changed((step.table,))
        statistics = self._transaction.database.statistics
        only = step
        if step.limit is not None and step.limit.grows:
            only = replace(step, limit=Limit((Const(self._first),), step.limit.backward))
        requests = bind_step(only, parameters, rows_of, limited=limited, statistics=statistics)
        if only is not step and len(requests) > 1:
            # The first rows of several ranges, each by itself, are not the first ones of all.
            requests = bind_step(only, parameters, rows_of, statistics=statistics)
        return requests

    def _rows_of(self, at: int, table_ref: int) -> Iterator[Row]:
        source = self.reads.by_table_ref[table_ref]
        # Among rows that are equal in their order, the workspace may take others than a limited step has brought.
        is_part = source.limit is not None and not source.limit.grows
        targets = [whole(source.table)] if is_part else self._targets[at][table_ref]
        yield from self._transaction.row_cache.rows(targets)
        yield from self._transaction.rows_now(source.table)

    def note(self, steps: Iterable[Step], fetched: Sequence[TableRequest]) -> None:
        """Tell the statistics what these steps have brought, as far as it was fetched now."""
        steps = [step for step in steps if not step.is_get]
        if not steps:
            return
        requests = {target.request for target in fetched}
        for step in steps:
            for bound in self._targets:
                targets = bound[step.table_ref]
                asked = [target.request for target in targets]
                if asked and requests.issuperset(asked):
                    rows = len(self._transaction.row_cache.rows(targets))
                    self._transaction.database.statistics.note(step, asked, rows)

    def of_step(self, step: Step) -> list[Row]:
        """The rows that a step has brought with the first set of parameters."""
        return self._transaction.row_cache.rows(self._targets[0][step.table_ref])

    @property
    def is_for_workspace(self) -> bool:
        """Whether the workspace, which has all known rows of a table, has none behind those of a page's step."""
        return all(
            self._transaction.row_cache.has_only(step.table, len(self.of_step(step)))
            for step in self.reads.steps
            if step.limit is not None and step.limit.grows
        )

    def rows(self, at: int) -> list[list[Row]]:
        """The fetched rows of each table reference, in the order of their numbers."""
        rows, targets = self._transaction.row_cache.rows, self._targets[at]
        if not self.reads.backward:
            return [rows(targets[number]) for number in self.reads.by_table_ref]
        found = {number: rows(targets[number]) for number in self.reads.by_table_ref}
        for number in self.reads.backward:
            found[number].reverse()
        return list(found.values())


def fetch(
    transaction: Transaction,
    plan: Plan,
    rows: Sequence[Parameters],
    beside: Iterable[TableRequest] = (),
    first: int | None = None,
) -> PlanFetch:
    """Fetch what a plan reads with some sets of parameters. `beside`: what else the first round is to ask for.

    `first`: what its page reads with the only set of parameters, and of the page's step only so many rows.
    """
    fetching = PlanFetch(transaction, plan, len(rows), first)
    wanted = [*beside, *map(whole, plan.reads.full_scans)]
    for steps in fetching.reads.rounds:
        for step in steps:
            for at, parameters in enumerate(rows):
                wanted += fetching.bind(step, at, parameters)
        fetched = transaction.fetch(wanted)
        if fetched:
            fetching.note(steps, fetched)
        wanted = []
    if wanted:
        transaction.fetch(wanted)
    return fetching


def stage(transaction: Transaction, plan: Plan) -> None:
    """Put all that is known of the tables which a plan reads into the workspace."""
    schema = transaction.workspace.schema
    if plan.about_schema:
        schema.ensure_all()
    else:
        schema.ensure(plan.mentioned)
    transaction.row_cache.stage(plan.tables)
