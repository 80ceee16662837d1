"""Faults of the thread that keeps a cache the newest: it is cut off, ends, or stops for a while.

It stops before it asks the store, or between the store's answer and its use: meanwhile the process reads and commits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from rome.cache.cached import CachedReads
from rome.errors import StoreUnavailable
from rome.storage.store import Committed

_SHARE = 0.02
"""The share of rounds with one of the faults."""


def disturb_follower(cached: CachedReads, rng: random.Random) -> None:
    """Inject faults into the follower of a cache that is open in this process."""
    follow, changes, stop = cached.follow, cached._followed.changes, cached._follower.stop

    def pause() -> None:
        time.sleep(2 * cached.staleness * rng.random())

    def cut_off() -> None:
        raise StoreUnavailable("the follower is cut off")

    faults: list[Callable[[], None]] = [pause, cut_off, stop]

    def follow_or_fail() -> None:
        if rng.random() < _SHARE:
            rng.choice(faults)()
        follow()

    def late_changes(since: int) -> Iterator[Committed]:
        found = list(changes(since))
        if rng.random() < _SHARE:
            pause()
        return iter(found)

    setattr(cached, "follow", follow_or_fail)  # noqa: B010 - mypy: a method can't be assigned to
    setattr(cached._followed, "changes", late_changes)  # noqa: B010
