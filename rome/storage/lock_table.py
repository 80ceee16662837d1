"""The part of the Store contract that locks are made of: a table of who holds which name, and until when.

    acquire     take names; a name is granted if it is free, or if the TTL of its holder has passed
    renew       begin the TTL anew
    release     give names back, and wake waiters
    wait        return when a name may be free
    wake        let waits for a name return
    holders     list who holds what

A request takes several names, so that the row locks of a statement cost one round trip. An engine that can wait for an
event brings a table of its own (`memory_locks`, `redis.locks`); `commit_locks` makes one of commits, for any Store.
`rome.locks` builds re-entrant locks with renewal and fencing tokens on top.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class LockState(enum.Enum):
    """The result of an attempt to take one name."""

    GRANTED = "granted"
    OVERTOOK = "overtook"
    """Granted, but the holder before did not release it: its TTL passed."""
    HELD = "held"
    """Another owner holds it."""


class Attempt(NamedTuple):
    """The result of an attempt to take names, in their order. Names after one that blocks were not tried."""

    states: tuple[LockState, ...]
    token: int
    """The fencing token of the names that were granted: greater than that of every attempt before."""
    version: int
    """The database's newest version at that time."""
    left: float = 0.0
    """Seconds until the TTL of the holder that blocks has passed."""
    ticket: Any = None
    """An argument of `LockTable.wait`, by which it does not miss a release since."""


class Holder(NamedTuple):
    """A name that is held."""

    name: bytes
    owner: bytes
    left: float
    """Seconds until its TTL passes."""


class LockTable(Protocol):
    """The locks of one database. Threads share it; every method may raise StoreUnavailable."""

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """Take names in order, up to the first that another owner holds; with `skip`, leave those out.

        A name that `owner` holds already is granted, so that a request whose answer was lost can be sent again.
        """

    def renew(self, names: Sequence[bytes], owner: bytes, ttl: float) -> bool:
        """Begin the TTL anew. Return False if `owner` does not hold all of the names any more."""

    def release(self, names: Sequence[bytes], owner: bytes) -> bool:
        """Give names back and wake waiters. Return False if `owner` did not hold all of them any more."""

    def wait(self, name: bytes, ticket: Any, seconds: float) -> None:
        """Return when the name may be free, at the latest after `seconds`; returning too early does no harm."""

    def holders(self) -> list[Holder]:
        """Return the names whose TTL has not passed, in the order of names."""

    def wake(self, name: bytes) -> None:
        """Let each `wait` for a name return soon whose attempt was before this; others may, too."""


_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Return the seconds of a clock for TTLs: it never steps, and it goes on while the machine is suspended."""
    return time.clock_gettime(_BOOTTIME)
