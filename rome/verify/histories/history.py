"""Histories of list appends: what the transactions did and saw, as their clients recorded it.

Each key holds a list. A transaction appends values and reads lists. A value is appended only once in the whole history.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Append(NamedTuple):
    """The value was appended to the key's list."""

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
    """The client got no response, or was killed before it could record one."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction: its operations in order, its outcome, and its begin and end on a clock that all clients share.

    `name` identifies it in reports. With an unknown outcome `end` has no meaning. The transactions of one `client` did
    not overlap, and are in order in a history; "" is no client.
    """

    name: str
    operations: tuple[Operation, ...]
    outcome: Outcome = Outcome.COMMITTED
    begin: int = 0
    end: int = 0
    client: str = ""

    @property
    def appends(self) -> list[Append]:
        """The transaction's appends, in order."""
        return [operation for operation in self.operations if isinstance(operation, Append)]


@dataclass(frozen=True, slots=True)
class History:
    """All transactions, and the lists after the last of them (None: unknown)."""

    transactions: Sequence[Transaction]
    final: Mapping[int, tuple[int, ...]] | None = field(default=None)


class Finding(NamedTuple):
    """An anomaly that some isolation level forbids: its kind, and a description of this case."""

    kind: str
    description: str
