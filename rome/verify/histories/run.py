"""One run: create empty tables, run a pool of workers, inject faults if requested, and check the history."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import rome
from rome.cache.options import CACHE_OPTIONS, cache_options
from rome.dbapi import connect
from rome.errors import InterfaceError
from rome.testing.check import check_database
from rome.url import parse_url
from rome.verify.faults.cluster import faulty_cluster
from rome.verify.faults.commits import FaultRates
from rome.verify.faults.injector import FaultInjector, Kinds, client_faults, cluster_faults, server_faults
from rome.verify.faults.proxy import Proxy
from rome.verify.faults.server import faulty_server
from rome.verify.histories.history import Finding, Outcome
from rome.verify.histories.pool import Progress, WorkerPool
from rome.verify.histories.worker import WORKLOADS, Task
from rome.verify.histories.workload import Record, rows

_CLIENT_FAULTS = FaultRates(killed=0.0005, stopped=0.0005)
_INTERRUPTED = 0.02
"""With faults, the share of statement sequences and of commits at which a signal handler may raise an exception."""
_CUT = 0.005
"""With faults, the share of scripts at which the proxy cuts the connection."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a run. `faults` is the number of faults to inject.

    On Redis and Valkey, cut connections and clients that are killed or stopped during a commit come on top, in
    proportion to the transactions; and there and on a file, exceptions that signal handlers raise in the clients. On a
    file, clients are killed or stopped at any moment. In memory, `faults` is the
    expected number of commits whose request or response is lost or that arrive twice.
    """

    url: str
    workload: str = "append"
    level: str = "SNAPSHOT"
    transactions: int = 1000
    processes: int = 4
    seed: int = 0
    faults: int = 0
    defect: str | None = None

    @property
    def staleness(self) -> float:
        """The seconds that transactions may read behind."""
        options = cache_options(parse_url(self.url))
        return options.staleness if options else 0.0

    @property
    def in_memory(self) -> bool:
        """True if the database is in this process, so that the workers are threads."""
        return parse_url(self.url).store == "memory"


@dataclass(slots=True)
class Report:
    """The result of a run: how transactions ended, seconds, findings, and the faults that were injected."""

    outcomes: Counter[Outcome]
    seconds: float
    findings: list[Finding]
    faults: Counter[str] = field(default_factory=Counter)


def run(options: RunOptions, progress: Progress = lambda _: None) -> Report:
    """Run a workload in a database that must be empty, and check the history. The database is empty again afterwards.

    With faults on Redis or Valkey the database is on a temporary server, whatever the URL says, because that server
    is killed; or on a temporary cluster, if the URL has cluster=on. Raises InterfaceError if the database is not empty,
    InternalError if a worker fails.
    """
    with tempfile.TemporaryDirectory(prefix="rome-history-") as name:
        folder = Path(name)
        plain = _without_cache(options.url)  # the tables are made, and read in the end, without a cache
        if options.in_memory:
            lost = options.faults / (3 * options.transactions)
            pool = _pool(options, options.url, folder, FaultRates(lost=lost) if lost else None)
            pool.task = replace(pool.task, interrupted=0.0)  # a signal reaches the main thread only
            return _run_and_check(options, plain, lambda: pool.run_threads(progress))
        if not options.faults:
            pool = _pool(options, options.url, folder, None)
            return _run_and_check(options, plain, lambda: pool.run_processes(progress))
        if parse_url(options.url).store == "file":
            pool = _pool(options, options.url, folder, None)
            return _run_with_faults(options, plain, pool, {}, progress)
        if "cluster" in parse_url(options.url).options:
            return _run_on_faulty_cluster(options, folder, progress)
        return _run_on_faulty_server(options, folder, progress)


def _without_cache(url: str) -> str:
    """Return a URL without its options of the cache."""
    address, _, query = url.partition("?")
    kept = [each for each in query.split("&") if each and each.partition("=")[0] not in CACHE_OPTIONS]
    return address + "?" * bool(kept) + "&".join(kept)


def _pool(options: RunOptions, url: str, folder: Path, faults: FaultRates | None) -> WorkerPool:
    task = Task(url, options.level, options.workload, folder, 0, 0, 0, options.seed, faults, options.defect)
    if options.faults:
        task = replace(task, interrupted=_INTERRUPTED)
    return WorkerPool(task, options.processes, options.transactions)


def _run_on_faulty_server(options: RunOptions, folder: Path, progress: Progress) -> Report:
    with faulty_server(folder / "server") as server, Proxy(server.port, _CUT, options.seed) as proxy:
        query = options.url.partition("?")[2]
        pool = _pool(options, f"rome+redis://127.0.0.1:{proxy.port}/history?{query}", folder, _CLIENT_FAULTS)
        url = server.url("history")
        report = _run_with_faults(options, url, pool, server_faults(server, proxy), progress)
        report.faults.update({f"connection cut {place} a request": count for place, count in proxy.cuts.items()})
        return report


def _run_on_faulty_cluster(options: RunOptions, folder: Path, progress: Progress) -> Report:
    with faulty_cluster() as cluster:
        url = cluster.url("history")
        pool = _pool(options, url, folder, _CLIENT_FAULTS)
        return _run_with_faults(options, url, pool, cluster_faults(cluster, "history"), progress)


def _run_with_faults(options: RunOptions, url: str, pool: WorkerPool, more: Kinds, progress: Progress) -> Report:
    """Run processes and kill or stop them at any moment; `more` faults are injected, too."""
    injector = FaultInjector(
        {**more, **client_faults(pool.alive, options.seed)},
        progress=lambda: pool.committed / options.transactions,
        count=options.faults,
        seed=options.seed,
    )

    def work() -> list[Record]:
        injector.start()
        try:
            return pool.run_processes(progress)
        finally:
            injector.stop()

    report = _run_and_check(options, url, work)
    report.faults = injector.faults
    report.faults["client killed"] = pool.killed
    report.faults["client interrupted by a signal handler"] = pool.interrupted
    return report


def _run_and_check(options: RunOptions, url: str, work: Callable[[], list[Record]]) -> Report:
    """Create the tables, call `work` for the records, and check them. `url` leads to the database without a proxy."""
    with _tables(url, options.workload):
        begin = time.monotonic()
        records = work()
        seconds = time.monotonic() - begin
        findings = [*_unexpected_errors(records), *_check(options, url, records)]
    return Report(Counter(record.outcome for record in records), seconds, findings)


@contextmanager
def _tables(url: str, workload: str) -> Iterator[None]:
    """Create the tables of a workload, and drop the database afterwards."""
    connection = connect(url)
    try:
        if rows(connection, "SELECT name FROM sqlite_master"):
            raise InterfaceError("this command needs an empty database; name another one")
        connection.rollback()
        for statement in WORKLOADS[workload].schema:
            connection.execute(statement)
        connection.commit()
        yield
    finally:
        connection.close()
    rome.drop_database(url)  # without a commit: in memory, the faults are still injected into commits


def _check(options: RunOptions, url: str, records: Sequence[Record]) -> Iterator[Finding]:
    connection = connect(url)
    yield from WORKLOADS[options.workload].check(records, connection, options.level, options.staleness)
    connection.close()
    for fault in check_database(url):
        yield Finding("index", fault)


def _unexpected_errors(records: Sequence[Record]) -> Iterator[Finding]:
    for record in records:
        if record.unexpected_error:
            yield Finding("constraint", f"{record.name} got {record.unexpected_error!r}, which its reads had ruled out")
