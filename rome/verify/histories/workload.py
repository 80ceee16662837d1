"""What a workload is: its tables, one random transaction of it, and how what was recorded is judged."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rome.dbapi import Connection
from rome.verify.histories.history import Finding
from rome.verify.histories.records import Record


@dataclass(slots=True)
class Turn:
    """One transaction's turn. `operations` is what will be recorded of it: plain values.

    `total` says how many have been committed so far by all; `fresh` makes numbers that nobody else makes.
    """

    level: str
    chance: random.Random
    total: int
    worker: int
    number: int
    operations: list[Any] = field(default_factory=list)
    _used: int = 0

    def fresh(self) -> int:
        """A number that is new in the whole history."""
        self._used += 1
        return (self.worker * 10_000_000 + self.number) * 100 + self._used


class Workload(Protocol):
    """A kind of transactions. Workers call `act` in a transaction of its own each time, and commit."""

    @property
    def schema(self) -> Sequence[str]:
        """The statements that make its tables, filled as they must be."""

    def act(self, connection: Connection, turn: Turn) -> None:
        """Run the statements of one transaction. What it raises aborts the transaction."""

    def judge(self, records: Sequence[Record], connection: Connection, level: str) -> Iterable[Finding]:
        """What is wrong with what was recorded, or with what the tables hold now that all is over."""


def rows(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """The rows of a query."""
    return list(connection.execute(sql, parameters))
