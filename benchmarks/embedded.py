"""ROME in a file beside SQLite, both through SQLAlchemy and with each commit synced: `python -m benchmarks.embedded`.

One row has 244 bytes. The times are the best of several runs, in turns; processes commit for a number of seconds.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
)

_ROWS = 2000
_RUNS = 80
"""So many that both write-ahead logs have reached their full size: to write into a longer file costs a sync more."""

_metadata = MetaData()
_servers = Table(
    "servers",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(40), index=True),
    Column("data", LargeBinary),
)


def open_engine(url: str) -> Engine:
    """Return an engine; SQLite gets the settings that ROME's file has."""
    engine = create_engine(url, connect_args={"timeout": 60} if url.startswith("sqlite") else {})
    if url.startswith("sqlite"):

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")

    return engine


def _row(number: int) -> dict[str, object]:
    return {"name": f"server {number}", "data": b"x" * 220}


def fill(engine: Engine) -> None:
    """Create the table with its first rows."""
    _metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(_servers), [_row(number) for number in range(_ROWS)])


def get(engine: Engine, number: int) -> None:
    """Select a row by its primary key."""
    with engine.connect() as connection:
        connection.execute(select(_servers).where(_servers.c.id == 1 + number % _ROWS)).one()


def put(engine: Engine, number: int) -> None:
    """Insert a row and commit."""
    with engine.begin() as connection:
        connection.execute(insert(_servers), _row(number))


def best(engines: Sequence[Engine], work: Callable[[Engine, int], None], times: int) -> list[float]:
    """Return for each engine the microseconds of a call, in the best of its runs. The engines take turns."""
    found = [float("inf")] * len(engines)
    for run in range(_RUNS):
        for place, engine in enumerate(engines):
            begin = time.perf_counter()
            for number in range(times):
                work(engine, run * times + number)
            found[place] = min(found[place], (time.perf_counter() - begin) / times * 1e6)
    return found


def work_in_process(url: str, seconds: float) -> tuple[int, float]:
    """Insert rows; return the number of commits, and the seconds of the longest one."""
    engine = open_engine(url)
    count, longest, end = 0, 0.0, time.monotonic() + seconds
    while (begin := time.monotonic()) < end:
        with engine.begin() as connection:
            connection.execute(insert(_servers), _row(count))
        count += 1
        longest = max(longest, time.monotonic() - begin)
    return count, longest


@click.command()
@click.option("--folder", default=None, help="Where to put the files; the disk is measured, too.")
@click.option("--processes", default=8, show_default=True)
@click.option("--seconds", default=5.0, show_default=True)
def main(folder: str | None, processes: int, seconds: float) -> None:
    """Print one line for SQLite and one for ROME."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        urls = f"sqlite:///{name}/a.db", f"rome+file://{name}/a.rome"
        engines = [open_engine(url) for url in urls]
        for engine in engines:
            fill(engine)
        gets, puts = best(engines, get, 100), best(engines, put, 10)
        for place, title in enumerate(("SQLite", "ROME")):
            with multiprocessing.get_context("spawn").Pool(processes) as pool:
                done = pool.starmap(work_in_process, [(urls[place], seconds)] * processes)
            engines[place].dispose()
            commits, longest = sum(count for count, _ in done), max(each for _, each in done)
            size = Path(name, urls[place].rpartition("/")[2]).stat().st_size / (_ROWS + 10 * _RUNS + commits)
            print(
                f"{title:8} get {gets[place]:6.1f} µs   insert and commit {puts[place]:7.1f} µs   "
                f"{processes} processes {commits / seconds:5.0f} commits/s, "
                f"longest {longest:.3f} s   {size:.0f} bytes a row"
            )


if __name__ == "__main__":
    main()
