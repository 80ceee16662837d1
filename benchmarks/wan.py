"""A database used from several sites at a distance: ROME with and without `staleness`, and SQL servers.

    python -m benchmarks.wan [--seconds N] [--staleness SECONDS] [--delays MS,MS,MS]

Each site is a process whose connections go through a relay on loopback, which makes each round trip take so much
longer. Every site runs the same mix of transactions on rows that all sites share, one after another:

    keystone    96 of 100 read: by key, by a unique column, 100 rows by an index; the others change a row
    nova        70 of 100 read the same; the others change a row

The table has what a site got: transactions a second, percentiles, the share of commits that were refused (and were run
again), round trips for each transaction, those of a cache's follower among them, and how old reads were: by how many
milliseconds a read by key began after the end of the first commit to its row that it did not see.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, make_url, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from benchmarks.backends import BACKENDS, RELAXED, Backend, Missing, Opened, open_backend, set_durability
from benchmarks.delay import relayed
from benchmarks.schema import Server, fill

SERVERS = 2000
MIXES = {"keystone": 0.96, "nova": 0.70}
"""The share of the transactions that read."""
_WANTED = ("ROME on Valkey", "PostgreSQL, psycopg", "MariaDB, PyMySQL")

_context = multiprocessing.get_context("spawn")


class Site(NamedTuple):
    """The work of one site. `url` leads through its relay."""

    url: str
    reads: float
    seconds: float
    seed: int


class Seen(NamedTuple):
    """A row with the note that a transaction has read, or committed; `began` and `ended` are the transaction's."""

    began: float
    ended: float
    number: int
    note: str


class Outcome(NamedTuple):
    """The milliseconds of each transaction, how many commits were refused, and what was read by key and changed."""

    took: list[float]
    refused: int
    reads: list[Seen]
    commits: list[Seen]


def work(site: Site) -> Outcome:
    """Run transactions for a time, after some that do not count."""
    chooser = random.Random(site.seed)
    engine = create_engine(site.url)
    set_durability(engine, RELAXED)
    for _ in range(10):
        _read(engine, chooser)
    outcome = Outcome([], 0, [], [])
    refused = 0
    end = time.monotonic() + site.seconds
    while time.monotonic() < end:
        reads = chooser.random() < site.reads
        began = time.time()
        while True:
            try:
                if reads:
                    outcome.reads.extend(_read(engine, chooser))
                else:
                    outcome.commits.append(_change(engine, chooser))
                break
            except DBAPIError:  # a conflict, or a deadlock of a SQL server
                refused += 1
        outcome.took.append((time.time() - began) * 1000)
    engine.dispose()
    return outcome._replace(refused=refused)


def _number(chooser: random.Random) -> int:
    """Return the number of a row. Few rows are read often, as in services."""
    return min(SERVERS, 1 + int(chooser.expovariate(10 / SERVERS)))


def _change(engine: Engine, chooser: random.Random) -> Seen:
    """Change a row, and return the change."""
    number, note, began = _number(chooser), f"changed {chooser.random()}", time.time()
    with Session(engine) as session, session.begin():
        session.get_one(Server, number).note = note
    return Seen(began, time.time(), number, note)


def _read(engine: Engine, chooser: random.Random) -> list[Seen]:
    """Read. Return what was read by key."""
    number, kind, began = _number(chooser), chooser.randrange(3), time.time()
    with Session(engine) as session, session.begin():
        if kind == 0:
            note = session.get_one(Server, number).note or ""
            return [Seen(began, time.time(), number, note)]
        if kind == 1:
            session.scalars(select(Server).where(Server.uuid == f"{number:08d}-0000-0000-0000-000000000000")).one()
        else:
            session.scalars(select(Server).where(Server.project == f"project {number // 100}")).all()
    return []


def ages(outcomes: list[Outcome]) -> list[float]:
    """Return by how many milliseconds each read by key was behind the commits to its row: 0 if it saw all.

    A commit that overlaps with the one that the read saw may have come before it, and counts as seen.
    """
    commits: dict[int, list[Seen]] = {}
    for each in (change for outcome in outcomes for change in outcome.commits):
        commits.setdefault(each.number, []).append(each)
    found = []
    for read in (each for outcome in outcomes for each in outcome.reads):
        of_row = commits.get(read.number, [])
        seen = next((each.ended for each in of_row if each.note == read.note), 0.0)
        missed = [each.ended for each in of_row if each.began > seen and each.ended < read.began]
        found.append((read.began - min(missed)) * 1000 if missed else 0.0)
    return sorted(found)


def measure(opened: Opened, options: dict[str, str], delays: list[float], reads: float, seconds: float) -> list[str]:
    """Return the cells of a row of the table: what the sites got together."""
    with ExitStack() as stack:
        relays = [stack.enter_context(relayed(opened.url, delay)) for delay in delays]
        urls = [make_url(relay.url).update_query_dict(options).render_as_string(False) for relay in relays]
        with _context.Pool(len(urls)) as pool:
            found = pool.map(work, [Site(url, reads, seconds, seed) for seed, url in enumerate(urls)], chunksize=1)
        rounds = sum(relay.round_trips for relay in relays)
    took = sorted(each for outcome in found for each in outcome.took)
    refused = sum(outcome.refused for outcome in found)
    percentiles = [f"{took[len(took) * share // 100]:.1f}" for share in (50, 90, 99)]
    per_site = "/".join(f"{len(outcome.took) / seconds:.0f}" for outcome in found)
    behind = ages(found) or [0.0]
    old = f"{sum(each > 0 for each in behind) / len(behind):.1%}, {behind[-1]:.0f} ms"
    return [per_site, *percentiles, f"{100 * refused / len(took):.2f} %", f"{rounds / len(took):.2f}", old]


@contextmanager
def _filled(backend: Backend) -> Iterator[Opened]:
    with open_backend(backend) as opened:
        fill(opened.engine, SERVERS, children=False)
        yield opened


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.wan", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement (default: %(default)s)")
    parser.add_argument("--staleness", type=float, default=1.0, help="seconds (default: %(default)s)")
    parser.add_argument("--delays", default="20,50,100", help="milliseconds a round trip, of each site (%(default)s)")
    options = parser.parse_args()
    delays = [float(each) for each in options.delays.split(",")]
    console = Console()
    table = Table(
        "mix",
        "database",
        "a second, by site",
        "median ms",
        "90 %",
        "99 %",
        "refused",
        "round trips",
        "old reads, oldest",
    )
    for backend in (each for each in BACKENDS if each.name in _WANTED):
        try:
            with _filled(backend) as opened:
                variants: dict[str, dict[str, str]] = {backend.name: {}}
                if backend.kind == "rome":
                    variants[f"{backend.name}, staleness={options.staleness:g}"] = {"staleness": str(options.staleness)}
                for name, query in variants.items():
                    for mix, reads in MIXES.items():
                        console.print(f"{name}, {mix} …", style="dim")
                        table.add_row(mix, name, *measure(opened, query, delays, reads, options.seconds))
        except Missing as missing:
            console.print(f"{backend.name} is missing: {missing}")
    console.print(table)


if __name__ == "__main__":
    main()
