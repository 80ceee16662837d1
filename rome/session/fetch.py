"""Fetch what a plan reads, in rounds: each round is one round trip, or none if all of it is cached.

    SELECT … FROM services JOIN tags ON tags.service_id = services.id WHERE services.uuid = ?

    round 1    services by services_uuid_idx (uuid = ?1)
    round 2    tags by key (service_id = services.id), with the ids of the rows that round 1 has brought

    SELECT … FROM (SELECT … FROM services ORDER BY host LIMIT 25) AS s LEFT JOIN tags ON tags.service_id = s.id

    round 1    services
    round 2    tags by key, with the ids of the 25 rows that come out of the derived table (`rome.sql.analysis.topn`)

The keys of a later round come from the rows of earlier ones, separately for each set of parameters. The statistics
learn how many rows each step has brought; later plans are chosen by that.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial

from rome.fallback import UnsupportedValue
from rome.plan.plan import PagePlan, Plan
from rome.sql.planner.bind import bind_step
from rome.sql.planner.incremental_sort import Groups, complete_groups
from rome.sql.planner.read_plan import Step
from rome.sql.syntax.operands import Const
from rome.sqlite.workspace import Parameters, Row
from rome.storage.store import Request
from rome.transaction.reads.row_cache import TableRequest, request_of, whole
from rome.transaction.transaction import Transaction


class PlanFetch:
    """The requests of a plan's steps, for each set of parameters, and the rows that answer them."""

    def __init__(
        self,
        transaction: Transaction,
        plan: Plan,
        parameter_sets: Sequence[Parameters],
        batch: int | None,
        only_page: bool,
    ) -> None:
        """Bind `plan.reads` to each of the sets.

        `batch`: fetch the plan's Top-N reads, and this many rows of their step. `only_page`: look up rows of other
        tables only by the rows that come out of the plan's derived table.
        """
        self._page = plan.page if only_page else None
        if self._page is not None and transaction.has_changed(plan.tables):
            self._page = None
        self._pages: dict[int, list[Row] | None] = {}
        self.parameter_sets = parameter_sets
        self._transaction = transaction
        self._batch = batch
        self.reads = plan.reads.topn.reads if plan.reads.topn and batch is not None else plan.reads
        # Each of several DML executions sees the changes of those before it, so their rows give no keys yet.
        self._is_sequential = len(parameter_sets) > 1 and plan.statement.changes_rows
        self._requests: list[dict[int, list[TableRequest]]] = [{} for _ in parameter_sets]
        self._fetched: set[int] = set()
        """The table references whose rows are there."""
        self.groups: Groups | None = None
        """The groups of a Top-N batch whose last one may be incomplete; None for any other fetch."""

    def requests(self) -> Iterator[TableRequest]:
        """Yield every request of every set of parameters."""
        for by_table_ref in self._requests:
            for requests in by_table_ref.values():
                yield from requests

    def bind(self, step: Step, at: int, parameters: Parameters) -> list[TableRequest]:
        """Return the requests of a step with set number `at` of the parameters."""
        request = step.point_lookup.request(parameters) if step.point_lookup else None
        bound = (request,) if request is not None else self._bind(step, at, parameters)
        requests = self._requests[at][step.table_ref] = [TableRequest(step.table, each) for each in bound]
        return requests

    def _bind(self, step: Step, at: int, parameters: Parameters) -> tuple[Request, ...]:
        rows_of = None if self._is_sequential or not step.depends_on else partial(self._rows_of, at, step.table_ref)
        # A changed row may sort before those that a limit counts.
        limited = bool(step.limit) and not self._is_sequential and not self._transaction.has_changed((step.table,))
        statistics = self._transaction.database.statistics
        only = step
        if step.limit is not None and step.limit.grows:
            only = replace(step, limit=replace(step.limit, counts=(Const(self._batch),)))
        requests = bind_step(only, parameters, rows_of, limited=limited, statistics=statistics)
        if only is not step and len(requests) > 1:
            # The first rows of each of several ranges are not the first rows of all of them.
            requests = bind_step(only, parameters, rows_of, statistics=statistics)
        return requests

    def _rows_of(self, at: int, for_table_ref: int, table_ref: int) -> Iterator[Row]:
        """Yield the rows of a table reference that give the keys of a later step, the one `for_table_ref`."""
        source = self.reads.by_table_ref[table_ref]
        page = self._page
        if page is not None and table_ref in page.page.table_refs and for_table_ref not in page.page.table_refs:
            found = self._page_of(at, page)
            if found is not None:
                rows = self._transaction.row_cache.rows(self._requests[at][table_ref])
                yield from page.page.leading_to(found, table_ref, rows)
                return
        # Among rows that are equal in their order, the workspace may choose others than a limited step has brought.
        is_part = source.limit is not None and not source.limit.grows
        requests = [whole(source.table)] if is_part else self._requests[at][table_ref]
        if self.groups is not None and source.limit is not None and source.limit.grows:
            yield from self.groups.complete
        else:
            yield from self._transaction.row_cache.rows(requests)
        yield from self._transaction.write_set.rows(source.table, map(request_of, requests))

    def _page_of(self, at: int, page: PagePlan) -> list[Row] | None:
        """Return the rows that come out of the plan's derived table; None if its own rows are not fetched yet."""
        if at not in self._pages:
            self._pages[at] = None
            if self._fetched >= page.page.table_refs:
                with suppress(UnsupportedValue):
                    self._pages[at] = page.function.run(self.rows(at), self.parameter_sets[at])
        return self._pages[at]

    def end_round(self, steps: Iterable[Step]) -> None:
        """Note that the rows of these steps are there."""
        self._fetched.update(step.table_ref for step in steps)
        self._pages = {at: page for at, page in self._pages.items() if page is not None}
        if self._batch and self.groups is None:
            self.groups = self._groups_of(steps)

    def _groups_of(self, steps: Iterable[Step]) -> Groups | None:
        """Return the groups of a Top-N batch, if one of these steps has brought it and more rows may follow."""
        for step in steps:
            if step.limit is not None and step.limit.presorted:
                rows = self.rows_of_step(step)
                # More rows than asked for are all that there are.
                return complete_groups(step.table, rows, step.limit) if len(rows) == self._batch else None
        return None

    def note_statistics(self, steps: Iterable[Step], fetched: Sequence[TableRequest]) -> None:
        """Tell the statistics how many rows these steps have brought, as far as they were fetched now."""
        steps = [step for step in steps if not step.is_get]
        if not steps:
            return
        new = {each.request for each in fetched}
        for step in steps:
            for bound in self._requests:
                asked = [each.request for each in bound[step.table_ref]]
                if asked and new.issuperset(asked):
                    rows = len(self._transaction.row_cache.rows(bound[step.table_ref]))
                    self._transaction.database.statistics.note(step.table, step.path, asked, rows)

    @property
    def _batch_steps(self) -> list[Step]:
        """The steps of a Top-N batch: several in a UNION, which bring the same rows."""
        return [step for step in self.reads.steps if step.limit is not None and step.limit.grows]

    def rows_of_step(self, step: Step) -> list[Row]:
        """Return the rows that a step has brought with the first set of parameters."""
        return self._transaction.row_cache.rows(self._requests[0][step.table_ref])

    @property
    def is_for_workspace(self) -> bool:
        """True if the workspace may evaluate the statement over these rows.

        Of rows that are equal in their order, it may let others come out of a derived table. In a Top-N batch, no row
        may be cached that sorts after those of the batch, and rows that are left out must not be there for another
        reason.
        """
        row_cache = self._transaction.row_cache
        batch = self._batch_steps
        if self._pages or not all(row_cache.has_only(step.table, len(self.rows_of_step(step))) for step in batch):
            return False
        if self.groups is None:
            return True
        table = batch[0].table
        is_read_once = [step.table.id for step in self.reads.steps].count(table.id) == len(batch)
        # A hidden rowid is no column of a row, so its key is not known here.
        return is_read_once and bool(table.key) and not row_cache.has_loaded(table, self.left_out[table.id])

    @cached_property
    def left_out(self) -> dict[int, frozenset[bytes]]:
        """By table id: the keys of cached rows that must not be in the workspace: they take no part in the result."""
        if self.groups is None:
            return {}
        table = self._batch_steps[0].table
        return {table.id: frozenset(table.row_codec.encode_each(list(zip(*self.groups.left_out, strict=True))))}

    def rows(self, at: int) -> list[list[Row]]:
        """Return the rows of each table reference that are fetched by now, in the order of their numbers."""
        rows, requests = self._transaction.row_cache.rows, self._requests[at]
        if len(self._fetched) < len(self.reads.by_table_ref):
            requests = {
                number: requests[number] if number in self._fetched else [] for number in self.reads.by_table_ref
            }
        if not self.reads.backward and self.groups is None:
            return [rows(requests[number]) for number in self.reads.by_table_ref]
        found = {number: rows(requests[number]) for number in self.reads.by_table_ref}
        if self.groups is not None:
            found.update((step.table_ref, self.groups.complete) for step in self._batch_steps)
        for number in self.reads.backward:
            found[number] = found[number][::-1]  # the list may be shared with other transactions
        return list(found.values())


def fetch(
    transaction: Transaction,
    plan: Plan,
    parameter_sets: Sequence[Parameters],
    also: Iterable[TableRequest] = (),
    batch: int | None = None,
    only_page: bool = False,
) -> PlanFetch:
    """Fetch what a plan reads with some sets of parameters. `also`: other requests to send with the first round.

    `batch`: fetch the plan's Top-N reads for its only set of parameters, and this many rows of their step. `only_page`:
    the compiled function will evaluate the statement, so the rows that come out of a derived table are known.
    """
    if plan.members is not None:
        parameter_sets = [
            each for parameters in parameter_sets for each in plan.members.parameter_sets(parameters) or ()
        ]
    fetched = PlanFetch(transaction, plan, parameter_sets, batch, only_page)
    requests = [*also, *map(whole, plan.reads.full_scans)]
    for steps in fetched.reads.rounds:
        for step in steps:
            for at, parameters in enumerate(parameter_sets):
                requests += fetched.bind(step, at, parameters)
        new = transaction.fetch(requests)
        if new:
            fetched.note_statistics(steps, new)
        fetched.end_round(steps)
        requests = []
    if requests:
        transaction.fetch(requests)
    return fetched


def load_workspace(transaction: Transaction, plan: Plan, left_out: Mapping[int, Container[bytes]]) -> None:
    """Make the tables that a plan reads in the workspace, and put their cached rows into it.

    `left_out`: by table id, the keys of rows that are not put there now.
    """
    schema = transaction.workspace.schema
    if plan.reads_schema:
        schema.ensure_all()
    else:
        schema.ensure(plan.mentioned)
    transaction.row_cache.load_into_workspace(plan.tables, left_out)
