"""`rome bench`: times and round trips of typical statements on a store, or the comparison of the benchmark files."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click

import rome
from rome.cli.checkout import run_module
from rome.cli.formats import write_rows
from rome.cli.options import DatabaseURL, json_option
from rome.cli.values import to_json
from rome.database.registry import drop_database
from rome.errors import Error
from rome.url import URL, parse_url

_ROWS = 1000
_BATCH = 100


class Measured(NamedTuple):
    """The cost of one operation: median and 95th percentile of its times, and its round trips."""

    operation: str
    rounds: float
    median_ms: float
    p95_ms: float


@click.command()
@click.argument("url", type=DatabaseURL(must_exist=False), required=False)
@click.option("--repeat", type=click.IntRange(1), default=100, show_default=True, help="Executions of each operation.")
@click.option("--compare", is_flag=True, help="Run the benchmarks of the sources instead: ROME and SQL databases.")
@json_option
def bench(url: str | None, repeat: int, compare: bool, as_json: bool) -> None:
    """Measure typical statements on the store of a URL: their times and round trips.

    A database of its own is used, next to the one that the URL names, and dropped at the end.
    """
    if compare:
        _compare(as_json)
        return
    if url is None:
        raise click.UsageError("give the URL of a store to measure, or --compare for the benchmarks of the sources")
    beside = _beside(parse_url(url))
    connection = rome.connect(beside)
    try:
        measured = list(_measured(connection, repeat))
    finally:
        connection.close()
        _drop(beside)
    if as_json:
        click.echo(to_json([each._asdict() for each in measured]))
    else:
        write_rows(("operation", "round trips", "median ms", "95 % ms"), measured)


def _compare(as_json: bool) -> None:
    """Run the benchmarks of the sources. They write their JSON into a file."""
    if not as_json:
        run_module("benchmarks.bench", ["--quick"])
        return
    with tempfile.TemporaryDirectory() as folder:
        measurements, page = Path(folder, "benchmarks.json"), Path(folder, "benchmarks.html")
        arguments = ["--quick", "--json", str(measurements), "--html", str(page)]
        run_module("benchmarks.bench", arguments, out=subprocess.DEVNULL)
        click.echo(measurements.read_text(encoding="utf-8"))


def _beside(url: URL) -> URL:
    """Return the URL of a database next to another one, that no program uses."""
    name = url.options.get("database", url.database) if url.store == "unix" else url.database
    return url.with_database(f"{name}-bench-{os.getpid()}")


def _drop(url: URL) -> None:
    with suppress(Error):
        drop_database(url)
    if url.store == "file":
        place = Path(url.database if url.host == "." else f"/{url.database.lstrip('/')}")
        for each in place.parent.glob(f"{place.name}*"):
            each.unlink(missing_ok=True)


def _measured(connection: rome.Connection, repeat: int) -> Iterator[Measured]:
    """Make a table, and yield what operations on it cost. Each is a transaction, with its commit."""
    connection.execute("CREATE TABLE bench (id INTEGER PRIMARY KEY, name TEXT UNIQUE, kind INTEGER, note TEXT)")
    connection.execute("CREATE INDEX bench_kind ON bench (kind)")
    connection.commit()
    insert = "INSERT INTO bench (id, name, kind, note) VALUES (?, ?, ?, ?)"
    rows = [(number, f"name {number}", number % 10, "x" * 100) for number in range(_ROWS)]
    for at in range(0, _ROWS, _BATCH):
        connection.executemany(insert, rows[at : at + _BATCH])
        connection.commit()

    def read(sql: str) -> Callable[[int], object]:
        return lambda number: connection.execute(sql, (number % _ROWS,)).fetchall()

    def insert_batch(number: int) -> None:
        first = _ROWS * 2 + number * _BATCH
        batch = range(first, first + _BATCH)
        connection.executemany(insert, [(each, f"name {each}", each % 10, "x" * 100) for each in batch])

    operations: dict[str, Callable[[int], object]] = {
        "get by primary key": read("SELECT * FROM bench WHERE id = ?"),
        "get by unique column": read("SELECT * FROM bench WHERE name = 'name ' || ?"),
        "page of 20 rows": read("SELECT * FROM bench WHERE id > ? ORDER BY id LIMIT 20"),
        "100 rows by an index": lambda number: connection.execute(
            "SELECT * FROM bench WHERE kind = ? AND id < 1000", (number % 10,)
        ).fetchall(),
        "update by primary key": lambda number: connection.execute(
            "UPDATE bench SET note = ? WHERE id = ?", (f"note {number}", number % _ROWS)
        ),
        "insert": lambda number: connection.execute(insert, (_ROWS + number, f"name {_ROWS + number}", 1, "")),
        f"insert of {_BATCH} rows": insert_batch,
    }
    for name, operation in operations.items():
        yield _cost(connection, name, operation, repeat)


def _cost(connection: rome.Connection, name: str, operation: Callable[[int], object], repeat: int) -> Measured:
    times = []
    rounds = 0
    for number in range(repeat + 1):  # the first execution plans the statement
        before, began = connection.stats.rounds, time.perf_counter()
        operation(number)
        connection.commit()
        if number:
            times.append((time.perf_counter() - began) * 1000)
            rounds += connection.stats.rounds - before
    times.sort()
    return Measured(name, round(rounds / repeat, 2), round(median(times), 3), round(times[len(times) * 95 // 100], 3))
