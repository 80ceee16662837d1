"""The cases on every database, for pytest-benchmark. `./scripts/bench` runs them and makes a report.

python -m pytest benchmarks --benchmark-only -p no:xdist --backends Valkey,psycopg -k "get"
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import pytest
from sqlalchemy.orm import Session

from benchmarks.backends import RELAXED, SYNCED, Opened
from benchmarks.cases import CASES, Case, repeat
from benchmarks.conftest import Databases
from benchmarks.pace import Pace


class Measurement(NamedTuple):
    """One case on one database. `number`: of the pass."""

    case: Case
    durability: str
    number: int
    backend: str

    def __str__(self) -> str:
        return f"{self.case.group}: {self.case.name} | {self.backend} | {self.durability} | {self.number}"


def measurements(backends: Sequence[str], config: pytest.Config) -> list[Measurement]:
    """Return what is to be measured, in order. Only commits are measured with synced commits too."""
    classes = [(case, durability) for case in CASES for durability in (RELAXED, SYNCED)]
    wanted = [
        (case, durability) for case, durability in classes if durability == RELAXED or (case.commits and case.hot)
    ]
    return [
        Measurement(case, durability, number, backend)
        for number, (case, durability), backend in product(range(config.getoption("--passes")), wanted, backends)
        if durability == RELAXED or "memory" not in backend
    ]


def test_case(
    measurement: Measurement, databases: Databases, benchmark: Any, pace: Pace, pytestconfig: pytest.Config
) -> None:
    """Measure one case on one database."""
    case, durability, _, backend = measurement
    opened = databases.get(backend, durability)
    times = 1 if case.prepare else max(1, round(case.often * pytestconfig.getoption("--scale")))
    benchmark.extra_info.update(
        case=case.name, group=case.group, backend=backend, kind=opened.backend.kind, durability=durability, times=times
    )
    pace.measure(
        (case.group, case.name, durability, backend),
        benchmark,
        lambda: opened.run(lambda: repeat(opened.engine, case, times)),
        lambda: prepare(opened, case),
    )


def prepare(opened: Opened, case: Case) -> None:
    """Do what a case needs before each round."""
    work = case.prepare
    if work is not None:

        def run() -> None:
            with Session(opened.engine) as session:
                work(session)

        opened.run(run)
