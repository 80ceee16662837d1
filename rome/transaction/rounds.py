"""Fetching what a plan reads, round by round: each round is one round trip, or none if all of it is known.

The keys of a later round come from rows that earlier ones have brought, for each set of parameters by itself. How many
rows came is told to the statistics, by which later plans are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rome.execution.plan import Plan
from rome.execution.workspace import Parameters, Row
from rome.sql.planner import Step, bind
from rome.sql.statement import WRITES
from rome.transaction.loaded import Target, whole
from rome.transaction.transaction import Transaction


class Fetching:
    """The answers to a plan's steps, for each set of parameters."""

    def __init__(self, transaction: Transaction, plan: Plan, count: int) -> None:
        self._transaction = transaction
        self._statistics = transaction.database.statistics
        self._steps = {step.occurrence: step for step in plan.reads.steps}
        self._in_turn = count > 1 and plan.statement.kind in WRITES
        self._targets: list[dict[int, list[Target]]] = [{} for _ in range(count)]

    def bind(self, step: Step, at: int, parameters: Parameters) -> list[Target]:
        """What a step asks for with set number `at` of the parameters."""
        # A changed row may come before those that a limit counts.
        limited = not self._transaction.has_changed((step.table,)) and not self._in_turn

        def rows_of(occurrence: int) -> Iterable[Row]:
            source = self._steps[occurrence]
            # Among rows that are equal in their order, the workspace may take others than a limited step has brought.
            targets = [whole(source.table)] if source.limit else self._targets[at][occurrence]
            yield from self._transaction.loaded.rows(targets)
            yield from self._transaction.rows_now(source.table)

        # Of several changes, each finds what the ones before it have done: their rows lead nowhere yet.
        source = None if self._in_turn else rows_of
        requests = bind(step, parameters, source, limited=limited, statistics=self._statistics)
        targets = [Target(step.table, request) for request in requests]
        self._targets[at][step.occurrence] = targets
        return targets

    def note(self, steps: Iterable[Step], fetched: Sequence[Target]) -> None:
        """Tell the statistics what these steps have brought, as far as it was fetched now."""
        requests = {target.request for target in fetched}
        for step in steps:
            for bound in self._targets:
                targets = bound[step.occurrence]
                asked = [target.request for target in targets]
                if asked and requests.issuperset(asked):
                    self._statistics.note(step, asked, len(self._transaction.loaded.rows(targets)))

    def rows(self, at: int) -> list[list[Row]]:
        """The fetched rows of each occurrence, in the order of their numbers."""
        return [self._transaction.loaded.rows(self._targets[at][number]) for number in sorted(self._steps)]


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
