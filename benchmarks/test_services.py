"""The functions of services on every database, for pytest-benchmark. `./scripts/bench --services` runs them.

Nova and Glance have to be installed. Their functions use a session as they do in the service; asynchronous drivers and
databases in memory are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import product
from typing import Any, NamedTuple

import pytest

from benchmarks.backends import NAMES, Missing
from benchmarks.pace import Pace
from benchmarks.services.functions import SERVICES, Api, Function, Service, usable
from benchmarks.services.place import api_on, filled


class Measurement(NamedTuple):
    """One function on one database with so many instances, or images. `number`: of the pass."""

    service: Service
    size: int
    number: int
    function: Function
    backend: str

    @property
    def group(self) -> str:
        return f"{self.service.name}, {self.size:,}"

    def __str__(self) -> str:
        return f"{self.group}: {self.function.name} | {self.backend} | {self.number}"


def measurements(backends: Sequence[str], config: pytest.Config) -> list[Measurement]:
    """Return what is to be measured, in order."""
    sizes = [int(size) for size in config.getoption("--sizes").split(",")]
    wanted = [name for name in backends if usable(NAMES[name])]
    return [
        Measurement(service, *rest)
        for service in SERVICES
        if service.missing is None
        for rest in product(sizes, range(config.getoption("--passes")), service.functions, wanted)
    ]


class Databases:
    """The databases of one service and size at a time, filled, with the service's API. Missing ones have a reason."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._group = ""
        self._apis: dict[str, Api | str] = {}

    def get(self, measurement: Measurement) -> Api:
        """Return the API on a database; skip the test, with the reason, if it can't be had."""
        if measurement.group != self._group:
            self.close()
            self._group = measurement.group
            self._filled = self._stack.enter_context(filled(measurement.service, measurement.size))
        name = measurement.backend
        if name not in self._apis:
            self._apis[name] = self._api(measurement)
        found = self._apis[name]
        if isinstance(found, str):
            pytest.skip(found)
        return found

    def _api(self, measurement: Measurement) -> Api | str:
        service, size = measurement.service, measurement.size
        try:
            url = self._filled.url(NAMES[measurement.backend])
        except Missing as error:
            return str(error.args[0])
        return self._stack.enter_context(api_on(service, size, url))

    def close(self) -> None:
        """Drop all databases."""
        self._stack.close()
        self._apis.clear()


@pytest.fixture(scope="session")
def service_databases() -> Iterator[Databases]:
    """Return the databases of this run."""
    found = Databases()
    yield found
    found.close()


def test_function(
    measurement: Measurement, service_databases: Databases, benchmark: Any, pace: Pace, pytestconfig: pytest.Config
) -> None:
    """Measure one function on one database."""
    api = service_databases.get(measurement)
    function, backend = measurement.function, NAMES[measurement.backend]
    times = max(1, round(function.often * pytestconfig.getoption("--scale")))
    benchmark.extra_info.update(
        kind=backend.kind, backend=backend.name, durability="relaxed", times=times,
        group=measurement.group, case=function.name, service=measurement.service.name, size=measurement.size,
        request=function.of,
    )  # fmt: skip

    def run() -> None:
        with api.in_use():
            for _ in range(times):
                function.call(api)

    pace.measure((measurement.group, function.name, backend.name), benchmark, run, lambda: None)
