"""What an engine must be able to do for locks, and which way of doing it a store has.

A *table of locks* knows for each name who holds it and until when. It is asked for several names at once, so that the
row locks of a statement cost one round trip. Every engine that has a way to wait for an event brings a table of its
own (`memory`, `redis`); for any other Store, `commits` makes one out of commits. A store from elsewhere may bring
its own by a method `lock_table()`.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

from rome.storage.memory import MemoryStore
from rome.storage.store import Store


class State(enum.Enum):
    """What an attempt at one name gave."""

    GRANTED = "granted"
    OVERTOOK = "overtook"
    """Granted, and the holder before did not release it: its TTL passed."""
    HELD = "held"
    """Somebody else holds it."""


class Attempt(NamedTuple):
    """What an attempt at some names gave, in their order; what is behind a name that blocks was not tried.

    `token`: greater than that of every attempt before; it is the fencing token of the names that were granted.
    `version`: the database's newest at that time. `left`: seconds until the TTL of the holder that blocks has passed,
    and `ticket`: what `wait` needs to miss no release since.
    """

    states: tuple[State, ...]
    token: int
    version: int
    left: float = 0.0
    ticket: Any = None


class LockTable(Protocol):
    """The locks of one database. Used by many threads at once; every method may raise StoreUnavailable."""

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """Take names in order, up to the first that somebody else holds; with `skip`, pass over those.

        What `owner` holds already counts as granted, so that a request whose answer was lost can be sent again.
        """

    def renew(self, names: Sequence[bytes], owner: bytes, ttl: float) -> bool:
        """The TTL begins anew. False: `owner` does not hold all of the names any more."""

    def release(self, names: Sequence[bytes], owner: bytes) -> bool:
        """Give names back, and wake those who wait. False: `owner` did not hold all of them any more."""

    def wait(self, name: bytes, ticket: Any, seconds: float) -> None:
        """Return when the name may be free, at the latest after so many seconds; a needless return does no harm."""


def lock_table(store: Store) -> LockTable:
    """The table of the database behind a store."""
    own = getattr(store, "lock_table", None)
    if own is not None:
        return cast("LockTable", own())
    if isinstance(store, MemoryStore):
        from rome.locks.memory import memory_locks

        return memory_locks(store)
    redis = sys.modules.get("rome.storage.redis")  # where it is not loaded, this store is none of its stores
    if redis is not None and isinstance(store, redis.RedisStore):
        from rome.locks.redis import RedisLocks

        return RedisLocks(store)
    from rome.locks.commits import CommitLocks

    return CommitLocks(store)
