"""The readers of a file: a stack of idle SQLite connections, which a fork closes first.

SQLite keeps the locks of an open file in the process's memory, and a forked child would believe that it holds its
parent's. So each pool closes its connections before a fork, and waits for those in use; reads are short. Parent and
child open new ones when they need them.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

import apsw

_FORK_SECONDS = 30.0
"""How long a fork waits for connections in use."""


class Connections:
    """A pool of connections. `idle.append` gives back what `take` has returned."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self.idle: list[apsw.Connection] = []
        self._connect = connect
        self._opened = 0
        self._lock = threading.Lock()
        _pools.add(self)

    def take(self) -> apsw.Connection:
        """Return an idle connection, or a new one."""
        try:
            return self.idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> apsw.Connection:
        """Open one more connection. A fork makes it wait."""
        with self._lock:
            connection = self._connect()
            self._opened += 1
            return connection

    def close(self) -> None:
        """Close the idle connections. A pool that is used again opens new ones."""
        with self._lock:
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self.idle.pop().close()
                self._opened -= 1

    def begin_fork(self) -> None:
        """Close all connections and let nobody open another one."""
        self._lock.acquire()
        deadline = time.monotonic() + _FORK_SECONDS
        self._close_idle()
        while self._opened and time.monotonic() < deadline:
            time.sleep(0.0005)
            self._close_idle()

    def end_fork(self) -> None:
        """Let connections be opened again, in the parent and in the child."""
        self._lock.release()


_pools: weakref.WeakSet[Connections] = weakref.WeakSet()

_forking: list[Connections] = []


def _before_fork() -> None:
    _forking[:] = _pools
    for pool in _forking:
        pool.begin_fork()


def _after_fork() -> None:
    for pool in _forking:
        pool.end_fork()
    _forking.clear()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
