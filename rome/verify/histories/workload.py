"""The interface of a workload, and the records that its clients write while they run.

A workload has tables, random transactions, and a check of what was recorded. Each client has a log file. It records the
operations of a transaction before the commit and the outcome afterwards, so that the records survive the client: if it
was killed in between, the outcome is unknown.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgpack

from rome.dbapi import Connection
from rome.verify.histories.history import Finding, Outcome


@dataclass(slots=True)
class TransactionContext:
    """The data of a workload for one transaction. `operations` collects what is recorded of it: plain values.

    `total` is the number of transactions that all clients have committed so far.
    """

    level: str
    rng: random.Random
    total: int
    worker: int
    number: int
    operations: list[Any] = field(default_factory=list)
    _used: int = 0

    def unique_value(self) -> int:
        """Return a number that is unique in the whole history."""
        self._used += 1
        return (self.worker * 10_000_000 + self.number) * 100 + self._used


@dataclass(frozen=True, slots=True)
class Record:
    """One transaction as its client recorded it. Each workload defines what its `operations` are.

    `unexpected_error` is the error that the transaction got although its reads had ruled that out.
    """

    name: str
    operations: list[Any]
    outcome: Outcome
    begin: int
    end: int
    unexpected_error: str = ""


class Workload(Protocol):
    """A kind of transactions. A worker calls `run_statements` in each transaction, and commits."""

    @property
    def schema(self) -> Sequence[str]:
        """The statements that create the tables and fill them."""

    def run_statements(self, connection: Connection, context: TransactionContext) -> None:
        """Run the statements of one transaction. An error aborts the transaction."""

    def check(
        self, records: Sequence[Record], connection: Connection, level: str, staleness: float
    ) -> Iterable[Finding]:
        """Return what is wrong with the records and with the final content of the tables.

        `staleness`: the seconds that transactions may have read behind.
        """


class Log:
    """The log file of one client. Every entry is one unbuffered write."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write_operations(self, number: int, begin: int, operations: list[Any]) -> None:
        """Record what transaction `number` has done since `begin`, before it commits."""
        os.write(self._file, msgpack.packb((number, begin, operations, "")))

    def write_outcome(self, number: int, outcome: Outcome, end: int, unexpected_error: str = "") -> None:
        """Record how the transaction ended."""
        os.write(self._file, msgpack.packb((number, end, outcome.value, unexpected_error)))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_logs(paths: Iterable[Path]) -> Iterator[Record]:
    """Yield the transactions in the logs. Their names are made of the file's name and the transaction's number."""
    for path in paths:
        unpacker = msgpack.Unpacker()
        unpacker.feed(path.read_bytes())
        pending: dict[int, tuple[int, list[Any]]] = {}
        for number, time, content, unexpected_error in unpacker:
            if isinstance(content, list):
                pending[number] = time, content
            else:
                begin, operations = pending.pop(number)
                yield Record(f"{path.stem}.{number}", operations, Outcome(content), begin, time, unexpected_error)
        for number, (begin, operations) in pending.items():
            yield Record(f"{path.stem}.{number}", operations, Outcome.UNKNOWN, begin, begin)


def rows(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """Return the rows of a query."""
    return list(connection.execute(sql, parameters))
