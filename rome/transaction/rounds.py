"""Fetching what a plan reads, round by round: each round is one round trip, or none if all of it is known.

The keys of a later round come from rows that earlier ones have brought, for each set of parameters by itself. How many
rows came is told to the statistics, by which later plans are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from rome.execution.plan import Plan
from rome.execution.workspace import Parameters, Row
from rome.sql.planner import Step, bind
from rome.transaction.loaded import Target, target_of, whole
from rome.transaction.transaction import Transaction


class Fetching:
    """The answers to a plan's steps, for each set of parameters."""

    def __init__(self, transaction: Transaction, plan: Plan, count: int) -> None:
        self._transaction = transaction
        self._reads = plan.reads
        # Of several changes, each finds what the ones before it have done: their rows lead nowhere yet.
        self._in_turn = count > 1 and plan.statement.changes_rows
        self._targets: list[dict[int, list[Target]]] = [{} for _ in range(count)]

    def bind(self, step: Step, at: int, parameters: Parameters) -> list[Target]:
        """What a step asks for with set number `at` of the parameters."""
        rows_of = None if self._in_turn or not step.after else partial(self._rows_of, at)
        # A changed row may come before those that a limit counts.
        limited = bool(step.limit) and not self._in_turn and not self._transaction.has_changed((step.table,))
        statistics = self._transaction.database.statistics
        requests = bind(step, parameters, rows_of, limited=limited, statistics=statistics)
        targets = self._targets[at][step.occurrence] = [Target(step.table, request) for request in requests]
        return targets

    def _rows_of(self, at: int, occurrence: int) -> Iterator[Row]:
        source = self._reads.by_occurrence[occurrence]
        # Among rows that are equal in their order, the workspace may take others than a limited step has brought.
        targets = [whole(source.table)] if source.limit else self._targets[at][occurrence]
        yield from self._transaction.loaded.rows(targets)
        yield from self._transaction.rows_now(source.table)

    def note(self, steps: Iterable[Step], fetched: Sequence[Target]) -> None:
        """Tell the statistics what these steps have brought, as far as it was fetched now."""
        steps = [step for step in steps if not step.is_get]
        if not steps:
            return
        requests = {target.request for target in fetched}
        for step in steps:
            for bound in self._targets:
                targets = bound[step.occurrence]
                asked = [target.request for target in targets]
                if asked and requests.issuperset(asked):
                    rows = len(self._transaction.loaded.rows(targets))
                    self._transaction.database.statistics.note(step, asked, rows)

    def rows(self, at: int) -> list[list[Row]]:
        """The fetched rows of each occurrence, in the order of their numbers."""
        rows, targets = self._transaction.loaded.rows, self._targets[at]
        return [rows(targets[number]) for number in self._reads.by_occurrence]


def rows_of_step(transaction: Transaction, step: Step, parameters: Parameters) -> list[Row] | None:
    """The rows that a step of one simple request brings; None if it takes more to make the request."""
    request = step.one_prefix.request(parameters) if step.one_prefix else None
    if request is None:
        return None
    targets = [target_of((step.table, request))]
    fetched = transaction.fetch(targets)
    rows = transaction.loaded.rows(targets)
    if fetched and not step.is_get:
        transaction.database.statistics.note_key(step, len(rows))
    return rows


def fetch(transaction: Transaction, plan: Plan, rows: Sequence[Parameters], beside: Iterable[Target] = ()) -> Fetching:
    """Fetch what a plan reads with some sets of parameters. `beside`: what else the first round is to ask for."""
    fetching = Fetching(transaction, plan, len(rows))
    wanted = [*beside, *map(whole, plan.whole)]
    for steps in plan.reads.rounds:
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
