"""Compare ROME with SQL servers: the hot paths of services, on the same models and data, in alternation.

    python -m benchmarks.servers postgresql+psycopg://postgres@127.0.0.1/test mysql+pymysql://root@127.0.0.1/test
    python -m benchmarks.servers URL … --delay 5             add 5 ms to each round trip, as over a network
    python -m benchmarks.servers URL … --instructions get    count instructions instead (needs valgrind)

ROME runs on a temporary Valkey server (or on --rome URL). The tables are created and dropped in the databases of the
URLs. The column "SQLAlchemy only" has a driver that returns a recorded response for every statement: the difference to
it is the time of the driver and the server.
"""

from __future__ import annotations

import argparse
import itertools
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, make_url

from benchmarks.cases import HOT, make_sides, measure
from benchmarks.delay import delayed
from benchmarks.schema import Base, database, fill
from rome.testing.servers import own_valkey_server

SERVERS = 1000
TURNS = 7
SQLALCHEMY_ONLY = "SQLAlchemy only"


class ReplayingConnection:
    """A connection whose cursors run each statement once and return the recorded response afterwards."""

    def __init__(self, checked_out: Any, responses: dict[Any, Any]) -> None:
        """Keep `checked_out`, a pool's connection: if it were garbage-collected, the pool would give it to others."""
        self._checked_out = checked_out
        self._connection = checked_out.driver_connection
        self._responses = responses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> _Cursor:
        return _Cursor(self._connection, self._responses)

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass


class _Cursor:
    rows: tuple[Any, ...] = ()
    description = lastrowid = None
    rowcount = -1

    def __init__(self, connection: Any, responses: dict[Any, Any]) -> None:
        self._connection = connection
        self._responses = responses

    def execute(self, sql: str, parameters: Any = ()) -> None:
        # Parameters may differ, as each insert has new numbers; the response has the same shape.
        response = self._responses.get(sql)
        if response is None:
            cursor = self._connection.execute(sql, parameters)
            response = cursor.fetchall(), cursor.description, cursor.rowcount, cursor.lastrowid
            self._responses[sql] = response
        self.rows, self.description, self.rowcount, self.lastrowid = response

    def fetchall(self) -> list[Any]:
        return list(self.rows)

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None

    def close(self) -> None:
        pass


def replaying(engine: Engine) -> Engine:
    """Return an engine that replays the responses of another one, without its driver."""
    responses: dict[Any, Any] = {}
    return create_engine(engine.url, creator=lambda: ReplayingConnection(engine.raw_connection(), responses))


@contextmanager
def sql_database(url: str) -> Iterator[Engine]:
    """Yield an engine on a filled database of a SQL server. These tables are dropped before and after."""
    engine = create_engine(url)
    try:
        _drop(engine)
        fill(engine, SERVERS)
        make_sides(engine)
        yield engine
    finally:
        _drop(engine)
        engine.dispose()


def _drop(engine: Engine) -> None:
    Base.metadata.drop_all(engine)
    with engine.begin() as connection:
        for table in ("left_side", "right_side"):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")


def name_of(url: str) -> str:
    """Return the name of a URL's column."""
    return make_url(url).get_backend_name()


def times_of(console: Console, engines: dict[str, Engine], scale: float) -> Table:
    """Measure the microseconds of each workload on each engine, and their ratio to ROME's."""
    first, *others = engines
    table = Table("workload", f"{first}, µs", *(f"{other}, µs (ratio)" for other in others))
    for name, case in HOT.items():
        times = max(2, round(case.often * scale))
        took: dict[str, list[float]] = {each: [] for each in engines}
        with console.status(name):
            for turn, (each, engine) in itertools.product(range(TURNS + 1), engines.items()):
                microseconds = measure(engine, case, times)
                if turn:
                    took[each].append(microseconds)
        cells = [f"{min(took[first]):,.0f}"]
        for other in others:
            ratio = statistics.median(b / a for a, b in zip(took[first], took[other], strict=True))
            cells.append(f"{min(took[other]):,.0f} ({ratio:.2f})")
        table.add_row(name, *cells)
    return table


def instructions_of(console: Console, urls: dict[str, str], wanted: str) -> Table:
    """Count the instructions of the client's process per workload, without those of the server and the kernel."""
    table = Table("workload", *urls, title="thousands of instructions")
    for name in (each for each in HOT if wanted in each):
        counts = []
        for each, url in urls.items():
            with console.status(f"{name}: {each}"):
                few, many = (_instructions(each, url, name, times) for times in (50, 150))
            counts.append(f"{(many - few) / 100 / 1000:,.0f}")
        table.add_row(name, *counts)
    return table


def _instructions(each: str, url: str, workload: str, times: int) -> int:
    run = [sys.executable, "-m", "benchmarks.servers", "--run", each, url, workload, str(times)]
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *run]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", ended.stderr)
    if ended.returncode or found is None:
        sys.exit(ended.stderr[-2000:])
    return int(found.group(1))


def run_once(each: str, url: str, workload: str, times: int) -> None:
    """Run a workload on a filled database; `--instructions` counts this."""
    engine = create_engine(url)
    measure(replaying(engine) if each == SQLALCHEMY_ONLY else engine, HOT[workload], times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="*", metavar="URL", help="SQLAlchemy URLs of SQL servers")
    parser.add_argument("--rome", metavar="URL", help="an empty ROME database (default: on a temporary Valkey server)")
    parser.add_argument("--delay", type=float, default=0.0, metavar="MS", help="milliseconds to add to each round trip")
    parser.add_argument(
        "--instructions",
        nargs="?",
        const="",
        metavar="NAME",
        help="count instructions of workloads whose name contains NAME",
    )
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        each, url, workload, times = options.run
        return run_once(each, url, workload, int(times))
    console = Console()
    with ExitStack() as stack:
        rome_url = options.rome or stack.enter_context(own_valkey_server()).url("benchmark")
        with console.status(f"filling {SERVERS} servers"):
            make_sides(stack.enter_context(database(rome_url, SERVERS)))
            for url in options.urls:
                stack.enter_context(sql_database(url))
        urls = {name_of(url): stack.enter_context(delayed(url, options.delay)) for url in (rome_url, *options.urls)}
        if options.instructions is not None:
            console.print(instructions_of(console, {**urls, SQLALCHEMY_ONLY: rome_url}, options.instructions))
            return None
        engines = {each: create_engine(url) for each, url in urls.items()}
        replayed = {SQLALCHEMY_ONLY: replaying(engines[name_of(rome_url)])}
        console.print(times_of(console, {**engines, **replayed}, 1 / (1 + options.delay)))
        for engine in engines.values():
            engine.dispose()
    return None


if __name__ == "__main__":
    main()
