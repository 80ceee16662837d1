"""The routes of four statements are short: no more calls than before, and at most two thirds of the files and jumps."""

import pytest

from rome.testing.servers import RedisServer
from tests.architecture.routes import BEFORE, LIMITS, Route, measure_in_process


@pytest.fixture(scope="module")
def routes(redis_server: RedisServer) -> dict[str, Route]:
    return measure_in_process(redis_server.url("routes"))


@pytest.mark.parametrize("name", BEFORE)
def test_a_route_is_short(routes: dict[str, Route], name: str) -> None:
    longer = [field for field in Route._fields if getattr(routes[name], field) > getattr(LIMITS[name], field)]
    assert not longer, f"{name}: {routes[name]}, and the limits are {LIMITS[name]}"
