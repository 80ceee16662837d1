"""Locks between processes on one Redis: contention, killed holders, paused holders."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess

import pytest

import rome
from rome.errors import Conflict
from rome.locks import LockLost, LockManager
from rome.testing.child_processes import exit_with_parent
from rome.testing.servers import RedisServer

_context = multiprocessing.get_context("spawn")
_TTL = 0.5

StartProcess = Callable[[BaseProcess], None]


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    address = redis_server.url("lock-processes")
    rome.drop_database(address)
    with rome.connect(address) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1, 0)")
    return address


def _value(url: str) -> int:
    with rome.connect(url) as connection:
        return int(connection.execute("SELECT n FROM t").fetchall()[0][0])


def _increment(url: str, times: int) -> int:
    """Increment a row under the lock; return the number of conflicts in spite of it."""
    manager, connection = LockManager(url), rome.connect(url)
    conflicts = 0
    for _ in range(times):
        with manager.lock("n", timeout=60) as lock:
            connection.fence(lock)
            ((n,),) = connection.execute("SELECT n FROM t WHERE id = 1").fetchall()
            connection.execute("UPDATE t SET n = ? WHERE id = 1", (n + 1,))
            try:
                connection.commit()
            except Conflict:
                conflicts += 1
    return conflicts


@pytest.mark.slow
def test_under_a_lock_nothing_conflicts(url: str) -> None:
    with ProcessPoolExecutor(4, mp_context=_context, initializer=exit_with_parent) as pool:
        conflicts = list(pool.map(_increment, [url] * 4, [10] * 4))
    assert conflicts == [0, 0, 0, 0]
    assert _value(url) == 40


def _hold(url: str, pipe: Pipe) -> None:
    """Take the lock and change a row under it; commit on request, and report the outcome."""
    connection = rome.connect(url)
    lock = LockManager(url).lock("n", ttl=_TTL).acquire()
    connection.fence(lock)
    connection.execute("UPDATE t SET n = n + 1000 WHERE id = 1")
    pipe.send("ready")
    pipe.recv()
    try:
        connection.commit()
    except LockLost as error:
        pipe.send(f"LockLost: {error}")
    except Exception as error:
        pipe.send(repr(error))
    else:
        pipe.send("committed")


def _holder(url: str, start_process: StartProcess) -> tuple[multiprocessing.process.BaseProcess, Pipe]:
    ours, theirs = _context.Pipe()
    process = _context.Process(target=_hold, args=(url, theirs))
    start_process(process)
    assert ours.recv() == "ready"
    return process, ours


@pytest.mark.parametrize("overtaken", [True, False])
def test_a_paused_holder_that_wakes_after_its_ttl_cannot_commit(
    url: str, overtaken: bool, start_process: StartProcess
) -> None:
    process, pipe = _holder(url, start_process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    if overtaken:
        with LockManager(url).lock("n", timeout=20), rome.connect(url) as connection:
            # Another row, so that the fence refuses the commit, not a conflict.
            connection.execute("INSERT INTO t VALUES (2, 0)")
    else:
        time.sleep(_TTL * 1.5)
    pipe.send("commit")
    os.kill(process.pid, signal.SIGCONT)
    assert pipe.recv().startswith("LockLost: lock 'n' is lost")
    process.join()
    assert _value(url) == 0


def _commit_after_pause(url: str, pipe: Pipe) -> None:
    """Like `_hold`, but pause at the last moment: after all checks, just before the commit is sent."""
    connection = rome.connect(url)
    store = connection.database.store
    commit = store.commit

    def pause_and_commit(batch: object) -> int:
        os.kill(os.getpid(), signal.SIGSTOP)
        return commit(batch)  # type: ignore[arg-type]

    store.commit = pause_and_commit  # type: ignore[method-assign]
    _hold(url, pipe)


def test_a_holder_that_is_paused_within_its_commit_cannot_commit(url: str, start_process: StartProcess) -> None:
    ours, theirs = _context.Pipe()
    process = _context.Process(target=_commit_after_pause, args=(url, theirs))
    start_process(process)
    assert process.pid is not None
    assert ours.recv() == "ready"
    ours.send("commit")
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    with LockManager(url).lock("n", timeout=20):
        pass
    os.kill(process.pid, signal.SIGCONT)
    assert ours.recv() == "LockLost: lock 'n' is lost: another holder has overtaken it; nothing was written"
    process.join()
    assert _value(url) == 0


def test_a_killed_holder_is_overtaken(url: str, start_process: StartProcess) -> None:
    process, _ = _holder(url, start_process)
    process.kill()
    process.join()
    with LockManager(url).lock("n", timeout=20) as lock, rome.connect(url) as connection:
        connection.fence(lock)
        connection.execute("UPDATE t SET n = n + 1 WHERE id = 1")
        connection.commit()
    assert _value(url) == 1
