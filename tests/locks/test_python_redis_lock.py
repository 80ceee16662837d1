"""Named locks that programs share with users of the package python-redis-lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import redis_lock
from redis import Redis

import rome
from rome.errors import InterfaceError
from rome.locks import LockLost, LockManager, LockTimeout
from rome.testing.servers import RedisServer

pytestmark = pytest.mark.server


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis(redis_server.host, redis_server.port) as client:
        yield client
        keys = client.keys("lock*")
        if keys:
            client.delete(*keys)


@pytest.fixture
def url(redis_server: RedisServer) -> Iterator[str]:
    url = redis_server.url("shared-locks") + "?lock_keys=python-redis-lock"
    yield url
    rome.drop_database(url)


@pytest.fixture
def manager(url: str) -> Iterator[LockManager]:
    manager = LockManager(url)
    yield manager
    manager.close()


def test_each_excludes_the_other(manager: LockManager, client: Redis) -> None:
    theirs = redis_lock.Lock(client, "resize", expire=60)
    with manager.lock("resize"):
        assert not theirs.acquire(blocking=False)
        assert redis_lock.Lock(client, "other", expire=60).acquire(blocking=False), "another name is free"
    assert theirs.acquire(blocking=False)
    with pytest.raises(LockTimeout):
        manager.lock("resize", timeout=0.2).acquire()
    theirs.release()
    with manager.lock("resize", timeout=5) as lock:
        assert lock.held


def test_managers_exclude_each_other_as_without_the_option(url: str, manager: LockManager) -> None:
    second = LockManager(url)
    lock = manager.lock("resize").acquire()
    waiting = threading.Thread(target=lambda: second.lock("resize", timeout=60).acquire().release())
    waiting.start()
    time.sleep(0.1)
    began = time.monotonic()
    lock.release()
    waiting.join(30)
    assert not waiting.is_alive()
    assert time.monotonic() - began < 20
    second.close()


def test_a_release_wakes_a_waiter_of_the_other_kind(
    manager: LockManager, client: Redis, redis_server: RedisServer
) -> None:
    theirs = redis_lock.Lock(client, "resize", expire=60)
    order: list[str] = []

    def wait_by_package() -> None:
        with Redis(redis_server.host, redis_server.port) as own:
            lock = redis_lock.Lock(own, "resize", expire=60)
            lock.acquire(timeout=50)
            order.append("theirs")
            lock.release()

    with manager.lock("resize"):
        waiting = threading.Thread(target=wait_by_package)
        waiting.start()
        time.sleep(0.3)
        order.append("ours")
    waiting.join(40)
    assert order == ["ours", "theirs"]
    theirs.acquire()
    threading.Timer(0.3, theirs.release).start()
    with manager.lock("resize", timeout=40):
        pass


def test_a_renewal_keeps_the_other_kind_out(manager: LockManager, client: Redis) -> None:
    with manager.lock("resize", ttl=0.6):
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert client.pttl("lock:resize") > 0
            time.sleep(0.05)


def test_a_key_that_was_taken_away_is_a_lost_lock(manager: LockManager, client: Redis) -> None:
    lock = manager.lock("resize", ttl=0.6).acquire()
    redis_lock.Lock(client, "resize").reset()
    assert redis_lock.Lock(client, "resize", expire=60).acquire(blocking=False)
    deadline = time.monotonic() + 30
    while lock.held and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(LockLost):
        lock.check()


def test_a_dead_holder_of_the_package_blocks_until_its_key_expires(manager: LockManager, client: Redis) -> None:
    redis_lock.Lock(client, "resize", expire=1).acquire()
    began = time.monotonic()
    with manager.lock("resize", timeout=40):
        assert time.monotonic() - began > 0.5


def test_row_locks_have_no_keys_of_the_package(url: str, client: Redis) -> None:
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        connection.execute("SELECT * FROM t FOR UPDATE").fetchall()
        assert client.keys("lock*") == []
    connection.close()


def test_another_value_of_the_option_is_refused() -> None:
    with pytest.raises(InterfaceError, match=r"'lock_keys' .* is not one of python-redis-lock, rome: 'other'"):
        rome.connect("rome+redis://localhost:6379/app?lock_keys=other")
