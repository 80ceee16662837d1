"""Fetching what a plan reads, round by round: each round is one round trip, or none if all of it is known.

The keys of a later round come from rows that earlier ones have brought, for each set of parameters by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rome.execution.plan import Plan
from rome.execution.workspace import Parameters, Row
from rome.sql.planner import Step, bind
from rome.transaction.loaded import Target, whole
from rome.transaction.transaction import Transaction


class Fetching:
    """The answers to a plan's steps, for each set of parameters."""

    def __init__(self, transaction: Transaction, plan: Plan, count: int) -> None:
        self._transaction = transaction
        self._steps = sorted((step for steps in plan.rounds for step in steps), key=lambda step: step.occurrence)
        self._targets: list[dict[int, list[Target]]] = [{} for _ in range(count)]

    def bind(self, step: Step, at: int, parameters: Parameters) -> list[Target]:
        """What a step asks for with set number `at` of the parameters."""

        def rows_of(occurrence: int) -> Iterable[Row]:
            table = next(each.table for each in self._steps if each.occurrence == occurrence)
            yield from self._transaction.loaded.rows(self._targets[at][occurrence])
            yield from self._transaction.rows_now(table)

        targets = [Target(step.table, request) for request in bind(step, parameters, rows_of)]
        self._targets[at][step.occurrence] = targets
        return targets

    def rows(self, at: int) -> list[list[Row]]:
        """The fetched rows of each occurrence, in the order of their numbers."""
        return [self._transaction.loaded.rows(self._targets[at][step.occurrence]) for step in self._steps]


def fetch(transaction: Transaction, plan: Plan, rows: Sequence[Parameters], beside: Iterable[Target] = ()) -> Fetching:
    """Fetch what a plan reads with some sets of parameters. `beside`: what else the first round is to ask for."""
    fetching = Fetching(transaction, plan, len(rows))
    wanted = [*beside, *map(whole, plan.whole)]
    for steps in plan.rounds:
        for step in steps:
            for at, parameters in enumerate(rows):
                wanted += fetching.bind(step, at, parameters)
        transaction.fetch(wanted)
        wanted = []
    if wanted:
        transaction.fetch(wanted)
    return fetching
