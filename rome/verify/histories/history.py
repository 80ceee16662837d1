"""What was done and seen: transactions of a list-append workload, as their clients recorded them.

A key holds a list. A transaction appends values, each of them used only once in the whole history, and reads lists.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Append(NamedTuple):
    """The value was put at the end of the key's list."""

    key: int
    value: int


class Read(NamedTuple):
    """The key's list was read."""

    key: int
    values: tuple[int, ...]


Operation = Append | Read


class Outcome(enum.Enum):
    """How a transaction ended, as far as its client knows."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"
    """The client got no answer, or did not live to record it."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction: its operations in order, when it began and ended (one clock for all), and how.

    `name` tells it apart in reports. An unknown outcome has no meaningful `end`.
    """

    name: str
    operations: tuple[Operation, ...]
    outcome: Outcome = Outcome.COMMITTED
    begin: int = 0
    end: int = 0

    @property
    def appends(self) -> list[Append]:
        """Its appends, in order."""
        return [operation for operation in self.operations if isinstance(operation, Append)]


@dataclass(frozen=True, slots=True)
class History:
    """All transactions, and what the lists held when all was over (None: nobody looked)."""

    transactions: Sequence[Transaction]
    final: Mapping[int, tuple[int, ...]] | None = field(default=None)


class Finding(NamedTuple):
    """Something that must not be seen at some level: the kind of anomaly, and the story of this one."""

    kind: str
    story: str
