"""The thread that keeps a cache's contents the newest.

It asks the store for the newest version again and again, and applies the commits since the last one. Where the engine
can wait for a commit (`AwaitsCommits`), it asks as soon as there is one. It begins with the first read, and ends when
nobody has read for a while, so that an idle process leaves the server in peace. It blocks no reader: one that finds the
contents too old asks the store itself.
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
    """An object that follows the commits of a store."""

    staleness: float

    def follow(self) -> None:
        """Apply the commits since the last time. Raise the errors of the store."""

    def await_commit(self, seconds: float) -> bool:
        """Wait for a commit, at most some seconds. Return False at once if that is not possible."""

    def release(self) -> None:
        """Close the connections that were made for following."""


class Follower:
    """Follows the commits of a store for one cache."""

    def __init__(self, reads: Following) -> None:
        self._reads = weakref.ref(reads)
        self._interval = max(min(reads.staleness / 4, _LONGEST_INTERVAL), _SHORTEST)
        """Seconds between two rounds if nothing wakes it."""
        self._starting = new_lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        """The thread that runs, or has ended; another one that is still there ends soon."""
        self._last_use = 0.0

    def start(self) -> None:
        """Run, if it does not."""
        self._last_use = time.monotonic()
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="rome cache", daemon=True)
                self._thread.start()

    def note_use(self) -> None:
        """Note that the contents are in use."""
        self._last_use = time.monotonic()

    def wake(self) -> None:
        """Let it ask the store now."""
        self._wake.set()

    def stop(self) -> None:
        """Let the thread end. It may still wait for a commit, and closes its connection then."""
        self._thread = None
        self._wake.set()

    def _run(self) -> None:
        pause = self._interval
        this = threading.current_thread()
        while self._thread is this and time.monotonic() - self._last_use < _IDLE:
            reads = self._reads()
            if reads is None:
                return
            waited = False
            try:
                reads.follow()
                pause = self._interval
                waited = not self._wake.is_set() and reads.await_commit(pause)
            except Error as error:
                _LOG.debug("the cache can't follow its store: %s", error)
                pause = min(max(2 * pause, 0.1), _LONGEST_PAUSE)
            del reads
            if not waited:
                self._wake.wait(pause)
            self._wake.clear()
            time.sleep(_SHORTEST)
        reads = self._reads()
        if reads is not None:
            reads.release()
