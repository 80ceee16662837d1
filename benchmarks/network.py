"""The cost of a network: the round trips of each driver, and the time of hot paths when each takes longer.

Both go through a relay on loopback (`benchmarks.delay`), so only databases behind a socket take part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from benchmarks.backends import RELAXED, Opened, set_durability
from benchmarks.cases import HOT, Case, repeat
from benchmarks.delay import relayed

_TRIES = 3
_REPEATS = 4

Row = dict[str, Any]


def round_trips(databases: Sequence[Opened], note: Callable[[str], None]) -> list[Row]:
    """Return how many round trips each hot path takes with each driver, in a session of its own on a pooled connection.

    The transaction's end is included: also what a pool sends when a connection comes back.
    """
    found = []
    for opened in databases:
        note(f"round trips of {opened.backend.name}")
        with relayed(opened.url) as relay:
            engine = create_engine(relay.url)
            set_durability(engine, RELAXED)
            for case in HOT.values():
                repeat(engine, case, 2)
                before = relay.round_trips
                repeat(engine, case, _REPEATS)
                each = (relay.round_trips - before) / _REPEATS
                found.append({"case": case.name, "backend": opened.backend.name, "round_trips": each})
            engine.dispose()
    return found


def latencies(databases: Sequence[Opened], delays: Sequence[float], note: Callable[[str], None]) -> list[Row]:
    """Return the milliseconds of each hot path when each round trip takes so many more: the least of a few tries."""
    found = []
    for delay in delays:
        for opened in databases:
            note(f"{opened.backend.name} with {delay:g} ms a round trip")
            with relayed(opened.url, delay) as relay:
                engine = create_engine(relay.url)
                set_durability(engine, RELAXED)
                for case in HOT.values():
                    repeat(engine, case, 1)
                    least = min(_milliseconds(engine, case) for _ in range(_TRIES))
                    row = {"case": case.name, "backend": opened.backend.name, "delay": delay, "milliseconds": least}
                    found.append({**row, "kind": opened.backend.kind})
                engine.dispose()
    return found


def _milliseconds(engine: Any, case: Case) -> float:
    began = time.perf_counter()
    with Session(engine) as session:
        case.work(session)
    return (time.perf_counter() - began) * 1000
