"""A server that loses acknowledged commits and then assigns their version numbers again: clients notice the difference.

The server of these tests saves a dump on request and returns to that dump when it is killed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from threading import get_ident

import pytest

import rome
from rome import waits
from rome.errors import Conflict, HistoryLost
from rome.testing import check_database
from rome.testing.servers import login_of_tests
from rome.verify.faults.proxy import Proxy
from rome.verify.faults.server import FaultyServer, faulty_server

pytestmark = [pytest.mark.slow, pytest.mark.server]

NUMBER = itertools.count()
LOST = 3
"""Number of commits that the server loses in most of these tests."""


@dataclass
class Scene:
    """A database on a server that loses commits. Connections of different `process` share only the server."""

    server: FaultyServer
    name: str

    def url(self, process: int = 0, port: int | None = None) -> str:
        address = f"{login_of_tests()}127.0.0.1:{port or self.server.port}"
        return f"rome+redis://{address}/{self.name}?log_commits={1000 + process}"

    def connect(self, process: int = 0, isolation_level: str = "SNAPSHOT") -> rome.Connection:
        return rome.connect(self.url(process), isolation_level=isolation_level)

    def save(self) -> None:
        self.server.admin.save()

    def go_back(self) -> None:
        self.server.kill()
        self.server.start()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    with faulty_server(tmp_path_factory.mktemp("forgetful"), appendonly="no") as server:
        yield server


@pytest.fixture
def scene(server: FaultyServer) -> Iterator[Scene]:
    """A table with two rows, which are in the dump."""
    scene = Scene(server, f"back{next(NUMBER)}")
    with scene.connect() as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
        connection.execute("CREATE INDEX t_v ON t (v)")
        connection.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    scene.save()
    yield scene
    assert check_database(scene.url()) == []
    connection.close()


def add(connection: rome.Connection, number: int, times: int = 1, row: int = 1) -> None:
    """Commit `times` increments of a row."""
    for _ in range(times):
        connection.execute("UPDATE t SET v = v + ? WHERE id = ?", (number, row))
        connection.commit()


def values(connection: rome.Connection) -> list[object]:
    found = [value for (value,) in connection.execute("SELECT v FROM t ORDER BY id").fetchall()]
    connection.commit()
    return found


def test_the_server_returns_to_the_dump(scene: Scene) -> None:
    connection = scene.connect()
    add(connection, 1, 2)
    scene.save()
    add(connection, 1, 2)
    scene.go_back()
    assert values(connection) == [2, 0]
    add(connection, 1)
    assert values(connection) == [3, 0]


@pytest.mark.parametrize("level", ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"])
@pytest.mark.parametrize("again", [0, LOST - 1, LOST, LOST + 2])
def test_an_open_transaction_that_writes_is_aborted(scene: Scene, level: str, again: int) -> None:
    """The version number of its snapshot is not yet assigned again, is the newest one again, or is older again."""
    connection, writer = scene.connect(), scene.connect(1, level)
    add(connection, 1, LOST, row=2)
    writer.execute("UPDATE t SET v = v + 10 WHERE id = 2")  # its snapshot is a version that the server loses
    scene.go_back()
    add(connection, 1, again)
    with pytest.raises(HistoryLost, match="lost commits"):
        writer.commit()
    assert values(connection) == [again, 0]
    writer.execute("UPDATE t SET v = v + 10 WHERE id = 2")
    writer.commit()
    assert values(connection) == [again, 10]


@pytest.mark.parametrize("again", [0, LOST - 1, LOST, LOST + 2])
def test_a_lost_snapshot_is_not_read(scene: Scene, again: int) -> None:
    connection, reader = scene.connect(), scene.connect(1)
    add(connection, 1, LOST)
    assert reader.execute("SELECT v FROM t WHERE id = 1").fetchall() == [(LOST,)]
    scene.go_back()
    add(connection, 1, again, row=2)
    with pytest.raises(HistoryLost, match="lost commits"):
        reader.execute("SELECT v FROM t WHERE id = 2")
    reader.rollback()
    assert values(reader) == [0, again]


@pytest.mark.parametrize("again", [LOST - 1, LOST, LOST + 2])
def test_snapshots_before_the_dump_stay_valid(scene: Scene, again: int) -> None:
    """These versions are unchanged; only newer ones are lost."""
    connection, reader, writer = scene.connect(), scene.connect(1), scene.connect(2)
    for other in (reader, writer):
        assert other.execute("SELECT v FROM t WHERE id = 1").fetchall() == [(0,)]
    add(connection, 1, LOST)
    scene.go_back()
    add(connection, 1, again)
    assert reader.execute("SELECT v FROM t ORDER BY id").fetchall() == [(0,), (0,)]
    writer.execute("UPDATE t SET v = 7 WHERE id = 2")
    writer.commit()
    assert values(connection) == [again, 7]


def test_read_committed_reads_the_newest_version(scene: Scene) -> None:
    connection, other = scene.connect(), scene.connect(1, "READ COMMITTED")
    add(connection, 1, LOST)
    assert other.execute("SELECT v FROM t").fetchall() == [(LOST,), (0,)]
    scene.go_back()
    assert other.execute("SELECT v FROM t").fetchall() == [(0,), (0,)]
    other.execute("UPDATE t SET v = v + 1 WHERE id = 2")
    other.commit()
    assert values(connection) == [0, 1]


def test_read_committed_does_not_mix_two_versions_of_one_number(scene: Scene) -> None:
    connection, other = scene.connect(), scene.connect(1, "READ COMMITTED")
    add(connection, 1, LOST)
    other.execute("UPDATE t SET v = v + 10 WHERE id = 1")
    scene.go_back()
    add(connection, 1, LOST, row=2)
    with pytest.raises(HistoryLost):
        other.execute("UPDATE t SET v = v + 10 WHERE id = 2")


def test_autocommit_is_not_affected(scene: Scene) -> None:
    connection, other = scene.connect(), scene.connect(1, "AUTOCOMMIT")
    add(connection, 1, LOST)
    assert other.execute("SELECT v FROM t").fetchall() == [(LOST,), (0,)]
    scene.go_back()
    for again in range(2 * LOST):
        assert other.execute("SELECT v FROM t").fetchall() == [(again,), (0,)]
        add(connection, 1)
    other.execute("UPDATE t SET v = v + 1 WHERE id = 2")
    assert values(connection) == [2 * LOST, 1]


@pytest.mark.parametrize("level", ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED", "AUTOCOMMIT"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_cached_schema_is_not_used_for_another_one(scene: Scene, level: str, before: int) -> None:
    """Catalog versions are assigned again, too, while catalogs and plans of the lost versions are still cached."""
    one, other = scene.connect(0, level), scene.connect(1, level)
    add(one, 1, before)
    one.execute("ALTER TABLE t ADD COLUMN one TEXT DEFAULT 'one'")
    one.execute("CREATE TABLE u (a INTEGER)")
    one.commit()
    assert one.execute("SELECT * FROM t").fetchall() == [(1, before, "one"), (2, 0, "one")]
    assert one.execute("SELECT * FROM u").fetchall() == []
    one.commit()
    scene.go_back()
    other.execute("ALTER TABLE t ADD COLUMN other TEXT DEFAULT 'other'")
    other.execute("CREATE TABLE u (a INTEGER, b INTEGER)")
    other.execute("INSERT INTO u VALUES (1, 2)")
    other.commit()
    add(other, 1, 1 - before)
    assert one.execute("SELECT * FROM t").fetchall() == [(1, 1 - before, "other"), (2, 0, "other")]
    assert one.execute("SELECT * FROM u").fetchall() == [(1, 2)]
    one.execute("INSERT INTO u VALUES (3, 4)")
    one.commit()
    assert other.execute("SELECT * FROM u").fetchall() == [(1, 2), (3, 4)]


def test_sequence_numbers_that_are_allocated_twice(scene: Scene) -> None:
    """Two processes own the same block of numbers. No row is lost, and no two rows get the same number."""
    one, other = scene.connect(0), scene.connect(1)
    one.execute("INSERT INTO t (v) VALUES (100)")
    one.commit()
    scene.go_back()
    refused = 0
    for number in range(40):
        for connection in (other, one):
            for _ in range(2):
                try:
                    connection.execute("INSERT INTO t (v) VALUES (?)", (number,))
                    connection.commit()
                    break
                except Conflict:
                    refused += 1
    assert refused <= 1
    assert values(one) == values(other)
    assert sorted(values(one)[2:]) == sorted([*range(40), *range(40)])


def test_table_ids_that_are_allocated_twice(scene: Scene) -> None:
    """Two tables must not get the same id, or they would share their rows.

    No commit is lost here, so no client can notice that the server went back.
    """
    one, other = scene.connect(1), scene.connect(2)
    one.execute("CREATE TABLE a (n INTEGER, UNIQUE (n))")
    one.rollback()
    scene.go_back()
    refused = 0
    for number in range(6):
        for connection in (other, one):
            name = f"t{number}_{connection is one:d}"
            for _ in range(2):
                try:
                    connection.execute(f"CREATE TABLE {name} (n INTEGER, UNIQUE (n))")
                    connection.execute(f"INSERT INTO {name} VALUES (?)", (number,))
                    connection.commit()
                    break
                except Conflict:
                    refused += 1
    assert refused <= 1
    for connection in (one, other):
        for number in range(6):
            for owner in (0, 1):
                assert connection.execute(f"SELECT n FROM t{number}_{owner}").fetchall() == [(number,)]


def test_table_ids_that_are_allocated_twice_concurrently(scene: Scene) -> None:
    """Neither client has seen the other one's table."""
    one, other = scene.connect(1), scene.connect(2)
    one.execute("CREATE TABLE a (n INTEGER, UNIQUE (n))")
    one.rollback()
    scene.go_back()
    other.execute("CREATE TABLE b (n INTEGER, UNIQUE (n))")
    other.commit()
    for connection, name in ((other, "c"), (one, "d")):
        connection.execute(f"CREATE TABLE {name} (n INTEGER, UNIQUE (n))")
    other.commit()
    one.commit()  # it is replayed, and gets other ids
    other.execute("DROP TABLE c")
    other.commit()
    one.execute("INSERT INTO d VALUES (1)")
    one.commit()
    assert other.execute("SELECT * FROM d").fetchall() == [(1,)]
    assert other.execute("SELECT * FROM b").fetchall() == []


@pytest.mark.parametrize(("seen", "outcome"), [("lost", HistoryLost), ("kept", None)])
@pytest.mark.parametrize("others", [0, 1, LOST + 2])
def test_a_response_that_is_lost_together_with_its_commit(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, seen: str, outcome: type[Exception] | None, others: int
) -> None:
    """The commit is applied, its response is lost, and the server loses the commit before the client sends it again.

    If the version that the commit was based on is still there, it is applied again, once; else it gets HistoryLost.
    """
    connection = scene.connect()
    add(connection, 1, LOST)
    if seen == "kept":
        scene.save()

    me, sleep = get_ident(), waits.sleep

    def lose_commits(seconds: float) -> None:
        if get_ident() != me:  # a thread that tries to reach the server of an earlier test
            sleep(seconds)
            return
        monkeypatch.undo()
        scene.go_back()
        add(connection, 1, others)

    with Proxy(scene.server.port) as proxy:
        writer = rome.connect(scene.url(1, proxy.port))
        writer.execute("UPDATE t SET v = v + 10 WHERE id = 2")
        proxy.cut_next("after")
        monkeypatch.setattr(waits, "sleep", lose_commits)
        if outcome is None:
            writer.commit()
        else:
            with pytest.raises(outcome):
                writer.commit()
        writer.close()
    assert values(connection) == [others + (LOST if seen == "kept" else 0), 0 if outcome else 10]


def test_row_locks_of_a_lost_version(scene: Scene) -> None:
    """The locks are lost with the commits. A transaction that only locked rows gets HistoryLost, too."""
    connection, holder = scene.connect(), scene.connect(1)
    add(connection, 1, LOST)
    assert holder.execute("SELECT v FROM t WHERE id = 1 FOR UPDATE").fetchall() == [(LOST,)]
    scene.go_back()
    add(connection, 1, LOST)
    with pytest.raises(HistoryLost):
        holder.commit()
