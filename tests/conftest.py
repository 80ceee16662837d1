"""Fixtures for all tests."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

import rome
from rome.testing.child_processes import guarded
from rome.testing.servers import RedisServer, valkey_server
from tests.versions import HAS_SQLALCHEMY_2

_NUMBER = itertools.count()

RABBITMQ = "ROME_TEST_RABBITMQ_URL"
NO_RABBITMQ = f"no RabbitMQ at 127.0.0.1:5672: start one, or set {RABBITMQ}"

# On a busy machine an example takes as long as it takes.
settings.register_profile("rome", deadline=None)
settings.load_profile("rome")


# rome.orm, and the declarative models of these tests, need SQLAlchemy 2.0.
collect_ignore = [
    "architecture",
    "asyncio",
    "session/test_explain.py",
    "orm",
    "verify/test_increments.py",
    "test_benchmarks.py",
    "test_demo.py",
    "test_dialect.py",
    "test_round_trips.py",
    "test_sqlite_name.py",
    "session/test_topn.py",
    "transaction/test_row_locks.py",
]
if HAS_SQLALCHEMY_2:
    collect_ignore.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ask for a server themselves; the fixtures below mark their parameter."""
    for item in items:
        if "redis_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.server)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report the tests of the optional group that did not run."""
    skipped = [each for each in terminalreporter.stats.get("skipped", []) if NO_RABBITMQ in str(each.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests did not run: {NO_RABBITMQ}", yellow=True)


@pytest.fixture(scope="session")
def rabbitmq() -> str:
    """The transport_url of a RabbitMQ server. Tests that need it are an optional group: `-m rabbitmq`."""
    named = os.environ.get(RABBITMQ)
    url = named or "rabbit://guest:guest@127.0.0.1:5672/"
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 5672), timeout=10).close()
    except OSError:
        if named:
            raise
        pytest.skip(NO_RABBITMQ)
    return url


@pytest.fixture
def start_process() -> Iterator[Callable[[BaseProcess], None]]:
    """A function that starts a process, which is killed after the test, or when the tests are killed."""
    with ExitStack() as stack:
        yield lambda process: stack.enter_context(guarded(process))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A temporary Valkey server, or the one that ROME_TEST_REDIS_URL names. Tests choose the names of databases."""
    with valkey_server() as server:
        yield server


@pytest.fixture(
    params=["memory", pytest.param("file", marks=pytest.mark.slow), pytest.param("redis", marks=pytest.mark.server)]
)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database for this test, on each store."""
    name = f"test{next(_NUMBER)}"
    if request.param == "memory":
        address = f"rome+memory:///{name}"
    elif request.param == "file":
        address = f"rome+file://{request.getfixturevalue('tmp_path')}/{name}.rome"
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        address = server.url(name)
    yield address
    rome.drop_database(address)
