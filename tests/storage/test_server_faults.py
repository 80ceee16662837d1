"""Faults of servers: each gives an error that names it, or none, and no wrong answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from redis.sentinel import Sentinel

import rome
from rome.dbapi import Connection
from rome.errors import StoreUnavailable
from rome.storage.redis.failures import refused, unreachable
from rome.testing import check_database, clone_database
from rome.testing.servers import RedisServer, own_valkey_server
from rome.verify.faults.server import faulty_server, replica_of, wait_until
from tests.storage.ten_rows import filled, total

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with own_valkey_server() as server:
        yield server


@pytest.fixture
def admin(server: RedisServer) -> Iterator[Any]:
    with Redis(server.host, server.port) as client:
        yield client


@pytest.fixture
def connection(server: RedisServer) -> Iterator[Connection]:
    """A connection to a database with a table of ten rows and an index."""
    with closing(filled(server.url("app"))) as connection:
        yield connection


# ── a server that refuses ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """The server can't save a dump, so it accepts no writes (MISCONF)."""
    with faulty_server(tmp_path, appendonly="no", save="3600 1") as server:
        (tmp_path / "dump.rdb").mkdir()
        url = server.url("app")
        with closing(filled(url)) as connection, closing(server.admin) as admin:
            admin.bgsave()
            wait_until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")  # type: ignore[index]
            connection.execute("UPDATE t SET n = 100")
            with pytest.raises(StoreUnavailable, match="accepts no writes, because it can't save them"):
                connection.commit()
            assert total(connection) == 45
            (tmp_path / "dump.rdb").rmdir()
            admin.bgsave()
            wait_until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "ok")  # type: ignore[index]
            connection.execute("UPDATE t SET n = 100")
            connection.commit()
            assert total(connection) == 1000
        assert check_database(url) == []


def test_a_server_that_is_busy_with_a_script(server: RedisServer, admin: Any, connection: Connection) -> None:
    """Reads and commits say so (BUSY); when the script is killed, the connection works."""
    admin.config_set("lua-time-limit", 1)
    ended: list[Exception] = []

    def run_for_ever() -> None:
        with Redis(server.host, server.port) as client:
            try:
                client.eval("while true do end", 0)
            except ResponseError as error:
                ended.append(error)

    busy = threading.Thread(target=run_for_ever)
    connection.execute("UPDATE t SET n = 100 WHERE id = 9")
    busy.start()
    wait_until(lambda: is_busy(admin))
    with pytest.raises(StoreUnavailable, match="the server is busy with a script"):
        connection.commit()
    with pytest.raises(StoreUnavailable, match="the server is busy with a script"):
        connection.execute("SELECT * FROM t")
    admin.script_kill()
    busy.join()
    connection.rollback()
    assert total(connection) == 45
    assert str(refused("here", ended[0])).startswith("an administrator has stopped the script")


def is_busy(admin: Any) -> bool:
    try:
        admin.ping()
    except RedisError as error:
        return "BUSY" in str(error) or "busy" in str(error)
    return False


def test_as_many_clients_as_the_server_allows(server: RedisServer, admin: Any, connection: Connection) -> None:
    admin.config_set("maxclients", 2)
    with closing(rome.connect(server.url("app"))) as other:  # shares the connection to the server
        assert total(other) == 45
        held = connection.database.store._server._idle.pop()  # type: ignore[attr-defined]
        with pytest.raises(StoreUnavailable, match=r"as many clients as it allows|was lost for good"):
            total(other)
        held.close()
        wait_until(lambda: len(admin.client_list()) < 2)
        other.rollback()
        assert total(other) == 45


def test_a_server_that_resets_connections_may_have_too_many_clients() -> None:
    """The reset overtakes the server's sentence."""
    error = unreachable("localhost:1", ConnectionResetError(104, "Connection reset by peer"))
    assert "reset by peer; a server does this that has as many clients as it allows" in str(error)


def test_the_protocol_is_resp2_whatever_others_speak(server: RedisServer, connection: Connection) -> None:
    with Redis(server.host, server.port, protocol=3) as other:
        assert total(connection) == 45
        protocols = {each["lib-name"]: each["resp"] for each in other.client_list()}
    assert protocols["rome"] == "2"


# ── a server that lacks what was written ──────────────────────────────────────────────────────────────────────────


def test_the_server_is_restarted_in_the_midst_of_commits(tmp_path: Path) -> None:
    with faulty_server(tmp_path) as server:
        url = server.url("app")
        filled(url).close()
        stop = threading.Event()
        acknowledged: list[int] = []

        def increment(row: int) -> None:
            done = 0
            with closing(rome.connect(url)) as connection:
                while not stop.is_set():
                    try:
                        connection.execute("UPDATE t SET n = n + 1 WHERE id = ?", (row,))
                        connection.commit()
                        done += 1
                    except StoreUnavailable:  # down for longer than the client waits
                        connection.rollback()
            acknowledged.append(done)

        running = [threading.Thread(target=increment, args=(row,)) for row in range(4)]
        for thread in running:
            thread.start()
        for _ in range(2):
            time.sleep(0.3)
            server.kill()
            server.start()
        time.sleep(0.3)
        stop.set()
        for thread in running:
            thread.join()
        with closing(rome.connect(url)) as connection:
            assert total(connection) - 45 >= sum(acknowledged) > 0
        assert check_database(url) == []


# ── clusters and Sentinels ────────────────────────────────────────────────────────────────────────────────────────


def test_a_clone_on_the_node_of_a_cluster() -> None:
    """Each database is one slot, and a script may not reach two of them."""
    with own_valkey_server(cluster_enabled="yes") as server:
        with Redis(server.host, server.port) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            wait_until(lambda: b"cluster_state:ok" in admin.execute_command("CLUSTER", "INFO", NEVER_DECODE=[]))
        filled(server.url("app")).close()
        clone_database(server.url("app"), server.url("copy"))
        with closing(rome.connect(server.url("copy"))) as connection:
            assert total(connection) == 45
        assert check_database(server.url("copy")) == []


def test_a_sentinel_that_names_the_former_primary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentinels learn of a failover one after the other. A client that came too early does not stay at a replica."""
    with faulty_server(tmp_path / "1", appendonly="no") as primary, replica_of(primary, tmp_path / "2") as former:
        named = {1: former, 2: primary}

        def discover_master(self: Sentinel, _service: str) -> tuple[str, int]:
            asked = self.sentinels[0].connection_pool.connection_kwargs["port"]
            return "127.0.0.1", named[asked].port

        monkeypatch.setattr(Sentinel, "discover_master", discover_master)
        url = "rome+redis://127.0.0.1:1/app?sentinel_service=app&sentinels=127.0.0.1:2"
        with closing(filled(url)) as connection:
            assert total(connection) == 45
        with closing(rome.connect(primary.url("app"))) as connection:
            assert total(connection) == 45
        named[2] = former
        with pytest.raises(StoreUnavailable, match="that a sentinel took for the primary is a replica: READONLY"):
            rome.drop_database(f"{url}&socket_timeout=4")
