"""One client: runs transactions of a workload one after the other, and writes down what became of each."""

from __future__ import annotations

import random
import time
from collections.abc import MutableSequence
from dataclasses import dataclass
from pathlib import Path

from rome.dbapi import Connection, connect
from rome.errors import Conflict, DatabaseError, IntegrityError, SnapshotTooOld, StoreUnavailable
from rome.storage.store import Store
from rome.verify.faults.commits import Hazards
from rome.verify.histories.append import AppendWorkload
from rome.verify.histories.bank import BankWorkload
from rome.verify.histories.history import Outcome
from rome.verify.histories.names import NamesWorkload
from rome.verify.histories.planted import plant
from rome.verify.histories.records import Log
from rome.verify.histories.workload import Turn, Workload

WORKLOADS: dict[str, Workload] = {"append": AppendWorkload(), "bank": BankWorkload(), "names": NamesWorkload()}

_AFTER_FAILURE = 0.02
"""Seconds to wait after a server could not be reached, or refused to write."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is to do. `slot` is its place in the crew, `worker` a number that no other worker ever had.

    `share` is how many transactions its slot is to commit, those of its predecessors counted.
    """

    url: str
    level: str
    workload: str
    folder: Path
    slot: int
    worker: int
    share: int
    seed: int
    hazards: Hazards | None = None
    planted: str | None = None

    @property
    def log(self) -> Path:
        """Where it writes what it did."""
        return self.folder / f"w{self.worker}"

    def disable_replay(self, store: Store) -> None:
        """Plant the fault, and bring the hazards, that the task demands."""
        if self.planted:
            plant(store, self.planted)
        if self.hazards:
            self.hazards.beset(store, random.Random(f"{self.seed} {self.worker} hazards"))  # noqa: S311

    @property
    def error(self) -> Path:
        """Where it writes why it gave up, if it did."""
        return self.folder / f"w{self.worker}.error"


def work(task: Task, done: MutableSequence[int]) -> None:
    """Commit as many transactions as the task says. `done` counts the commits of each slot."""
    chance = random.Random(f"{task.seed} {task.worker}")  # noqa: S311 - no secret
    log = Log(task.log)
    connection = _connect(task)
    task.disable_replay(connection.database.store)
    number = 0
    while done[task.slot] < task.share:
        number += 1
        turn = Turn(task.level, chance, sum(done), task.worker, number)
        if _take_turn(WORKLOADS[task.workload], connection, turn, log) is Outcome.COMMITTED:
            done[task.slot] += 1
    connection.close()
    log.close()


def _connect(task: Task) -> Connection:
    """A connection, as soon as the server is there."""
    for _ in range(100):
        try:
            return connect(task.url, isolation_level=task.level)
        except StoreUnavailable:
            time.sleep(0.1)
    return connect(task.url, isolation_level=task.level)


def _take_turn(workload: Workload, connection: Connection, turn: Turn, log: Log) -> Outcome:
    begin, complaint = time.monotonic_ns(), ""
    try:
        workload.act(connection, turn)
    except (Conflict, SnapshotTooOld, StoreUnavailable, IntegrityError) as error:
        connection.rollback()
        # Only under READ COMMITTED can what a statement looked up be gone when the next one runs.
        if isinstance(error, IntegrityError) and turn.level != "READ COMMITTED":
            complaint = str(error)
        outcome = Outcome.ABORTED
        if isinstance(error, StoreUnavailable):
            time.sleep(_AFTER_FAILURE)
        log.intends(turn.number, begin, turn.operations)
    else:
        log.intends(turn.number, begin, turn.operations)
        outcome = _commit(connection)
    log.ended(turn.number, outcome, time.monotonic_ns(), complaint)
    return outcome


def _commit(connection: Connection) -> Outcome:
    try:
        connection.commit()
    except (Conflict, SnapshotTooOld):
        return Outcome.ABORTED
    except StoreUnavailable:
        time.sleep(_AFTER_FAILURE)
        return Outcome.UNKNOWN
    except DatabaseError:
        connection.rollback()
        raise
    return Outcome.COMMITTED
