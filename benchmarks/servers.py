"""ROME beside SQL servers: the hot paths of services, on the same models and data, in turn.

    python -m benchmarks.servers postgresql+psycopg://postgres@127.0.0.1/test mysql+pymysql://root@127.0.0.1/test
    python -m benchmarks.servers URL … --delay 5             each round trip takes 5 ms more, as over a network
    python -m benchmarks.servers URL … --instructions get    count instructions instead (valgrind must be there)

ROME runs on a Valkey of its own (or --rome URL). The tables are made and dropped in the databases of the URLs. What
SQLAlchemy takes by itself is measured with a driver that answers every statement from memory ("no driver"): what is
above it is the driver's own part, and the server's.
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

from benchmarks.delay import delayed
from benchmarks.plans import WORK, make_sides, measure
from benchmarks.schema import Base, database, fill
from rome.testing.servers import own_valkey_server

SERVERS = 1000
TURNS = 7
NOTHING = "no driver"


class Remembering:
    """A connection whose cursors ask each question once, and answer it from memory ever after."""

    def __init__(self, checked_out: Any, answers: dict[Any, Any]) -> None:
        """`checked_out`: of a pool, to which it goes back when it is forgotten; others would share the connection."""
        self._checked_out = checked_out
        self._connection = checked_out.driver_connection
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> _Cursor:
        return _Cursor(self._connection, self._answers)

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass


class _Cursor:
    rows: tuple[Any, ...] = ()
    description = lastrowid = None
    rowcount = -1

    def __init__(self, connection: Any, answers: dict[Any, Any]) -> None:
        self._connection = connection
        self._answers = answers

    def execute(self, sql: str, parameters: Any = ()) -> None:
        # Numbers that were never used before, so that each insert or update is another: the answer is the same.
        answer = self._answers.get(sql)
        if answer is None:
            cursor = self._connection.execute(sql, parameters)
            answer = cursor.fetchall(), cursor.description, cursor.rowcount, cursor.lastrowid
            self._answers[sql] = answer
        self.rows, self.description, self.rowcount, self.lastrowid = answer

    def fetchall(self) -> list[Any]:
        return list(self.rows)

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None

    def close(self) -> None:
        pass


def remembering(engine: Engine) -> Engine:
    """An engine without a driver, that knows what this one answers."""
    answers: dict[Any, Any] = {}
    return create_engine(engine.url, creator=lambda: Remembering(engine.raw_connection(), answers))


@contextmanager
def sql_database(url: str) -> Iterator[Engine]:
    """An engine on a filled database of a SQL server. What is there of these tables is dropped before and after."""
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
    """What a URL's column is called."""
    return make_url(url).get_backend_name()


def times_of(console: Console, engines: dict[str, Engine], scale: float) -> Table:
    """Microseconds of each work on each engine, and how many times ROME's they are."""
    first, *others = engines
    table = Table("work", f"{first}, µs", *(f"{other}, µs (ratio)" for other in others))
    for name, (work, often) in WORK.items():
        times = max(2, round(often * scale))
        took: dict[str, list[float]] = {each: [] for each in engines}
        with console.status(name):
            for turn, (each, engine) in itertools.product(range(TURNS + 1), engines.items()):
                microseconds = measure(engine, work, times)
                if turn:
                    took[each].append(microseconds)
        cells = [f"{min(took[first]):,.0f}"]
        for other in others:
            ratio = statistics.median(b / a for a, b in zip(took[first], took[other], strict=True))
            cells.append(f"{min(took[other]):,.0f} ({ratio:.2f})")
        table.add_row(name, *cells)
    return table


def instructions_of(console: Console, urls: dict[str, str], wanted: str) -> Table:
    """Instructions of the client's process for one work, without the server's and the kernel's."""
    table = Table("work", *urls, title="thousand instructions")
    for name in (each for each in WORK if wanted in each):
        counts = []
        for each, url in urls.items():
            with console.status(f"{name}: {each}"):
                few, many = (_instructions(each, url, name, times) for times in (50, 150))
            counts.append(f"{(many - few) / 100 / 1000:,.0f}")
        table.add_row(name, *counts)
    return table


def _instructions(each: str, url: str, work: str, times: int) -> int:
    run = [sys.executable, "-m", "benchmarks.servers", "--run", each, url, work, str(times)]
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *run]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", ended.stderr)
    if ended.returncode or found is None:
        sys.exit(ended.stderr[-2000:])
    return int(found.group(1))


def run_once(each: str, url: str, work: str, times: int) -> None:
    """What `--instructions` counts: some work on a database that is filled already."""
    engine = create_engine(url)
    measure(remembering(engine) if each == NOTHING else engine, WORK[work][0], times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="*", metavar="URL", help="SQLAlchemy URLs of SQL servers")
    parser.add_argument("--rome", metavar="URL", help="an empty ROME database (default: on a Valkey of its own)")
    parser.add_argument("--delay", type=float, default=0.0, metavar="MS", help="what a round trip takes more")
    parser.add_argument(
        "--instructions", nargs="?", const="", metavar="WORK", help="count them, for works of this name"
    )
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        each, url, work, times = options.run
        return run_once(each, url, work, int(times))
    console = Console()
    with ExitStack() as stack:
        rome_url = options.rome or stack.enter_context(own_valkey_server()).url("benchmark")
        with console.status(f"filling {SERVERS} servers"):
            make_sides(stack.enter_context(database(rome_url, SERVERS)))
            for url in options.urls:
                stack.enter_context(sql_database(url))
        urls = {name_of(url): stack.enter_context(delayed(url, options.delay)) for url in (rome_url, *options.urls)}
        if options.instructions is not None:
            console.print(instructions_of(console, {**urls, NOTHING: rome_url}, options.instructions))
            return None
        engines = {each: create_engine(url) for each, url in urls.items()}
        known = {NOTHING: remembering(engines[name_of(rome_url)])}
        console.print(times_of(console, {**engines, **known}, 1 / (1 + options.delay)))
        for engine in engines.values():
            engine.dispose()
    return None


if __name__ == "__main__":
    main()
