"""Commits that are guarded by a lock."""

from __future__ import annotations

import time

import pytest

import rome
from rome.errors import Conflict, InterfaceError
from rome.locks import LockLost, LockManager


@pytest.fixture
def manager(url: str) -> LockManager:
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    return LockManager(url)


def _lose_unnoticed(manager: LockManager, name: str) -> None:
    """Let the holder's TTL pass without its own clock noticing."""
    hold = manager.entered[name][0]
    manager._renewer.forget(hold)
    time.sleep(hold.ttl * 1.5)
    hold._deadline = float("inf")


def _rows(url: str) -> int:
    with rome.connect(url) as connection:
        return len(connection.execute("SELECT * FROM t").fetchall())


def test_a_guarded_commit(url: str, manager: LockManager) -> None:
    with manager.lock("a") as lock, rome.connect(url) as connection:
        connection.fence(lock)
        connection.execute("INSERT INTO t VALUES (1, 1)")
    assert _rows(url) == 1


def test_an_overtaken_holder_is_refused_by_the_store(url: str, manager: LockManager) -> None:
    connection = rome.connect(url)
    lock = manager.lock("a", ttl=0.1).acquire()
    connection.fence(lock)
    connection.execute("INSERT INTO t VALUES (1, 1)")
    _lose_unnoticed(manager, "a")
    with LockManager(url).lock("a", timeout=5):
        pass
    with pytest.raises(LockLost, match="lock 'a' is lost: another holder has overtaken it; nothing was written"):
        connection.commit()
    assert not connection.in_transaction
    assert _rows(url) == 0
    connection.close()


def test_an_overtaken_holder_stays_refused(url: str, manager: LockManager) -> None:
    """The old token stays refused after the other holder's release, and after the log is trimmed."""
    connection = rome.connect(url)
    lock = manager.lock("a", ttl=0.1).acquire()
    guard = lock.guard()
    _lose_unnoticed(manager, "a")
    for _ in range(2):
        with LockManager(url).lock("a", timeout=5):
            pass
    for number in range(3):
        with rome.connect(url) as other:
            other.execute("INSERT INTO t VALUES (?, 1)", (number,))
    connection.execute("INSERT INTO t VALUES (100, 1)")
    connection._control.begin().guards = [guard]
    with pytest.raises(LockLost):
        connection.commit()
    connection.close()


def test_a_released_lock_guards_nothing(url: str, manager: LockManager) -> None:
    connection = rome.connect(url)
    with manager.lock("a") as lock:
        connection.fence(lock)
        connection.execute("INSERT INTO t VALUES (1, 1)")
    lock.acquire()
    with pytest.raises(LockLost, match="lock 'a' is lost: it was released"):
        connection.commit()
    lock.release()
    with pytest.raises(LockLost, match="not taken"):
        connection.fence(lock)
    assert _rows(url) == 0
    connection.close()


def test_a_fence_ends_with_its_transaction(url: str, manager: LockManager) -> None:
    connection = rome.connect(url)
    with manager.lock("a") as lock:
        connection.fence(lock)
        connection.rollback()
    connection.execute("INSERT INTO t VALUES (1, 1)")
    connection.commit()
    connection.close()


def test_a_transaction_that_began_before_the_lock_is_refused(url: str, manager: LockManager) -> None:
    connection = rome.connect(url)
    connection.execute("SELECT * FROM t")
    with manager.lock("a"), rome.connect(url) as former:
        former.execute("INSERT INTO t VALUES (1, 1)")
    with manager.lock("a") as lock:
        with pytest.raises(Conflict, match="began before lock 'a' was taken"):
            connection.fence(lock)
        connection.fence(lock)
        assert len(connection.execute("SELECT * FROM t").fetchall()) == 1
        connection.commit()
    connection.close()


def test_a_transaction_that_has_read_all_may_take_the_lock_later(url: str, manager: LockManager) -> None:
    connection = rome.connect(url)
    connection.execute("SELECT * FROM t")
    with manager.lock("a") as lock:
        connection.fence(lock)
        connection.execute("INSERT INTO t VALUES (1, 1)")
        connection.commit()
    connection.close()


def test_fences_that_are_refused(url: str, manager: LockManager) -> None:
    with manager.lock("a") as lock:
        connection = rome.connect(url, isolation_level="AUTOCOMMIT")
        with pytest.raises(InterfaceError, match="AUTOCOMMIT"):
            connection.fence(lock)
        connection.close()
        other = rome.connect("rome+memory:///another")
        other.execute("CREATE TABLE IF NOT EXISTS u (id INTEGER PRIMARY KEY)")
        other.commit()
        with pytest.raises(InterfaceError, match="another database"):
            other.fence(lock)
        other.close()


def test_fences_are_few(url: str, manager: LockManager) -> None:
    """There is one fence for each lock that was ever overtaken, however often."""
    for _ in range(3):
        manager.lock("a", ttl=0.05).acquire()
        manager._renewer.forget(manager.entered.pop("a")[0])
        time.sleep(0.06)
    with manager.lock("a", timeout=5):
        pass
    from rome.locks.fences import FENCES
    from rome.storage.store import Range

    (fences,) = manager.store.fetch([Range(FENCES)]).answers
    assert len(fences) == 1
