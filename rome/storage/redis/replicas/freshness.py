"""How new an answer of a replica must be: the version that it must have reached.

    own      the newest version that this process has committed, locked at, or read: it never sees an older one again
    samples  versions that the primary had at some time, by this process's own clock. An answer that has reached the
             version of a time has all that was acknowledged before it. So an answer is late by at most `staleness`
             seconds if it has reached a sample that is not older. No clocks are compared.

Two samples are kept. A new one is due after half of `staleness`; until then the former one counts too. So a replica
that is late by less than half of it never has to be waited for.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from rome.forks import new_lock
from rome.storage.store import Fetched


class _Sample(NamedTuple):
    time: float
    version: int


class Freshness:
    """The newest state of the primary that one process knows. Threads share it."""

    def __init__(self, staleness: float) -> None:
        """`staleness`: in seconds."""
        self._staleness = staleness
        self._lock = new_lock()
        self._incarnation = b""
        self._own = 0
        self._samples: list[_Sample] = []

    def least(self) -> int | None:
        """Return the version that an answer must have reached now; None if a new sample is due."""
        now = time.monotonic()
        with self._lock:
            if not self._samples or now - self._samples[-1].time > self._staleness / 2:
                return None
            valid = next(each for each in self._samples if now - each.time <= self._staleness)
            return max(self._own, valid.version)

    def suffices(self, fetched: Fetched, least: int) -> bool:
        """Return True if a replica's answer is of the database that the primary has now, and has reached a version."""
        return fetched.version >= least and fetched.incarnation == self._incarnation

    def note(self, version: int) -> None:
        """Note a version that this process has read, committed or locked at."""
        with self._lock:
            self._own = max(self._own, version)

    def begin_sample(self) -> tuple[float, int]:
        """Return what `end_sample` needs, before the primary is asked for its newest version."""
        return time.monotonic(), self._own

    def end_sample(self, begun: tuple[float, int], fetched: Fetched) -> int:
        """Note the newest version of the primary, which was fetched when the sample was begun.

        Return the version that an answer must have reached now.
        """
        began, own = begun
        version = fetched.version
        with self._lock:
            if version < own or self._incarnation not in (b"", fetched.incarnation):
                # The primary has lost commits, or the database was dropped.
                self._own, self._samples = version, []
            self._incarnation = fetched.incarnation
            self._own = max(self._own, version)
            self._samples = [*self._samples[-1:], _Sample(began, version)]
            return self._own
