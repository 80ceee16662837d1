"""Several processes at once: each reads a random row, changes it and commits, for a number of seconds."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from benchmarks.backends import RELAXED, Opened, set_durability
from benchmarks.schema import Server

_context = multiprocessing.get_context("spawn")


def work(url: str, seconds: float, servers: int, seed: int) -> tuple[list[float], int]:
    """Run in one process. Return the milliseconds of each commit, and the number of conflicts."""
    chooser = random.Random(seed)
    engine = create_engine(url, connect_args={"timeout": 60} if url.startswith("sqlite") else {})
    set_durability(engine, RELAXED)
    took: list[float] = []
    conflicts = 0
    with Session(engine) as session:
        session.get(Server, 1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        try:
            _change(engine, chooser.randint(1, servers), f"changed by {seed}")
        except OperationalError:
            conflicts += 1
            continue
        took.append((time.perf_counter() - began) * 1000)
    engine.dispose()
    return took, conflicts


def _change(engine: Any, number: int, note: str) -> None:
    with Session(engine) as session, session.begin():
        server = session.get(Server, number)
        assert server is not None
        server.note = f"{note} {random.random()}"


def throughput(
    databases: Sequence[Opened], processes: Sequence[int], seconds: float, servers: int, note: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return commits a second, percentiles in milliseconds and the share of conflicts, by database and processes."""
    found = []
    for number in processes:
        with _context.Pool(number) as pool:  # to start processes takes longer than to measure
            pool.map(_ready, range(number))
            for opened in databases:
                note(f"{opened.backend.name}, {number} processes")
                done = pool.starmap(work, [(opened.url, seconds, servers, seed) for seed in range(number)], chunksize=1)
                took = sorted(each for times, _ in done for each in times)
                conflicts = sum(count for _, count in done)
                found.append(
                    {
                        "backend": opened.backend.name,
                        "processes": number,
                        "per_second": len(took) / seconds,
                        "median": took[len(took) // 2],
                        "p99": took[len(took) * 99 // 100],
                        "conflicts": conflicts / max(1, conflicts + len(took)),
                    }
                )
    return found


def _ready(number: int) -> int:
    """Start a process of the pool; imports are done before the clock runs."""
    return number
