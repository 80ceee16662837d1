"""Databases on a cluster of three primaries with a replica each: the conformance suite, moves, failures, errors."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import rome
from rome.cli.main import main
from rome.dbapi import Connection
from rome.errors import HistoryLost, InterfaceError, NotReplicated, StoreUnavailable
from rome.locks import LockManager
from rome.storage.redis import cluster as client
from rome.testing import check_database, clone_database
from rome.testing.servers import login_of_tests, own_valkey_server
from rome.testing.store_suite import StoreSuite
from rome.url import with_one_host
from rome.verify.faults.cluster import FaultyCluster, faulty_cluster, slot_of
from rome.verify.faults.server import FaultyServer, wait_until
from tests.storage.ten_rows import filled, total

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def cluster() -> Iterator[FaultyCluster]:
    with faulty_cluster() as cluster:
        yield cluster


@pytest.fixture
def connection(cluster: FaultyCluster) -> Iterator[Connection]:
    """A connection to the database `app`, with a table of ten rows and an index."""
    with closing(filled(cluster.url("app"))) as connection:
        yield connection
        connection.rollback()
    rome.drop_database(cluster.url("app"))


class TestRedisStoreOnCluster(StoreSuite):
    @pytest.fixture
    def store_url(self, cluster: FaultyCluster) -> Callable[[str], str]:
        return cluster.url


# ── many databases ────────────────────────────────────────────────────────────────────────────────────────────────


NAMES = [f"database {number}" for number in range(12)]


def keys_of(cluster: FaultyCluster, name: str) -> list[int]:
    """Return how many keys of a database each primary has."""
    slot = str(slot_of(name))
    return [node.execute("CLUSTER", "COUNTKEYSINSLOT", slot) for node in cluster.nodes[:3]]


def test_databases_are_spread_and_each_is_on_one_node(cluster: FaultyCluster) -> None:
    for name in NAMES:
        filled(cluster.url(name)).close()
    found = [keys_of(cluster, name) for name in NAMES]
    assert all(sum(1 for count in each if count) == 1 for each in found)
    assert all(any(each[node] for each in found) for node in range(3))
    for name in NAMES:
        rome.drop_database(cluster.url(name))
    assert not any(any(keys_of(cluster, name)) for name in NAMES)


def test_clones_between_nodes(cluster: FaultyCluster) -> None:
    filled(cluster.url("app")).close()
    for name in NAMES:
        clone_database(cluster.url("app"), cluster.url(name))
        with closing(rome.connect(cluster.url(name))) as copy:
            assert total(copy) == 45
        assert check_database(cluster.url(name)) == []
    assert len({cluster.primary_of(name).port for name in NAMES}) == 3
    for name in ("app", *NAMES):
        rome.drop_database(cluster.url(name))


def test_locks(cluster: FaultyCluster) -> None:
    for name in NAMES[:4]:
        url = cluster.url(name)
        order: list[str] = []
        with closing(LockManager(url)) as locks:
            held = locks.lock("job")
            held.acquire()
            waiter = threading.Thread(target=lambda: _append_when_held(url, order))  # noqa: B023
            waiter.start()
            order.append("first")
            held.release()
            waiter.join()
        assert order == ["first", "second"]
        rome.drop_database(url)


def _append_when_held(url: str, order: list[str]) -> None:
    with closing(LockManager(url)) as locks, locks.lock("job"):
        order.append("second")


def test_copies_by_sqlalchemy(cluster: FaultyCluster, connection: Connection) -> None:
    """The URL has one host then; the others are in the option `nodes`."""
    target = cluster.url(NAMES[0])
    result = CliRunner().invoke(main, ["copy", cluster.url("app"), target])
    assert result.exit_code == 0, result.output
    with closing(rome.connect(target)) as copy:
        assert total(copy) == 45
    rome.drop_database(target)


def test_the_doctor(cluster: FaultyCluster, connection: Connection) -> None:
    found = findings(cluster.url("app"))
    holder = cluster.primary_of("app")
    assert found["cluster"] == {**found["cluster"], "verdict": "ok", "value": "ok, 16384 of 16384 slots, 6 nodes"}
    assert found["node"]["value"] == f"127.0.0.1:{holder.port}, slot {slot_of('app')}"
    assert "+cluster|slots" in found["least permissions"]["value"]
    connection.execute("DELETE FROM t WHERE id = 9")
    connection.commit()  # a move refuses to read keys that do not exist, and only the second commit makes the history
    target = cluster.another_primary("app")
    cluster.begin_move("app", target)
    found = findings(holder.url("app"))
    assert "it is being moved" in found["node"]["meaning"]
    assert "add cluster=on to the URL" in found["cluster=on"]["meaning"]
    for node in (target, holder):
        node.execute("CLUSTER", "SETSLOT", str(slot_of("app")), "STABLE")


def findings(url: str) -> dict[str, dict[str, str]]:
    """Return the findings of `rome doctor` by name, as an administrator, who may ask for all of them."""
    result = CliRunner().invoke(main, ["doctor", "--json", url.replace(login_of_tests(), "")])
    return {each["name"]: each for each in json.loads(result.output)}


def test_the_documented_permissions_suffice(cluster: FaultyCluster, connection: Connection) -> None:
    rule = connection.database.store.least_rule  # type: ignore[attr-defined]
    for node in cluster.nodes:
        node.execute("ACL", "SETUSER", "documented", "on", ">pw", *rule.split())
    url = cluster.url("app").replace(login_of_tests(), "").replace("//", "//documented:pw@")
    with closing(rome.connect(url)) as other:
        other.execute("UPDATE t SET n = 0")
        other.commit()
        cluster.fail_over("app")
        cluster.move_by_keys("app", cluster.another_primary("app"))
        assert total(other) == 0


# ── a database that moves ─────────────────────────────────────────────────────────────────────────────────────────


def prepare(connection: Connection) -> None:
    connection.execute("UPDATE t SET n = n + 1 WHERE id = 5")
    connection.execute("INSERT INTO t (n, text) VALUES (0, ?)", ("long" * 500,))


class Load:
    """Threads that add to the rows of `app`, each commit once; `check` compares the sum with the commits."""

    def __init__(self, url: str, threads: int = 3) -> None:
        self._url = url
        self._stopped = threading.Event()
        self.acknowledged = [0] * threads
        self.unknown = 0
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def progress(self) -> None:
        """Wait until each thread has committed again."""
        before = list(self.acknowledged)
        wait_until(lambda: all(now > old for now, old in zip(self.acknowledged, before, strict=True)))

    def check(self) -> None:
        with closing(rome.connect(self._url)) as connection:
            found = total(connection) - 45
        assert sum(self.acknowledged) <= found <= sum(self.acknowledged) + self.unknown
        assert check_database(self._url) == []

    def _work(self, number: int) -> None:
        with closing(rome.connect(self._url)) as connection:
            while not self._stopped.is_set():
                try:
                    connection.execute("UPDATE t SET n = n + 1 WHERE id = ?", (number,))
                    connection.commit()
                    self.acknowledged[number] += 1
                except (StoreUnavailable, HistoryLost, NotReplicated):
                    connection.rollback()
                    self.unknown += 1


def test_moves_under_load(cluster: FaultyCluster, connection: Connection) -> None:
    with Load(cluster.url("app")) as load:
        load.progress()
        cluster.move("app", cluster.another_primary("app"))
        load.progress()
        for keys_at_once in (1, 3):
            cluster.move_by_keys("app", cluster.another_primary("app"), keys_at_once)
            load.progress()
        cluster.fail_over("app")
        load.progress()
        cluster.move("app", cluster.add_node())
        load.progress()
        cluster.move("app", cluster.another_primary("app"))
        load.progress()
    assert load.unknown == 0
    load.check()


def test_tasks_follow_a_database(cluster: FaultyCluster, connection: Connection) -> None:
    url = with_one_host(cluster.url("app"))

    async def add(engine: AsyncEngine, row: int, done: list[int]) -> None:
        for _ in range(60):
            async with engine.begin() as session:
                await session.execute(text("UPDATE t SET n = n + 1 WHERE id = :row"), {"row": row})
            done.append(row)

    async def run() -> None:
        engine = create_async_engine(url)
        done: list[int] = []
        tasks = [asyncio.create_task(add(engine, row, done)) for row in range(3)]
        for move in (cluster.move, cluster.move_by_keys):
            target = await asyncio.to_thread(cluster.another_primary, "app")
            await asyncio.to_thread(move, "app", target)
        await asyncio.gather(*tasks)
        await engine.dispose()

    asyncio.run(run())
    assert total(connection) == 45 + 3 * 60


def test_replicas_do_not_leave_out_keys_that_have_been_moved(
    cluster: FaultyCluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica of a primary whose keys are being moved answers correctly, or not at all."""
    connection.execute("DELETE FROM t WHERE id = 9")
    connection.commit()
    monkeypatch.setattr("rome.storage.redis.replicas.reads._REST", 0.0)
    target = cluster.another_primary("app")
    refused = 0
    with closing(rome.connect(cluster.url("app", "&read_from=replica&staleness=1000"))) as other:
        assert total(other) == 36
        source = cluster.begin_move("app", target)
        with monkeypatch.context() as patched:
            patched.setattr(client, "_PATIENCE", 0.0)
            while cluster.move_keys("app", source, target, 1):
                try:
                    assert other.execute("SELECT n FROM t WHERE id = 5").fetchall() == [(5,)]
                except StoreUnavailable:
                    refused += 1
                other.rollback()
        cluster.end_move("app", source, target)
        assert total(other) == 36
    assert refused


def test_replicas_that_would_leave_out_keys_are_not_read(
    cluster: FaultyCluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rome.storage.redis.connection._KNOWS_MOVES", b"return false")  # as on Redis 7
    refusals: list[str] = []

    def is_refused() -> bool:
        try:
            rome.connect(cluster.url("app", "&read_from=replica")).close()
        except InterfaceError as error:
            refusals.append(str(error))
        return bool(refusals)

    wait_until(is_refused)  # a cluster names a replica as soon as it has heard of its offset
    assert refusals[0].startswith("read_from=replica can't be used in a cluster of these servers")


@pytest.mark.parametrize("move", [FaultyCluster.move, FaultyCluster.move_by_keys])
def test_a_lock_is_waited_for_while_the_database_moves(
    cluster: FaultyCluster, connection: Connection, move: Callable[[FaultyCluster, str, FaultyServer], None]
) -> None:
    url = cluster.url("app")
    order: list[str] = []
    with closing(LockManager(url)) as locks:
        held = locks.lock("job")
        held.acquire()
        waiter = threading.Thread(target=_append_when_held, args=(url, order))
        waiter.start()
        wait_until(lambda: cluster.primary_of("app").execute("INFO", "clients")["blocked_clients"] > 0)
        move(cluster, "app", cluster.another_primary("app"))
        assert held.held
        order.append("first")
        held.release()
        waiter.join()
    assert order == ["first", "second"]


def test_a_commit_writes_nothing_while_some_of_its_keys_are_elsewhere(
    cluster: FaultyCluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions have read all that they need, and then commit while one key after another is moved."""
    url = cluster.url("app", "&log_commits=2")  # so that a commit removes others from the log
    with closing(rome.connect(url)) as other, ExitStack() as stack:
        for _ in range(4):
            prepare(other)
            other.commit()
        before, version = total(other), other.database.store.version()
        waiting = [stack.enter_context(closing(rome.connect(url))) for _ in range(30)]
        for each in waiting:
            prepare(each)
        target = cluster.another_primary("app")
        source = cluster.begin_move("app", target)
        with monkeypatch.context() as patched:
            patched.setattr(client, "_PATIENCE", 0.0)
            while cluster.move_keys("app", source, target, 1):
                each = waiting.pop()
                with pytest.raises(StoreUnavailable, match="is moving slot"):
                    each.commit()
                each.rollback()
        assert len(waiting) < 20
        cluster.end_move("app", source, target)
        assert (total(other), other.database.store.version()) == (before, version)
        waiting.pop().commit()
        assert total(other) == before + 1
    assert check_database(url) == []


def test_reads_at_the_node_that_a_database_is_moving_to(
    cluster: FaultyCluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All keys have been moved, and the move is not ended. A commit is a script, and waits."""
    connection.execute("UPDATE t SET n = 14 WHERE id = 4")
    connection.commit()
    connection.execute("UPDATE t SET n = 19 WHERE id = 9")
    target = cluster.another_primary("app")
    source = cluster.begin_move("app", target)
    while cluster.move_keys("app", source, target, 1):
        pass
    with closing(rome.connect(cluster.url("app"))) as other:
        assert total(other) == 55
        assert other.execute("SELECT id FROM t WHERE n = 14").fetchall() == [(4,)]
    with monkeypatch.context() as patched:
        patched.setattr(client, "_PATIENCE", 0.0)
        with pytest.raises(StoreUnavailable, match="is moving slot"):
            connection.commit()
    connection.rollback()
    cluster.end_move("app", source, target)
    assert total(connection) == 55


def test_a_commit_in_pieces_while_the_database_moves(
    cluster: FaultyCluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(number, number, "") for number in range(100, 20_100)]
    writer = threading.Thread(target=_insert, args=(cluster.url("app"), rows))
    writer.start()
    for _ in range(3):
        cluster.move("app", cluster.another_primary("app"))
    cluster.move_by_keys("app", cluster.another_primary("app"))
    writer.join()
    assert total(connection) == 45 + sum(range(100, 20_100))
    assert check_database(cluster.url("app")) == []


def _insert(url: str, rows: list[tuple[Any, ...]]) -> None:
    with closing(rome.connect(url)) as connection:
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.commit()


# ── failures ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def failing_cluster() -> Iterator[FaultyCluster]:
    """A cluster that notices soon that a node has failed."""
    with faulty_cluster(cluster_node_timeout="1500") as cluster:
        yield cluster


def test_a_primary_is_killed_under_load(failing_cluster: FaultyCluster) -> None:
    """Its replica takes its place. It has what was acknowledged, because commits wait for it."""
    cluster, url = failing_cluster, failing_cluster.url("app")
    filled(url).close()
    with Load(cluster.url("app", "&replicas=1")) as load:
        load.progress()
        former = cluster.primary_of("app")
        (replica,) = cluster.replicas_of(former)
        former.kill()
        wait_until(lambda: cluster.primary_of("app") is replica)
        former.start()
        wait_until(lambda: cluster.replicas_of(replica) == [former])
        load.progress()
    load.check()
    rome.drop_database(url)


def test_a_primary_that_hangs(failing_cluster: FaultyCluster) -> None:
    """The client does not wait for `socket_timeout`, which is longer than this test may take."""
    cluster, url = failing_cluster, failing_cluster.url("app", "&socket_timeout=3600")
    with closing(filled(url)) as connection:
        former = cluster.primary_of("app")
        wait_until(lambda: len(cluster.replicas_of(former)) == 1)
        (replica,) = cluster.replicas_of(former)
        wait_until(lambda: offset(former) == offset(replica))
        connection.execute("UPDATE t SET n = 100 WHERE id = 9")
        former.hang()
        try:
            connection.commit()
            assert total(connection) == 136
        finally:
            former.resume()


def offset(node: FaultyServer) -> int:
    return int(node.execute("INFO", "replication")["master_repl_offset"])


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────


def error_of(url: str) -> str:
    with pytest.raises((InterfaceError, StoreUnavailable)) as caught:
        rome.connect(url).close()
    return str(caught.value)


def test_a_url_without_the_option(cluster: FaultyCluster) -> None:
    holder, other = cluster.primary_of("app"), cluster.another_primary("app")
    rome.connect(holder.url("app")).close()
    assert "add cluster=on to the ROME URL" in error_of(other.url("app"))


def test_nodes_that_can_not_be_reached() -> None:
    message = error_of("rome+redis://127.0.0.1:1,127.0.0.1:2/app?cluster=on")
    assert message.startswith("none of the nodes of the cluster can be reached: 127.0.0.1:1 (")
    assert "127.0.0.1:2 (" in message


def test_one_of_the_nodes_can_be_reached(cluster: FaultyCluster) -> None:
    rome.connect(f"rome+redis://127.0.0.1:1,127.0.0.1:{cluster.nodes[4].port}/app?cluster=on").close()


def test_a_server_without_cluster_mode() -> None:
    with own_valkey_server() as server:
        message = error_of(f"rome+redis://127.0.0.1:{server.port}/app?cluster=on")
    assert message == f"127.0.0.1:{server.port} is no node of a cluster: remove cluster=on from the ROME URL"


def test_a_slot_that_no_node_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PATIENCE", 0.5)
    slot = str(slot_of("app"))
    with faulty_cluster(primaries=3, replicas=0, cluster_require_full_coverage="no") as cluster:
        for node in cluster.nodes:
            node.execute("CLUSTER", "DELSLOTS", slot)
        for url in (cluster.url("app"), cluster.nodes[2].url("app", "cluster=on")):
            assert re.search(f"no node serves slot {slot}.*run `valkey-cli --cluster fix 127.0.0.1:", error_of(url))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("rome+redis://a:7000,b:7000/app", "names several hosts: for a cluster, add cluster=on"),
        ("rome+redis://a/app?cluster=yes", "not one of off, on"),
        ("rome+redis://a/app?cluster=on&nodes=b:x", "not host:port,host:port…: 'b:x'"),
        ("rome+unix:///s?database=app&cluster=on", "needs hosts: rome.redis://a:7000,b:7000/NAME"),
        ("rome+redis://a/app?cluster=on&sentinel_service=s", "'sentinel_service' .* can't be used with cluster=on"),
        ("rome+redis://a/app?cluster=on&lock_keys=python-redis-lock", "'lock_keys' .* can't be used with cluster=on"),
    ],
)
def test_wrong_urls(url: str, message: str) -> None:
    assert re.search(message, error_of(url))
