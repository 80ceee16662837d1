"""The lock table on Redis and Valkey: one script a request (lock.lua), and a stream to wait at.

It is not made by the package python-redis-lock, for these reasons. The package is slower (benchmarks/locks.py, Redis
7.0, both with renewal: uncontended 158 µs here, 390 µs there; hand-over 0.7 ms and 2.7 ms, in the slowest twentieth
more than 1.1 and 5.1 ms). Its TTLs are whole seconds, and it has no fencing token. Its timeout begins anew at each
wake-up. It wakes one waiter by one element of a list, so a waiter that dies with the element blocks the others. Its
renewal thread ends with the first error, silently. Its keys do not have the hash tag of the data. But with
`lock_keys=python-redis-lock` in the URL, the script takes that package's keys too, so that programs that lock by it and
programs that lock by ROME exclude each other. Then a waiter polls while a program of that package holds the lock: to
wait at the package's list would take the only element, which wakes one of its own waiters.

A release wakes all waiters of the name, and the first to ask again gets the lock. A lock is never granted to a waiter
that does not ask, so a dead waiter blocks nobody. Waiting is an XREAD on the stream, from the id that the refused
attempt returned, so a release between the attempt and the wait is not missed.

TTLs are measured by the server's clock. If it is put forward, locks expire early; fences protect the data then. If it
is put back, the TTL of a lock begins anew when the first waiter asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

from redis.exceptions import ResponseError

from rome import waits
from rome.errors import FormatError
from rome.storage.lock_table import Attempt, Holder, LockState
from rome.storage.redis.address import Address
from rome.storage.redis.connection import Server
from rome.storage.redis.layout import FORMAT_DIGITS, Layout
from rome.storage.redis.writes import REFUSALS, error_of

_LONGEST_WAIT = 10.0
_OUTSIDE = b"outside"
"""The ticket of an attempt that a holder by python-redis-lock blocked."""
_OUTSIDE_PAUSE = 0.05
_RECORD = Struct(">dddB")
"""A record of the hash of locks, as lock.lua writes it: deadline, TTL, token, flags. The owner follows."""
_STATES = {ord("g"): LockState.GRANTED, ord("o"): LockState.OVERTOOK, ord("h"): LockState.HELD}


class RedisLocks:
    """The lock table of one database."""

    def __init__(self, server: Server, layout: Layout, address: Address) -> None:
        self._server = server
        self._layout = layout
        self._address = address
        self._permission_seen = False

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """Take names in order, up to the first that another owner holds; with `skip`, leave those out."""
        answer, _ = self._run(b"acquire", names, owner, ttl, skip)
        version, token, left, ticket, letters = answer
        states = tuple(_STATES[letter] for letter in letters)
        return Attempt(states, int(token), int(version), int(left) / 1000, ticket)

    def renew(self, names: Sequence[bytes], owner: bytes, ttl: float) -> bool:
        """Begin the TTL anew. Return False if `owner` does not hold all of the names any more."""
        held, _ = self._run(b"renew", names, owner, ttl)
        return bool(held == len(names))

    def release(self, names: Sequence[bytes], owner: bytes) -> bool:
        """Give names back and wake waiters. Return False if `owner` did not hold all of them any more.

        If the request was sent twice, because the answer was lost, the first one may have released them: return True.
        """
        held, sent = self._run(b"release", names, owner, 0)
        return bool(held == len(names)) or sent > 1

    def wait(self, name: bytes, ticket: Any, seconds: float) -> None:
        """Return when the name was released since the attempt that gave the ticket, at the latest after `seconds`."""
        if ticket == _OUTSIDE:
            waits.sleep(min(seconds, _OUTSIDE_PAUSE))
            return
        longest = min(_LONGEST_WAIT, self._address.socket_timeout / 2)
        milliseconds = max(1, int(min(seconds, longest) * 1000))
        command = (
            b"XREAD",
            b"BLOCK",
            b"%d" % milliseconds,
            b"COUNT",
            b"1",
            b"STREAMS",
            self._layout.wake(name),
            ticket,
        )
        (reply,) = self._server.round([command])
        if isinstance(reply, ResponseError):
            raise self._server.refused(reply)

    def holders(self) -> list[Holder]:
        """Return the names whose TTL has not passed, in the order of names. One round trip."""
        replies = self._server.round([(b"TIME",), (b"HGETALL", self._layout.locks)])
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise self._server.refused(reply)
        (seconds, microseconds), pairs = replies
        now = int(seconds) * 1000 + int(microseconds) // 1000
        held = []
        for name, record in zip(pairs[::2], pairs[1::2], strict=True):
            if len(record) < _RECORD.size:
                raise FormatError(f"lock {name!r} in the database's key locks does not decode: {record!r}")
            deadline, ttl, _, _ = _RECORD.unpack_from(record)
            held.append(Holder(name, record[_RECORD.size :], min(deadline - now, ttl) / 1000))
        return sorted(holder for holder in held if holder.left > 0)

    def wake(self, name: bytes) -> None:
        """Let all waits for a name return, as a release does."""
        stream = self._layout.wake(name)
        commands = (
            (b"MULTI",),
            (b"XADD", stream, b"MAXLEN", b"1", b"*", b"free", b""),
            (b"PEXPIRE", stream, b"60000"),
            (b"EXEC",),
        )
        for reply in self._server.round(commands):
            if isinstance(reply, ResponseError):
                raise self._server.refused(reply)

    def _run(
        self, action: bytes, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool = False
    ) -> tuple[Any, int]:
        """Run lock.lua; return its answer and how often it was sent. Raise as the store does."""
        milliseconds = max(0, round(ttl * 1000))
        flags = b"%d" % skip, b"%d" % (not self._permission_seen), b"%d" % self._address.shares_locks
        keys = (self._layout.meta,)
        head = FORMAT_DIGITS, action, owner, b"%d" % milliseconds
        answer, sent = self._server.run_script("lock", keys, *head, *flags, *names)
        if isinstance(answer, list) and answer[0] in REFUSALS:
            raise error_of(answer, self._address.server, self._address.database)
        self._permission_seen = True
        return answer, sent
