"""One fault at a time: an acknowledged commit is applied once and completely, any other completely or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import rome
from rome.errors import Conflict, StoreUnavailable
from rome.storage.redis.connection import text_of
from rome.testing import check_database
from rome.testing.child_processes import guarded
from rome.testing.servers import login_of_tests
from rome.verify.faults.commits import STEPS, lose_responses
from rome.verify.faults.proxy import CUTS, Proxy
from rome.verify.faults.server import FaultyServer, faulty_server, wait_until
from tests.verify import clients

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    with faulty_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def direct(server: FaultyServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with two rows of equal values and an index, without a proxy."""
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    url = server.url(name)
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
        connection.execute("CREATE INDEX t_v ON t (v)")
        connection.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    yield url
    connection.close()


def values(url: str) -> list[object]:
    """Return the two values, after checking that they are equal and match their index entries."""
    assert check_database(url) == []
    connection = rome.connect(url)
    found = [value for (value,) in connection.execute("SELECT v FROM t ORDER BY id").fetchall()]
    connection.close()
    assert len(set(found)) == 1, f"a half commit: {found}"
    return found


def add_one(connection: rome.Connection) -> None:
    for row in (1, 2):
        connection.execute("UPDATE t SET v = v + 1 WHERE id = ?", (row,))


def proxied(proxy: Proxy, url: str) -> str:
    return f"rome+redis://{login_of_tests()}127.0.0.1:{proxy.port}/{url.rpartition('/')[2]}"


@pytest.mark.parametrize("place", CUTS)
def test_a_commit_survives_a_cut_connection(server: FaultyServer, direct: str, place: str) -> None:
    with Proxy(server.port) as proxy:
        connection = rome.connect(proxied(proxy, direct))
        for expected in (1, 2, 3):
            add_one(connection)
            proxy.cut_next(place)
            connection.commit()
            assert values(direct) == [expected] * 2
        assert proxy.cuts[place] == 3
        connection.close()


@pytest.mark.parametrize(("place", "expected"), [("before", 0), ("in", 0), ("after", 1)])
def test_the_outcome_is_reported_unknown_if_every_response_is_lost(
    server: FaultyServer, direct: str, place: str, expected: int
) -> None:
    with Proxy(server.port) as proxy:
        connection = rome.connect(proxied(proxy, direct))
        add_one(connection)
        proxy.cut_next(*[place] * 5)
        with pytest.raises(StoreUnavailable, match="lost for good"):
            connection.commit()
        assert values(direct) == [expected] * 2
        add_one(connection)
        connection.commit()
        assert values(direct) == [expected + 1] * 2
        connection.close()


@pytest.mark.parametrize("sql", ["UPDATE t SET v = v + 1", "INSERT INTO t (v) VALUES (7)"])
def test_the_outcome_is_reported_unknown_if_it_has_left_the_log(
    server: FaultyServer, direct: str, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """The response is lost, and before the client sends the commit again, the log has dropped its token."""
    other = rome.connect(f"{direct}?log_commits=5")

    def busy_moment(_: float) -> None:
        monkeypatch.undo()
        for value in range(200):
            other.execute("UPDATE t SET v = ? WHERE id = 1", (value,))
            other.commit()

    with Proxy(server.port) as proxy:
        connection = rome.connect(f"{proxied(proxy, direct)}?log_commits=5")
        connection.execute(sql)
        proxy.cut_next("after")
        monkeypatch.setattr("rome.waits.sleep", busy_moment)
        with pytest.raises(StoreUnavailable, match="too short to tell"):
            connection.commit()
        connection.close()
    other.close()


def test_connections_cut_between_statements_are_replaced(server: FaultyServer, direct: str) -> None:
    with Proxy(server.port) as proxy:
        connection = rome.connect(proxied(proxy, direct))
        connection.execute("SELECT v FROM t WHERE id = 1")
        proxy.cut_all()
        add_one(connection)
        proxy.cut_all()
        connection.commit()
        assert values(direct) == [1, 1]
        connection.close()


@contextmanager
def client(url: str, step: str, number: signal.Signals) -> Iterator[tuple[Any, Any]]:
    """A process that commits and gets a signal at a step of the commit; it is killed at the end."""
    context = multiprocessing.get_context("forkserver")
    results = context.SimpleQueue()
    process = context.Process(target=clients.commit_with_signal, args=(url, step, number, results))
    with guarded(process):
        yield process, results


@pytest.mark.parametrize(("step", "expected"), [("before", 0), ("half sent", 0), ("sent", 1), ("answered", 1)])
def test_a_client_killed_at_a_step_of_its_commit(direct: str, step: str, expected: int) -> None:
    with client(direct, step, clients.KILL) as (process, _):
        process.join(600)
        assert process.exitcode == -signal.SIGKILL
    wait_until(lambda: values(direct) == [expected] * 2)


@pytest.mark.parametrize("step", STEPS)
def test_a_client_stopped_at_a_step_of_its_commit_blocks_no_other(direct: str, step: str) -> None:
    sent = step in ("sent", "answered")
    with client(direct, step, clients.STOP) as (process, results):
        wait_until(lambda: is_stopped(process.pid))
        wait_until(lambda: values(direct) == [int(sent)] * 2)
        other = rome.connect(direct)
        add_one(other)
        other.commit()
        os.kill(process.pid, clients.CONTINUE)
        process.join(600)
        assert results.get() == ("committed" if sent else "conflict")
    assert values(direct) == [1 + sent] * 2
    other.close()


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_acknowledged_commits_survive_a_restart_of_the_server(server: FaultyServer, direct: str) -> None:
    connection = rome.connect(direct)
    for expected in (1, 2):
        add_one(connection)
        connection.commit()
        server.kill()
        server.start()
        assert values(direct) == [expected] * 2


def test_a_server_that_stays_down_is_named_in_the_error(server: FaultyServer, direct: str) -> None:
    connection = rome.connect(direct)
    add_one(connection)
    server.kill()
    try:
        with pytest.raises(StoreUnavailable, match=str(server.port)):
            connection.commit()
    finally:
        server.start()
    assert values(direct) == [0, 0]
    add_one(connection)
    connection.commit()
    assert values(direct) == [1, 1]


def test_flushed_scripts_are_sent_again(server: FaultyServer, direct: str) -> None:
    connection = rome.connect(direct)
    for expected in (1, 2):
        add_one(connection)
        server.flush_scripts()
        connection.commit()
        assert values(direct) == [expected] * 2


def test_out_of_memory_writes_fail_completely_and_reads_succeed(server: FaultyServer, direct: str) -> None:
    connection = rome.connect(direct)
    server.exhaust_memory()
    try:
        add_one(connection)
        with pytest.raises(StoreUnavailable, match="out of memory"):
            connection.commit()
        assert values(direct) == [0, 0]
    finally:
        server.free_memory()
    add_one(connection)
    connection.commit()
    assert values(direct) == [1, 1]


def test_a_replica_serves_reads_and_refuses_writes(server: FaultyServer, direct: str) -> None:
    connection = rome.connect(direct)
    server.make_replica()
    try:
        assert values(direct) == [0, 0]
        add_one(connection)
        with pytest.raises(StoreUnavailable, match="replica"):
            connection.commit()
        assert values(direct) == [0, 0]
    finally:
        server.make_primary()
    add_one(connection)
    connection.commit()
    assert values(direct) == [1, 1]


def test_lost_responses_in_memory() -> None:
    class Draws:
        """Random numbers that are chosen by the test."""

        def __init__(self, *numbers: float) -> None:
            self.random = iter(numbers).__next__

    connection = rome.connect("rome+memory:///lost-responses")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    connection.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    connection.commit()
    draws: Any = Draws(0.0, 0.15, 0.25, 0.9)
    lose_responses(connection.database.store, 0.1, draws)
    for expected, lost in ((0, True), (1, True), (2, False), (3, False)):
        add_one(connection)
        if lost:
            with pytest.raises(StoreUnavailable):
                connection.commit()
        else:
            connection.commit()
        assert values("rome+memory:///lost-responses") == [expected] * 2
    connection.close()


def test_commits_do_not_depend_on_clocks(direct: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's clock runs backwards; the scripts do not read the server's clock."""
    steps = iter(range(10**9, 0, -(10**7)))
    monkeypatch.setattr(time, "time", lambda: float(next(steps)))
    first, second = rome.connect(direct), rome.connect(direct)
    for connection in (first, second):
        assert connection.execute("SELECT v FROM t ORDER BY id").fetchall() == [(0,), (0,)]
        add_one(connection)
    first.commit()
    with pytest.raises(Conflict):
        second.commit()
    monkeypatch.undo()
    assert values(direct) == [1, 1]
    for name in ("commit", "counter", "rows"):
        script = text_of(name)
        assert "'TIME'" not in script
        assert "EXPIRE" not in script
    first.close()
    second.close()
