"""The lock table in a file: rows of a table, written without a sync of their own; waiters poll.

Deadlines are of a clock that starts again when the machine boots (`rome.storage.file.reads.deadline_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import apsw

from rome import waits
from rome.storage.file.reads import deadline_of, holder_of, read_state
from rome.storage.file.writer import Writer
from rome.storage.file.writes import next_token
from rome.storage.lock_table import Attempt, Holder, LockState, now

_T = TypeVar("_T")


_ALL = "SELECT name, owner, deadline, ttl FROM locks ORDER BY name"
_HOLD = "REPLACE INTO locks VALUES (?, ?, ?, ?)"


class FileLocks:
    """The lock table of one file."""

    def __init__(self, writer: Writer, read: Callable[[Callable[[apsw.Connection], Any]], Any]) -> None:
        """`read` calls a function in a read transaction."""
        self._writer = writer
        self._read = read
        self._wakes = 0

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """Take names in order, up to the first that another owner holds; with `skip`, leave those out."""

        def take(connection: apsw.Connection) -> Attempt:
            states = []
            left, blocker = 0.0, b""
            for name in names:
                holder, deadline = holder_of(connection, name)
                if holder not in (b"", owner) and deadline > now():
                    states.append(LockState.HELD)
                    left, blocker = deadline - now(), holder
                    if not skip:
                        break
                    continue
                states.append(LockState.GRANTED if holder in (b"", owner) else LockState.OVERTOOK)
                connection.execute(_HOLD, (name, owner, now() + ttl, ttl))
            token, version = next_token(connection), read_state(connection)[0]
            return Attempt(tuple(states), token, version, left, (blocker, self._wakes))

        return self._writer.run(take, durable=False)

    def renew(self, names: Sequence[bytes], owner: bytes, ttl: float) -> bool:
        """Begin the TTL anew. Return False if `owner` does not hold all of the names any more."""

        def renew(connection: apsw.Connection) -> bool:
            if any(holder_of(connection, name)[0] != owner for name in names):
                return False
            connection.executemany(_HOLD, [(name, owner, now() + ttl, ttl) for name in names])
            return True

        return self._writer.run(renew, durable=False)

    def release(self, names: Sequence[bytes], owner: bytes) -> bool:
        """Give names back. Return False if `owner` did not hold all of them any more."""

        def release(connection: apsw.Connection) -> bool:
            ours = [name for name in names if holder_of(connection, name)[0] == owner]
            connection.executemany("DELETE FROM locks WHERE name = ?", [(name,) for name in ours])
            return len(ours) == len(names)

        return self._writer.run(release, durable=False)

    def wait(self, name: bytes, ticket: Any, seconds: float) -> None:
        """Return when the owner that blocked the attempt does not hold the name any more, or after `seconds`."""
        blocker, wakes = ticket

        def is_over() -> bool:
            return bool(self._wakes != wakes or self._read(partial(holder_of, name=name))[0] != blocker)

        waits.poll(is_over, seconds)

    def holders(self) -> list[Holder]:
        """Return the names whose TTL has not passed, in the order of names."""
        rows = self._read(lambda connection: connection.execute(_ALL).fetchall())
        held = [Holder(name, owner, deadline_of(deadline, ttl) - now()) for name, owner, deadline, ttl in rows]
        return [holder for holder in held if holder.left > 0]

    def wake(self, name: bytes) -> None:
        """Let all waits of this process return."""
        self._wakes += 1
