"""The thread that keeps a cache's contents the newest.

It asks the store for the newest version again and again, and applies the commits since the last one. It begins with the
first read, and ends when nobody has read for a while, so that an idle process leaves the server in peace. It blocks no
reader: a reader that finds the contents too old asks the store itself.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import Protocol

from rome.errors import Error
from rome.forks import new_lock

_LOG = logging.getLogger(__name__)

_IDLE = 60.0
"""Seconds without a read after which the thread ends."""
_LONGEST_PAUSE = 5.0
"""Seconds between two attempts to reach a store that does not answer."""
_LONGEST_INTERVAL = 1.0
_SHORTEST = 0.005
"""Seconds between two rounds, so that commits which come at once are fetched together."""


class Following(Protocol):
    """What follows the commits of a store."""

    staleness: float

    def follow(self) -> None:
        """Apply the commits since the last time. Raise the errors of the store."""


class Follower:
    """Follows the commits of a store for one cache."""

    def __init__(self, reads: Following) -> None:
        self._reads = weakref.ref(reads)
        self._interval = max(min(reads.staleness / 4, _LONGEST_INTERVAL), _SHORTEST)
        """Seconds between two rounds if nothing wakes it."""
        self._starting = new_lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._last_use = 0.0

    def start(self) -> None:
        """Run, if it does not."""
        self._last_use = time.monotonic()
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._stopped = False
                self._thread = threading.Thread(target=self._run, name="rome cache", daemon=True)
                self._thread.start()

    def note_use(self) -> None:
        """Note that the contents are in use."""
        self._last_use = time.monotonic()

    def wake(self) -> None:
        """Let it ask the store now."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread. It does not use the store any more when this returns, unless the store does not answer."""
        self._stopped = True
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_LONGEST_PAUSE)

    def _run(self) -> None:
        pause = self._interval
        while not self._stopped and time.monotonic() - self._last_use < _IDLE:
            reads = self._reads()
            if reads is None:
                return
            try:
                reads.follow()
                pause = self._interval
            except Error as error:
                _LOG.debug("the cache can't follow its store: %s", error)
                pause = min(max(2 * pause, 0.1), _LONGEST_PAUSE)
            del reads
            self._wake.wait(pause)
            self._wake.clear()
            time.sleep(_SHORTEST)
