"""The connections to a file: a stack of idle SQLite connections, which a fork closes first.

SQLite keeps the locks of an open file in the process's memory, and a forked child would believe that it holds its
parent's. So each pool closes its connections before a fork, and waits for those in use; reads are short. Parent and
child open new ones when they need them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import apsw

from rome.errors import StoreUnavailable
from rome.forks import hold_forks, new_lock, tell_in_child


class Connections:
    """A pool of connections. `idle.append` gives back what `take` has returned."""

    def __init__(self, path: str, connect: Callable[[], apsw.Connection]) -> None:
        self.idle: list[apsw.Connection] = []
        self._path = path
        self._connect = connect
        self._opened = 0
        self._is_inherited = False
        self._lock = new_lock()
        self._is_held = False
        """True if a fork that is under way holds the lock."""
        hold_forks(self)
        tell_in_child(self)

    def take(self) -> apsw.Connection:
        """Return an idle connection, or a new one."""
        try:
            return self.idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> apsw.Connection:
        """Open one more connection. A fork makes it wait."""
        if self._is_inherited:
            raise StoreUnavailable(
                f"{self._path} can't be used in this process, which was forked while a thread of its parent had used "
                "the file for longer than a fork waits; fork earlier, or start processes by spawn"
            )
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

    def begin_fork(self, deadline: float) -> None:
        """Close all connections, when they are not in use, and let nobody open another one."""
        self._is_held = self._lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
        self._close_idle()
        while self._opened and time.monotonic() < deadline:
            time.sleep(0.0005)
            self._close_idle()

    def end_fork(self) -> None:
        """Let connections be opened again."""
        if self._is_held:
            self._is_held = False  # another thread's fork may end meanwhile
            self._lock.release()

    def begin_child(self) -> None:
        """Refuse the file, in a child that has inherited an open connection."""
        self._is_inherited = self._opened > 0


def end_transaction(connection: apsw.Connection) -> None:
    """End a transaction that has written nothing, or that is not to be committed, if one is open.

    Also called before a transaction begins: a signal handler may have raised an exception when the last one was to end.
    """
    if connection.in_transaction:
        connection.execute("ROLLBACK")
