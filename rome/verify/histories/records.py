"""What clients write down while they work, so that it survives them.

Each client has a file. It notes what a transaction is about to commit before it commits, and the outcome afterwards; of
a client that was killed in between, the outcome is unknown.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from rome.verify.histories.history import Outcome


@dataclass(frozen=True, slots=True)
class Record:
    """One transaction as its client recorded it. What `operations` are is the workload's to say.

    `complaint`: the error that it met, where it should have met none.
    """

    name: str
    operations: list[Any]
    outcome: Outcome
    begin: int
    end: int
    complaint: str = ""


class Log:
    """The file of one client. Every note is one write, unbuffered."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def intends(self, number: int, begin: int, operations: list[Any]) -> None:
        """The transaction `number` has done this since `begin`, and will now commit."""
        os.write(self._file, msgpack.packb((number, begin, operations, "")))

    def ended(self, number: int, outcome: Outcome, end: int, complaint: str = "") -> None:
        """It ended so."""
        os.write(self._file, msgpack.packb((number, end, outcome.value, complaint)))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_logs(paths: Iterable[Path]) -> Iterator[Record]:
    """The transactions of some clients. Their names are made of the file's and a number."""
    for path in paths:
        unpacker = msgpack.Unpacker()
        unpacker.feed(path.read_bytes())
        intended: dict[int, tuple[int, list[Any]]] = {}
        for number, time, what, complaint in unpacker:
            if isinstance(what, list):
                intended[number] = time, what
            else:
                begin, operations = intended.pop(number)
                yield Record(f"{path.stem}.{number}", operations, Outcome(what), begin, time, complaint)
        for number, (begin, operations) in intended.items():
            yield Record(f"{path.stem}.{number}", operations, Outcome.UNKNOWN, begin, begin)
