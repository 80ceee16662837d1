"""One client: runs transactions of a workload one after another and records the outcome of each."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from rome.cache.cached import CachedReads
from rome.dbapi import Connection, connect
from rome.errors import Conflict, DatabaseError, IntegrityError, SnapshotTooOld, StoreUnavailable
from rome.storage.store import Store
from rome.verify.faults.commits import FaultRates
from rome.verify.faults.followers import disturb_follower
from rome.verify.histories.append import AppendWorkload
from rome.verify.histories.bank import BankWorkload
from rome.verify.histories.cache_defects import add_cache_defect
from rome.verify.histories.defects import DEFECTS, add_defect
from rome.verify.histories.history import Outcome
from rome.verify.histories.names import NamesWorkload
from rome.verify.histories.workload import Log, TransactionContext, Workload

_T = TypeVar("_T")

WORKLOADS: dict[str, Workload] = {"append": AppendWorkload(), "bank": BankWorkload(), "names": NamesWorkload()}

_BACKOFF = 0.02
"""Seconds to wait after a server could not be reached or refused to write."""

_LONGEST_TIMER = 0.01
"""Seconds until a signal comes, at most: a few transactions take as long."""

_CONNECT_SECONDS = 60.0
"""How long a new worker waits for a server that is being restarted."""


@dataclass(frozen=True, slots=True)
class Task:
    """The task of a worker. `slot` is its place in the pool; `worker` is a number that no other worker ever had.

    `share` is the number of transactions that the slot has to commit, including those of killed predecessors.
    """

    url: str
    level: str
    workload: str
    folder: Path
    slot: int
    worker: int
    share: int
    seed: int
    faults: FaultRates | None = None
    defect: str | None = None
    interrupted: float = 0.0
    """The share of statement sequences, and of commits, at which a signal handler raises. Only in processes."""

    @property
    def log(self) -> Path:
        """The worker's log file."""
        return self.folder / f"w{self.worker}"

    @property
    def error(self) -> Path:
        """The file for the traceback of a worker that failed."""
        return self.folder / f"w{self.worker}.error"

    def modify(self, store: Store, cached: CachedReads | None) -> None:
        """Give a store or a cache the task's defect, and inject the task's faults into commits and the follower."""
        if self.defect in DEFECTS:
            add_defect(store, self.defect)
        elif self.defect is not None and cached is not None:
            add_cache_defect(cached, self.defect)
        if self.interrupted and cached is not None:
            disturb_follower(cached, random.Random(f"{self.seed} {self.worker} follower"))  # noqa: S311 - no secret
        if self.faults:
            self.faults.install(store, random.Random(f"{self.seed} {self.worker} faults"))  # noqa: S311 - no secret


class Tallies(NamedTuple):
    """Numbers by slot, which all workers of a pool see."""

    committed: MutableSequence[int]
    interrupted: MutableSequence[int]
    """How often a signal handler raised."""


class SignalRaised(BaseException):
    """Raised by the signal handler. As with KeyboardInterrupt, no handler of ordinary exceptions catches it."""


class Interruptions:
    """Lets a signal handler (SIGALRM) raise SignalRaised at a random moment of some calls."""

    def __init__(self, share: float, rng: random.Random) -> None:
        self.count = 0
        self._share = share
        self._rng = rng
        self._is_armed = False
        if share:
            signal.signal(signal.SIGALRM, self._handle)

    def run(self, work: Callable[[], _T]) -> _T:
        """Call a function and return its result; at the given share of calls, set a timer before."""
        if self._rng.random() < self._share:
            self._is_armed = True
            signal.setitimer(signal.ITIMER_REAL, self._rng.uniform(0.0, _LONGEST_TIMER))
        try:
            return work()
        finally:
            if self._is_armed:
                self._is_armed = False
                signal.setitimer(signal.ITIMER_REAL, 0)

    def _handle(self, _number: int, _frame: object) -> None:
        if self._is_armed:
            self._is_armed = False
            self.count += 1
            raise SignalRaised


def run_worker(task: Task, tallies: Tallies) -> None:
    """Commit the task's share of transactions."""
    done = tallies.committed
    rng = random.Random(f"{task.seed} {task.worker}")  # noqa: S311 - no secret
    log = Log(task.log)
    connection = _connect(task)
    task.modify(connection.database.store, connection.database.cached)
    interruptions = Interruptions(task.interrupted, random.Random(f"{task.seed} {task.worker} signals"))  # noqa: S311
    before = tallies.interrupted[task.slot]
    number = 0
    while done[task.slot] < task.share:
        number += 1
        context = TransactionContext(task.level, rng, sum(done), task.worker, number)
        if _run_transaction(WORKLOADS[task.workload], connection, context, log, interruptions) is Outcome.COMMITTED:
            done[task.slot] += 1
        tallies.interrupted[task.slot] = before + interruptions.count
    connection.close()
    log.close()


def _connect(task: Task) -> Connection:
    """Open a connection, waiting for a server that is down."""
    end = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            return connect(task.url, isolation_level=task.level)
        except StoreUnavailable:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _run_transaction(
    workload: Workload,
    connection: Connection,
    context: TransactionContext,
    log: Log,
    interruptions: Interruptions,
) -> Outcome:
    begin, unexpected_error = time.monotonic_ns(), ""
    try:
        interruptions.run(lambda: workload.run_statements(connection, context))
    except (Conflict, SnapshotTooOld, StoreUnavailable, IntegrityError, SignalRaised) as error:
        connection.rollback()
        # Under READ COMMITTED only, a row may disappear between the statement that reads it and the next one.
        if isinstance(error, IntegrityError) and context.level != "READ COMMITTED":
            unexpected_error = str(error)
        outcome = Outcome.ABORTED
        if isinstance(error, StoreUnavailable):
            time.sleep(_BACKOFF)
        log.write_operations(context.number, begin, context.operations)
    else:
        log.write_operations(context.number, begin, context.operations)
        outcome = _commit(connection, interruptions)
    log.write_outcome(context.number, outcome, time.monotonic_ns(), unexpected_error)
    return outcome


def _commit(connection: Connection, interruptions: Interruptions) -> Outcome:
    try:
        interruptions.run(connection.commit)
    except SignalRaised:
        connection.rollback()
        return Outcome.UNKNOWN
    except (Conflict, SnapshotTooOld):
        return Outcome.ABORTED
    except IntegrityError as error:
        if error.is_race or connection.database.defers_constraints:
            return Outcome.ABORTED
        connection.rollback()
        raise
    except StoreUnavailable:
        time.sleep(_BACKOFF)
        return Outcome.UNKNOWN
    except DatabaseError:
        connection.rollback()
        raise
    return Outcome.COMMITTED
