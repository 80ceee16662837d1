"""A client that commits rows, and notes how each commit has ended."""

from __future__ import annotations

import threading
import time
from contextlib import closing

from rome.dbapi import Connection, connect
from rome.errors import NotReplicated, OperationalError, StoreUnavailable

Row = tuple[int, int]
"""The number of a client, and of its transaction."""

_PAUSE = 0.01


class Client:
    """A thread that inserts rows until it is stopped.

    `acknowledged`, `not_replicated` and `unknown`: rows by what their commit has answered. `longest`: the longest time
    in seconds between two acknowledged commits.
    """

    def __init__(self, url: str, number: int) -> None:
        self.number = number
        self.acknowledged: set[Row] = set()
        self.not_replicated: set[Row] = set()
        self.unknown: set[Row] = set()
        self.longest = 0.0
        self._url = url
        self._is_stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the client end its transaction, and wait for that."""
        self._is_stopped = True
        self._thread.join()

    def _work(self) -> None:
        last, serial = time.monotonic(), 0
        with closing(connect(self._url)) as connection:
            while not self._is_stopped:
                serial += 1
                if self._insert(connection, (self.number, serial)):
                    now = time.monotonic()
                    self.longest, last = max(self.longest, now - last), now

    def _insert(self, connection: Connection, row: Row) -> bool:
        """Insert a row. Return True if that was acknowledged."""
        is_committing = False
        try:
            connection.execute("INSERT INTO rows_of_clients (client, serial) VALUES (?, ?)", row)
            is_committing = True
            connection.commit()
        except NotReplicated:
            self.not_replicated.add(row)
        except OperationalError as error:
            connection.rollback()
            if is_committing and isinstance(error, StoreUnavailable):
                self.unknown.add(row)
            time.sleep(_PAUSE)
        else:
            self.acknowledged.add(row)
            return True
        return False
