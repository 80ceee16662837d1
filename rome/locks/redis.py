"""Locks on Redis and Valkey: one script a request (rome/storage/redis/lock.lua), and a stream to wait at.

Why not the package python-redis-lock? It is no quicker (benchmarks/locks.py, Redis 7.0, both with renewal: uncontended
158 µs here, 390 µs there; hand-over 0.7 ms and 2.7 ms, of the slowest twentieth over 1.1 and 5.1 ms). And it counts
TTLs in whole seconds and has no token; its timeout begins anew at each wake-up; it wakes one waiter by one element of a
list, so that a waiter that dies with it strands the others; its renewal thread ends with the first error, unseen; and
its keys have no hash tag in common with the data. All of that lies in its scripts and its keys, so nothing of it would
have been left.

A release wakes all that wait for the name, and the first to ask again has the lock: nobody is handed a lock without
having asked, so a waiter that died holds nobody up. Waiting is XREAD on the stream from the id that the refused
attempt was told, so that a release between the attempt and the wait is not missed.

TTLs are measured by the server's clock. When it is put forward, holders are overtaken early: fences are for that. When
it is put back, the TTL of a lock begins anew for the first who waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rome.locks.table import Attempt, State
from rome.storage.redis import RedisStore

_STATES = {ord("g"): State.GRANTED, ord("o"): State.OVERTOOK, ord("h"): State.HELD}


class RedisLocks:
    """A LockTable."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        timeout = getattr(store._address.connect(), "socket_timeout", None)
        self._permission_seen = False
        self._longest_wait = 10.0 if timeout is None else min(10.0, timeout / 2)

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """As the LockTable has it."""
        answer, _ = self._run("acquire", names, owner, ttl, skip)
        version, token, left, ticket, letters = answer
        states = tuple(_STATES[letter] for letter in letters)
        return Attempt(states, int(token), int(version), int(left) / 1000, ticket)

    def renew(self, names: Sequence[bytes], owner: bytes, ttl: float) -> bool:
        """As the LockTable has it."""
        held, _ = self._run("renew", names, owner, ttl)
        return bool(held == len(names))

    def release(self, names: Sequence[bytes], owner: bytes) -> bool:
        """As the LockTable has it. Where the answer was lost, the first request may have done it: that is no loss."""
        held, sent = self._run("release", names, owner, 0)
        return bool(held == len(names)) or sent > 1

    def wait(self, name: bytes, ticket: Any, seconds: float) -> None:
        """As the LockTable has it."""
        store = self._store
        wake = store._layout.meta.removesuffix(b"meta") + b"wake:" + name
        milliseconds = max(1, int(min(seconds, self._longest_wait) * 1000))
        command = ("XREAD", "BLOCK", milliseconds, "COUNT", 1, "STREAMS", wake, ticket)
        (reply,) = store._server.round(lambda: [command])
        store._checked(reply)

    def _run(
        self, action: str, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool = False
    ) -> tuple[Any, int]:
        """The script's answer, and how often it was sent. Raises as the store does."""
        milliseconds = max(0, round(ttl * 1000))
        flags = int(skip), int(not self._permission_seen)
        answer, sent = self._store._call("lock", action, owner, milliseconds, *flags, *names)
        refusal = self._store._refusal(answer)
        if refusal is not None:
            raise refusal
        self._permission_seen = True
        return answer, sent
