"""One fault at a time: what was acknowledged is there, once and whole; what was not is there whole or not at all."""

from __future__ import annotations

import importlib.resources
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rome
from rome.errors import Conflict, StoreUnavailable
from rome.testing import check_database
from rome.verify.faults.commits import STEPS, lose_answers
from rome.verify.faults.proxy import CUTS, Proxy
from rome.verify.faults.server import FaultyServer, faulty_server, until
from tests.proof import clients

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    with faulty_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def direct(server: FaultyServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with two rows of one value, indexed."""
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    url = f"rome+redis://127.0.0.1:{server.port}/{name}"
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
        connection.execute("CREATE INDEX t_v ON t (v)")
        connection.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    yield url
    connection.close()


def values(url: str) -> list[object]:
    """The two values. They and their index entries are always together."""
    assert check_database(url) == []
    connection = rome.connect(url)
    found = [value for (value,) in connection.execute("SELECT v FROM t ORDER BY id").fetchall()]
    connection.close()
    assert len(set(found)) == 1, f"a half commit: {found}"
    return found


def add_one(connection: rome.Connection) -> None:
    for row in (1, 2):
        connection.execute("UPDATE t SET v = v + 1 WHERE id = ?", (row,))


def through(proxy: Proxy, url: str) -> str:
    return f"rome+redis://127.0.0.1:{proxy.port}/{url.rpartition('/')[2]}"


@pytest.mark.parametrize("place", CUTS)
def test_a_connection_cut_at_a_commit_costs_nothing(server: FaultyServer, direct: str, place: str) -> None:
    with Proxy(server.port) as proxy:
        connection = rome.connect(through(proxy, direct))
        for expected in (1, 2, 3):
            add_one(connection)
            proxy.cut_next(place)
            connection.commit()
            assert values(direct) == [expected] * 2
        assert proxy.cuts[place] == 3
        connection.close()


@pytest.mark.parametrize(("place", "expected"), [("before", 0), ("in", 0), ("after", 1)])
def test_when_every_answer_is_lost_the_outcome_is_said_to_be_unknown(
    server: FaultyServer, direct: str, place: str, expected: int
) -> None:
    with Proxy(server.port) as proxy:
        connection = rome.connect(through(proxy, direct))
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
def test_an_outcome_that_left_the_log_is_said_to_be_unknown(
    server: FaultyServer, direct: str, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """The answer is lost, and so much is committed before it is asked for again that the token is forgotten."""
    other = rome.connect(f"{direct}?log_commits=5")

    def busy_moment(_: float) -> None:
        monkeypatch.undo()
        for value in range(200):
            other.execute("UPDATE t SET v = ? WHERE id = 1", (value,))
            other.commit()

    with Proxy(server.port) as proxy:
        connection = rome.connect(f"{through(proxy, direct)}?log_commits=5")
        connection.execute(sql)
        proxy.cut_next("after")
        monkeypatch.setattr("rome.storage.redis.connection.time.sleep", busy_moment)
        with pytest.raises(StoreUnavailable, match="too short to tell"):
            connection.commit()
        connection.close()
    other.close()


def test_connections_cut_between_statements_are_made_again(server: FaultyServer, direct: str) -> None:
    with Proxy(server.port) as proxy:
        connection = rome.connect(through(proxy, direct))
        connection.execute("SELECT v FROM t WHERE id = 1")
        proxy.cut_all()
        add_one(connection)
        proxy.cut_all()
        connection.commit()
        assert values(direct) == [1, 1]
        connection.close()


def start(url: str, step: str, number: signal.Signals) -> tuple[Any, Any]:
    context = multiprocessing.get_context("forkserver")
    answers = context.SimpleQueue()
    process = context.Process(target=clients.commit_with_trouble, args=(url, step, number, answers))
    process.start()
    return process, answers


@pytest.mark.parametrize(("step", "expected"), [("before", 0), ("half sent", 0), ("sent", 1), ("answered", 1)])
def test_a_client_killed_at_a_step_of_its_commit(direct: str, step: str, expected: int) -> None:
    process, _ = start(direct, step, clients.KILL)
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    until(lambda: values(direct) == [expected] * 2)


@pytest.mark.parametrize("step", STEPS)
def test_a_client_stopped_at_a_step_of_its_commit_holds_nobody_up(direct: str, step: str) -> None:
    process, answers = start(direct, step, clients.STOP)
    until(lambda: is_stopped(process.pid))
    sent = step in ("sent", "answered")
    until(lambda: values(direct) == [int(sent)] * 2)
    other = rome.connect(direct)
    add_one(other)
    other.commit()
    os.kill(process.pid, clients.GO_ON)
    process.join(30)
    assert answers.get() == ("committed" if sent else "conflict")
    assert values(direct) == [1 + sent] * 2
    other.close()


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_what_was_acknowledged_outlives_the_server(server: FaultyServer, direct: str) -> None:
    connection = rome.connect(direct)
    for expected in (1, 2):
        add_one(connection)
        connection.commit()
        server.kill()
        server.start()
        assert values(direct) == [expected] * 2


def test_a_server_that_is_down_is_waited_for_a_moment_and_then_named(server: FaultyServer, direct: str) -> None:
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


def test_scripts_that_the_server_forgot_are_sent_again(server: FaultyServer, direct: str) -> None:
    connection = rome.connect(direct)
    for expected in (1, 2):
        add_one(connection)
        server.forget_scripts()
        connection.commit()
        assert values(direct) == [expected] * 2


def test_out_of_memory_nothing_is_half_written_and_reads_go_on(server: FaultyServer, direct: str) -> None:
    connection = rome.connect(direct)
    server.fill_up()
    try:
        add_one(connection)
        with pytest.raises(StoreUnavailable, match="out of memory"):
            connection.commit()
        assert values(direct) == [0, 0]
    finally:
        server.make_room()
    add_one(connection)
    connection.commit()
    assert values(direct) == [1, 1]


def test_a_replica_is_read_and_takes_no_writes(server: FaultyServer, direct: str) -> None:
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


def test_lost_answers_in_memory() -> None:
    class Luck:
        """Gives the numbers that are wanted."""

        def __init__(self, *numbers: float) -> None:
            self.random = iter(numbers).__next__

    connection = rome.connect("rome+memory:///lost-answers")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    connection.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    connection.commit()
    luck: Any = Luck(0.0, 0.15, 0.25, 0.9)
    lose_answers(connection.database.store, 0.1, luck)
    for expected, lost in ((0, True), (1, True), (2, False), (3, False)):
        add_one(connection)
        if lost:
            with pytest.raises(StoreUnavailable):
                connection.commit()
        else:
            connection.commit()
        assert values("rome+memory:///lost-answers") == [expected] * 2
    connection.close()


def test_nothing_depends_on_clocks(direct: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's clock is put back and forth between any two looks at it; the server's is not looked at."""
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
    for name in ("common.lua", "commit.lua", "counter.lua", "rows.lua"):
        script = importlib.resources.files("rome.storage.redis").joinpath(name).read_text()
        assert "'TIME'" not in script
        assert "EXPIRE" not in script
    first.close()
    second.close()
