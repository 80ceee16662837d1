"""The databases of `benchmarks/test_cases.py`, each opened and filled once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from benchmarks.backends import NAMES, Missing, Opened, open_backend
from benchmarks.cases import make_sides
from benchmarks.pace import Pace
from benchmarks.schema import fill

SERVERS = 1000


class Databases:
    """The open databases, by name and durability. Missing ones have the reason instead."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._opened: dict[tuple[str, str], Opened | str] = {}

    def get(self, name: str, durability: str) -> Opened:
        """Return a database; skip the test, with the reason, if it can't be had."""
        key = name, durability
        if key not in self._opened:
            self._opened[key] = self._open(name, durability)
        found = self._opened[key]
        if isinstance(found, str):
            pytest.skip(found)
        return found

    def _open(self, name: str, durability: str) -> Opened | str:
        try:
            opened = self._stack.enter_context(open_backend(NAMES[name], durability))
        except Missing as error:
            return str(error.args[0])
        opened.run(lambda: fill(opened.engine, SERVERS))
        opened.run(lambda: make_sides(opened.engine))
        return opened

    def close(self) -> None:
        """Drop all databases."""
        self._stack.close()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Return the databases of this run."""
    found = Databases()
    yield found
    found.close()


@pytest.fixture(scope="session")
def pace(pytestconfig: pytest.Config) -> Pace:
    """Return the pace of this run."""
    return Pace(pytestconfig.getoption("--rounds"), pytestconfig.getoption("--seconds"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options by which `benchmarks.bench` runs the cases."""
    group = parser.getgroup("rome")
    group.addoption("--passes", type=int, default=3, help="how often each case is measured on each database, at most")
    group.addoption("--rounds", type=int, default=5, help="measured rounds of a pass, at most")
    group.addoption("--seconds", type=float, default=0.5, help="how long the rounds of a pass may take, about")
    group.addoption("--scale", type=float, default=1.0, help="factor of how often a case runs in a round")
    group.addoption("--sizes", default="1000", help="how many instances and images services have, divided by commas")
    group.addoption("--backends", default="", help="names of databases, or parts of them, divided by commas")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Measure each case on one database after the other, and all of that several times: noise then hits all alike."""
    config = metafunc.config
    wanted = [part for part in config.getoption("--backends").split(",") if part]
    names = [name for name in NAMES if not wanted or any(part in name for part in wanted)]
    metafunc.parametrize("measurement", metafunc.module.measurements(names, config), ids=str)
