"""The databases of the proofs, on every store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

import rome
from rome.testing.servers import RedisServer

_NUMBER = itertools.count()


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database of this test's own, once on each store."""
    name = f"proof{next(_NUMBER)}"
    if request.param == "memory":
        address = f"rome+memory:///{name}"
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        address = server.url(name)
    yield address
    rome.drop_database(address)
