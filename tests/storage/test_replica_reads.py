"""`read_from=replica`: fetches go to a replica, and commits to the primary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import text

import rome
from rome.dbapi import Connection
from rome.errors import Conflict, IntegrityError, InterfaceError, StoreUnavailable
from rome.locks import LockManager
from rome.storage.redis.replicas.freshness import Freshness
from rome.storage.redis.replicas.nearest import Nearest
from rome.storage.store import Fetched, Store
from rome.testing import check_database
from rome.testing.servers import free_port
from rome.testing.store_suite import StoreSuite
from rome.verify.faults.cluster import faulty_cluster
from rome.verify.faults.server import FaultyServer, faulty_server, replica_of, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.server]

STALE = "staleness=3600"
"""No test takes so long: the primary is asked for its version once."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FaultyServer, FaultyServer]]:
    folder = tmp_path_factory.mktemp("servers")
    with (
        faulty_server(folder / "primary", appendonly="no") as server,
        replica_of(server, folder / "replica") as replica,
    ):
        yield server, replica


@pytest.fixture
def primary(servers: tuple[FaultyServer, FaultyServer]) -> FaultyServer:
    return servers[0]


@pytest.fixture
def replica(servers: tuple[FaultyServer, FaultyServer]) -> Iterator[FaultyServer]:
    """A replica that follows the primary, and does so again after the test."""
    yield servers[1]
    attach(*servers)


@pytest.fixture
def url(primary: FaultyServer, replica: FaultyServer) -> Iterator[str]:
    """The URL of a database with a table, at the primary."""
    url = primary.url("app")
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, name TEXT UNIQUE)")
        connection.executemany("INSERT INTO t (n, name) VALUES (?, ?)", [(0, "a"), (0, "b")])
        connection.commit()
    attach(primary, replica)
    yield url
    rome.drop_database(url)


def attach(primary: FaultyServer, replica: FaultyServer) -> None:
    """Let the replica follow the primary, and wait until it has all."""
    with closing(primary.admin) as first, closing(replica.admin) as second:
        second.execute_command("REPLICAOF", "127.0.0.1", str(primary.port))  # type: ignore[no-untyped-call]
        wait_until(lambda: info(second, "replication")["master_link_status"] == "up")
        wait_until(lambda: info(second, "replication")["slave_repl_offset"] >= offset(first))


def offset(client: Any) -> int:
    found: int = info(client, "replication")["master_repl_offset"]
    return found


def info(client: Any, section: str) -> dict[str, Any]:
    found: dict[str, Any] = client.info(section)
    return found


def reading_at(url: str, replica: FaultyServer, options: str = STALE) -> str:
    return f"{url}?read_from=replica&replica=127.0.0.1:{replica.port}&{options}"


@pytest.fixture
def connection(url: str, replica: FaultyServer) -> Iterator[Connection]:
    """A connection that has read at the replica, which gets nothing more from the primary."""
    with closing(rome.connect(reading_at(url, replica))) as connection:
        assert total(connection) == 0
        replica.make_replica()
        yield connection


def total(connection: Connection) -> object:
    (found,) = connection.execute("SELECT sum(n) FROM t").fetchone()
    connection.rollback()
    return found


def change(url: str, *statements: str) -> None:
    with closing(rome.connect(url)) as other:
        for statement in statements:
            other.execute(statement)
        other.commit()


def reads_of(server: FaultyServer) -> int:
    """Return how many reads of keys a server has done."""
    with closing(server.admin) as client:
        calls: dict[str, Any] = info(client, "commandstats")
    return sum(each["calls"] for name, each in calls.items() if name in ("cmdstat_hmget", "cmdstat_hgetall"))


class TestStore(StoreSuite):
    """With a staleness of nearly nothing, each transaction sees what was acknowledged before it began."""

    @pytest.fixture
    def store_url(self, primary: FaultyServer, replica: FaultyServer) -> Callable[[str], str]:
        options = f"read_from=replica&replica=127.0.0.1:{replica.port}&staleness=0.000001"
        return lambda database: primary.url(database, options)

    @pytest.mark.skip(reason="there is one round more: the primary is asked for its version")
    def test_many_requests_are_one_round(self, filled: Store) -> None: ...


def test_reads_go_to_the_replica(url: str, primary: FaultyServer, replica: FaultyServer) -> None:
    with closing(rome.connect(reading_at(url, replica))) as connection:
        assert total(connection) == 0
        at_primary, at_replica = reads_of(primary), reads_of(replica)
        rounds = connection.database.store.stats.rounds
        for _ in range(5):
            assert total(connection) == 0
        assert connection.database.store.stats.rounds == rounds + 5
        assert reads_of(primary) == at_primary
        assert reads_of(replica) > at_replica


def test_an_answer_is_as_old_as_allowed(connection: Connection, url: str, replica: FaultyServer) -> None:
    change(url, "UPDATE t SET n = 1", "CREATE TABLE later (a)")
    assert total(connection) == 0
    with pytest.raises(rome.errors.OperationalError, match="no such table"):
        connection.execute("SELECT * FROM later")
    connection.rollback()
    with closing(rome.connect(reading_at(url, replica, "staleness=0.000001"))) as fresh:
        assert total(fresh) == 2
        assert fresh.execute("SELECT * FROM later").fetchall() == []


def test_a_process_sees_what_it_has_committed(connection: Connection, url: str, replica: FaultyServer) -> None:
    connection.execute("UPDATE t SET n = 5 WHERE id = 1")
    connection.commit()
    assert total(connection) == 5
    with closing(rome.connect(reading_at(url, replica))) as second:
        assert total(second) == 5


def test_it_reads_at_the_replica_again_when_that_has_the_version(
    connection: Connection, primary: FaultyServer, replica: FaultyServer
) -> None:
    connection.execute("UPDATE t SET n = 5 WHERE id = 1")
    connection.commit()
    assert total(connection) == 5
    attach(primary, replica)
    before = reads_of(primary)
    assert total(connection) == 5
    assert reads_of(primary) == before


@pytest.mark.parametrize("level", ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"])
def test_a_writer_with_old_rows_is_repeated_or_refused(connection: Connection, url: str, level: str) -> None:
    """The repetition reads at the primary, so that one is enough."""
    change(url, "UPDATE t SET n = n + 1 WHERE id = 1")
    connection.isolation_level = level
    before = connection.database.replays
    connection.execute("UPDATE t SET n = n + 1 WHERE id = 1")
    connection.commit()
    assert connection.database.replays == before + 1
    assert total(connection) == 2


def test_old_rows_that_the_application_has_seen(connection: Connection, url: str) -> None:
    change(url, "UPDATE t SET n = 1 WHERE id = 1")
    (seen,) = connection.execute("SELECT n FROM t WHERE id = 1").fetchone()
    connection.execute("UPDATE t SET n = ? WHERE id = 1", (seen + 1,))
    with pytest.raises(Conflict):
        connection.commit()
    (seen,) = connection.execute("SELECT n FROM t WHERE id = 1").fetchone()
    connection.execute("UPDATE t SET n = ? WHERE id = 1", (seen + 1,))
    connection.commit()
    assert total(connection) == 2


def test_no_write_skew_under_serializable(connection: Connection, url: str) -> None:
    change(url, "UPDATE t SET n = 1 WHERE id = 1")
    connection.isolation_level = "SERIALIZABLE"
    (seen,) = connection.execute("SELECT n FROM t WHERE id = 1").fetchone()
    assert seen == 0
    connection.execute("UPDATE t SET n = 1 WHERE id = 2")
    with pytest.raises(Conflict):
        connection.commit()


def test_constraints_hold(connection: Connection, url: str) -> None:
    change(url, "INSERT INTO t (n, name) VALUES (0, 'c')")
    connection.execute("UPDATE t SET name = 'c' WHERE id = 1")
    with pytest.raises(IntegrityError) as caught:
        connection.commit()
    assert caught.value.is_race
    assert check_database(url) == []


def test_row_locks_read_the_newest_version(connection: Connection, url: str) -> None:
    change(url, "UPDATE t SET n = 1 WHERE id = 1")
    assert connection.execute("SELECT n FROM t WHERE id = 1 FOR UPDATE").fetchall() == [(1,)]
    connection.execute("UPDATE t SET n = n + 1 WHERE id = 1")
    connection.commit()
    assert total(connection) == 2


def test_a_named_lock(connection: Connection, url: str, replica: FaultyServer) -> None:
    """Its holder sees what the former one has committed."""
    change(url, "UPDATE t SET n = 1 WHERE id = 1")
    with LockManager(reading_at(url, replica)).lock("work") as lock:
        connection.fence(lock)
        assert connection.execute("SELECT n FROM t WHERE id = 1").fetchall() == [(1,)]
        connection.commit()


def test_the_database_is_dropped_and_made_anew(connection: Connection, url: str) -> None:
    for _ in range(3):
        connection.execute("UPDATE t SET n = n + 1")
        connection.commit()
    rome.drop_database(url)
    change(url, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (7)")
    assert total(connection) == 7


def test_a_replica_that_is_lost(url: str, primary: FaultyServer, tmp_path: Path) -> None:
    with replica_of(primary, tmp_path) as replica, closing(rome.connect(reading_at(url, replica))) as connection:
        assert total(connection) == 0
        change(url, "UPDATE t SET n = 1")
        replica.kill()
        assert total(connection) == 2
        replica.start()


def test_no_replica_at_all(url: str) -> None:
    with closing(rome.connect(f"{url}?read_from=replica&replica=127.0.0.1:{free_port()}")) as connection:
        assert total(connection) == 0


def test_reads_go_on_without_the_primary(tmp_path: Path) -> None:
    """For `staleness` seconds."""
    with faulty_server(tmp_path / "1", appendonly="no") as primary, replica_of(primary, tmp_path / "2") as replica:
        url = primary.url("app")
        change(url, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (7)")
        attach(primary, replica)
        with (
            closing(rome.connect(reading_at(url, replica))) as patient,
            closing(rome.connect(reading_at(url, replica, "staleness=0.000001"))) as strict,
        ):
            assert (total(patient), total(strict)) == (7, 7)
            primary.kill()
            assert total(patient) == 7
            with pytest.raises(StoreUnavailable):
                total(strict)
            primary.start()


def test_a_cluster_knows_its_replicas(tmp_path: Path) -> None:
    """They go on answering when one has become the primary."""
    with faulty_cluster() as cluster:
        url = cluster.url("app")
        change(url, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (7)")
        primary = cluster.primary_of("app")
        (replica,) = cluster.replicas_of(primary)
        with closing(rome.connect(f"{url}&read_from=replica&{STALE}")) as connection:
            # A cluster names a replica as soon as it has heard of its offset.
            wait_until(lambda: total(connection) == 7 and reads_of(replica) > 0)
            before = reads_of(primary)
            assert total(connection) == 7
            assert reads_of(primary) == before
            cluster.fail_over("app")
            connection.execute("UPDATE t SET n = n + 1")
            connection.commit()
            assert total(connection) == 8


def test_async_readers_of_oslo_db(connection: Connection, url: str, replica: FaultyServer) -> None:
    """`slave_connection` is the URL that reads at the replica; writers and other readers use the primary's."""
    change(url, "UPDATE t SET n = 1")
    facade = enginefacade.transaction_context()
    facade.configure(connection=url, slave_connection=reading_at(url, replica))

    @enginefacade.transaction_context_provider
    class Context:
        session: Any

    @facade.reader.async_
    def late(context: Context) -> Any:
        return context.session.scalar(text("SELECT sum(n) FROM t"))

    @facade.reader
    def now(context: Context) -> Any:
        return context.session.scalar(text("SELECT sum(n) FROM t"))

    assert (late(Context()), now(Context())) == (0, 2)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("read_from=replica", "needs replica=host:port, or Sentinels or a cluster"),
        ("read_from=replica&replica=localhost:1&cluster=on", "'replica' .* can't be used with cluster=on"),
        ("replica=localhost:1", "'replica' .* needs read_from=replica"),
        ("read_from=backup", "'read_from' .* is not one of primary, replica"),
        ("read_from=replica&replica=localhost", "'replica' .* is not host:port"),
        ("read_from=replica&replica=localhost:1&staleness=-1", "'staleness' .* is not a number of seconds"),
    ],
)
def test_options_that_are_wrong(options: str, problem: str) -> None:
    with pytest.raises(InterfaceError, match=problem):
        rome.connect(f"rome+redis://localhost:1/app?{options}")


# ── the parts ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("rome.storage.redis.replicas.freshness.time.monotonic", lambda: clock[0])
    freshness = Freshness(staleness=10)

    def sample(version: int) -> int:
        return freshness.end_sample(freshness.begin_sample(), Fetched(version, 0, [], b"incarnation"))

    assert freshness.least() is None
    assert sample(5) == 5
    clock[0] = 5
    assert freshness.least() == 5
    clock[0] = 6
    assert freshness.least() is None
    assert sample(9) == 9
    freshness.note(12)
    assert freshness.least() == 12
    assert sample(11) == 11


class _Socket:
    def __init__(self, place: tuple[str, int]) -> None:
        self.place = place
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_the_nearest_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("rome.storage.redis.replicas.nearest.time.monotonic", lambda: clock[0])
    seconds = {"far": 2.0, "near": 1.0, "down": None}
    opened: list[_Socket] = []

    def open_node(host: str, port: int) -> Any:
        takes = seconds[host]
        if takes is None:
            raise ConnectionRefusedError
        clock[0] += takes
        opened.append(_Socket((host, port)))
        return opened[-1]

    nearest = Nearest(lambda: [("far", 1), ("down", 1), ("near", 1)], open_node)
    for _ in range(2):
        found: Any = nearest.open_socket()
        assert (found.place, found.is_closed) == (("near", 1), False)
    assert [each.is_closed for each in opened] == [True, False, False]
    seconds["near"] = None
    found = nearest.open_socket()
    assert found.place == ("far", 1)
    seconds["far"] = None
    with pytest.raises(ConnectionError, match="no replica can be reached"):
        nearest.open_socket()
