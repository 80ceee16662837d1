"""Locks on a server whose clock is put forward or back: others get them too early or late, but commits stay safe."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import rome
from rome.locks import LockLost, LockManager, LockTimeout
from rome.testing.servers import RedisServer
from rome.verify.faults.server import wait_until


@contextmanager
def on(server: RedisServer) -> Iterator[tuple[str, Any]]:
    """Open a database of its own; return its URL and a client of its server."""
    url = server.url("clocks")
    admin = server.admin()
    yield url, admin
    rome.drop_database(url)
    admin.close()


def step(admin: Any, seconds: float) -> None:
    """Put the server's clock forward or back, as locks see it."""
    for name, record in admin.hgetall("{rome:clocks}:locks").items():
        (deadline,) = struct.unpack(">d", record[:8])
        admin.hset("{rome:clocks}:locks", name, struct.pack(">d", deadline - 1000 * seconds) + record[8:])


def is_free(manager: LockManager) -> bool:
    try:
        manager.lock("x", timeout=0).acquire().release()
    except LockTimeout:
        return False
    return True


def test_a_clock_put_forward(redis_server: RedisServer) -> None:
    """A living holder is overtaken: the fence refuses its commits, and its renewal detects the loss."""
    with on(redis_server) as (url, admin):
        first, second = LockManager(url), LockManager(url)
        with rome.connect(url) as connection:
            connection.execute("CREATE TABLE t (n INTEGER)")
            connection.execute("INSERT INTO t VALUES (0)")
        held = first.lock("x", ttl=60).acquire()
        connection.fence(held)
        connection.execute("UPDATE t SET n = 1")
        assert not is_free(second)
        step(admin, 61)
        with second.lock("x", ttl=60, timeout=0) as lock:
            assert lock.token > held.token
            with pytest.raises(LockLost, match="overtaken"):
                connection.commit()
            with rome.connect(url) as other:
                other.fence(lock)
                other.execute("UPDATE t SET n = n + 10")
            assert other.execute("SELECT n FROM t").fetchall() == [(10,)]
        with pytest.raises(LockLost):
            held.release()
        for each in (connection, other, first, second):
            each.close()


def test_a_clock_put_back(redis_server: RedisServer) -> None:
    """A dead holder is overtaken one TTL after the first attempt, not an hour later."""
    with on(redis_server) as (url, admin):
        first, second = LockManager(url), LockManager(url)
        held = first.lock("x", ttl=0.2).acquire()
        first._renewer.forget(held._hold)
        step(admin, -3600)
        with second.lock("x", ttl=10, timeout=10) as lock:
            assert lock.token > held.token
        for each in (first, second):
            each.close()


def test_a_clock_put_back_while_a_holder_is_alive_keeps_it(redis_server: RedisServer) -> None:
    with on(redis_server) as (url, admin):
        first, second = LockManager(url), LockManager(url)
        with first.lock("x", ttl=6) as held:
            step(admin, -3600)
            assert not is_free(second)
            put_back = admin.hgetall("{rome:clocks}:locks")
            wait_until(lambda: admin.hgetall("{rome:clocks}:locks") != put_back)  # it is renewed
            assert not is_free(second)
            held.check()
        for each in (first, second):
            each.close()
