"""One run: empty tables, a crew at work, perhaps faults meanwhile, and the judgement."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import rome
from rome.dbapi import connect
from rome.errors import InterfaceError
from rome.testing.check import check_database
from rome.url import parse_url
from rome.verify.faults.commits import Hazards
from rome.verify.faults.proxy import Proxy
from rome.verify.faults.server import FaultyServer, faulty_server
from rome.verify.faults.storm import Storm
from rome.verify.histories.crew import Crew, Progress
from rome.verify.histories.history import Finding, Outcome
from rome.verify.histories.records import Record
from rome.verify.histories.worker import WORKLOADS, Task
from rome.verify.histories.workload import rows

_PROCESSES = Hazards(killed=0.0005, stopped=0.0005)
_THREADS = Hazards(lost=0.01)
_CUT = 0.005
"""The share of scripts at which the proxy cuts the connection."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What to run. `every`: seconds between faults of the storm; None for no faults at all."""

    url: str
    workload: str = "append"
    level: str = "SNAPSHOT"
    transactions: int = 1000
    processes: int = 4
    seed: int = 0
    every: float | None = None
    planted: str | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the database lives in this process, so that the crew are threads."""
        return parse_url(self.url).store == "memory"


@dataclass(slots=True)
class Report:
    """What came of it."""

    outcomes: Counter[Outcome]
    seconds: float
    findings: list[Finding]
    faults: Counter[str] = field(default_factory=Counter)


def run(trial: Trial, progress: Progress = lambda _: None) -> Report:
    """Run a trial, in a database that must be empty and is empty again afterwards.

    With faults on Redis or Valkey the database is on a server of its own, whatever the URL says, since that server
    will be killed. Raises InterfaceError if the database is not empty, InternalError if a worker fails.
    """
    with tempfile.TemporaryDirectory(prefix="rome-history-") as name:
        folder = Path(name)
        if trial.every is None or trial.in_memory:
            hazards = None if trial.every is None else _THREADS
            return _run(trial, trial.url, _crew(trial, trial.url, folder, hazards), progress)
        with faulty_server(folder / "server") as server, Proxy(server.port, _CUT, trial.seed) as proxy:
            direct = f"rome+redis://127.0.0.1:{server.port}/history"
            crew = _crew(trial, f"rome+redis://127.0.0.1:{proxy.port}/history", folder, _PROCESSES)
            return _run(trial, direct, crew, progress, (server, proxy, trial.every))


def _crew(trial: Trial, url: str, folder: Path, hazards: Hazards | None) -> Crew:
    task = Task(url, trial.level, trial.workload, folder, 0, 0, 0, trial.seed, hazards, trial.planted)
    return Crew(task, trial.processes, trial.transactions)


def _run(
    trial: Trial, url: str, crew: Crew, progress: Progress, weather: tuple[FaultyServer, Proxy, float] | None = None
) -> Report:
    """`url` is the way to the database without a proxy."""
    with _tables(url, trial.workload):
        begin = time.monotonic()
        faults: Counter[str] = Counter()
        if trial.in_memory:
            records = crew.work_in_threads(progress)
        elif weather is None:
            records = crew.work_in_processes(progress)
        else:
            records, faults = _work_in_a_storm(crew, progress, weather, trial.seed)
        seconds = time.monotonic() - begin
        findings = [*_complaints(records), *_judged(trial, url, records)]
    return Report(Counter(record.outcome for record in records), seconds, findings, faults)


def _work_in_a_storm(
    crew: Crew, progress: Progress, weather: tuple[FaultyServer, Proxy, float], seed: int
) -> tuple[list[Record], Counter[str]]:
    server, proxy, every = weather
    storm = Storm(server, proxy, lambda: crew.running, every, seed)
    storm.start()
    try:
        records = crew.work_in_processes(progress)
    finally:
        storm.calm()
    faults = storm.faults
    faults["client killed"] = crew.killed
    faults.update({f"connection cut {place} a request": count for place, count in proxy.cuts.items()})
    return records, faults


@contextmanager
def _tables(url: str, workload: str) -> Iterator[None]:
    """The tables of a workload, while it lasts."""
    connection = connect(url)
    try:
        if rows(connection, "SELECT name FROM sqlite_master"):
            raise InterfaceError("the database of a trial must be empty; name another one")
        connection.rollback()
        for statement in WORKLOADS[workload].schema:
            connection.execute(statement)
        connection.commit()
        yield
    finally:
        connection.close()
    rome.drop_database(url)  # no commit: in memory, the hazards of the trial are still about


def _judged(trial: Trial, url: str, records: Sequence[Record]) -> Iterator[Finding]:
    connection = connect(url)
    yield from WORKLOADS[trial.workload].judge(records, connection, trial.level)
    connection.close()
    for fault in check_database(url):
        yield Finding("index", fault)


def _complaints(records: Sequence[Record]) -> Iterator[Finding]:
    for record in records:
        if record.complaint:
            yield Finding("constraint", f"{record.name} met {record.complaint!r}, which its reads had ruled out")
