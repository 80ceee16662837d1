"""Connections to one server: rounds of commands.

Idle connections are kept on a stack: the one used last is taken first, so that few stay in use and the others grow
old and are dropped by the server. A stack is a list, whose append and pop are atomic: threads and green threads need
no lock. After a fork the child leaves the parent's connections alone.

A connection can break at any time. Reads, and commits by their token, may be asked for again, so every round may: it
is sent once more on a fresh connection. Only a server that was never reached is reported at once.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from redis.exceptions import ResponseError

from rome.errors import StoreUnavailable
from rome.storage.redis.failures import LOST, is_forgotten_script, unreachable
from rome.storage.redis.scripts import Command, Scripts
from rome.storage.redis.wire import MakeConnection, Packed, Wire, pack
from rome.storage.store import Stats

_PAUSES = (0.0, 0.05, 0.25, 1.0)
"""Seconds before each further try, after a connection broke."""

_MOST_IDLE = 64


class Server:
    """Sends rounds of commands to a server. Threads share it."""

    def __init__(self, connect: MakeConnection, name: str, stats: Stats) -> None:
        """`name` is the server's, for messages."""
        self.name = name
        self.scripts = Scripts()
        self._make: Callable[[], Wire] = lambda: Wire(connect())
        self._stats = stats
        self._idle: list[Wire] = []
        _servers.add(self)

    def open(self) -> None:
        """Connect once, to learn whether the server takes us. Raises StoreUnavailable."""
        self._give_back(self._connect())

    def close(self) -> None:
        """Disconnect what is idle."""
        idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    def round(self, make_commands: Callable[[], Sequence[Command]]) -> list[Any]:
        """Send commands, one round trip; their replies, among which errors of the server stand as they are.

        `make_commands` is called again if the round is sent again. Raises StoreUnavailable if the connection breaks
        again and again, OperationalError for too many arguments.
        """

        def packed() -> Packed:
            commands = make_commands()
            return pack(commands), len(commands)

        replies, size = self.exchange(packed(), packed)
        self._stats.add(1, len(replies), 0, size)
        return replies

    def exchange(self, packed: Packed, pack_again: Callable[..., Packed], *of: Any) -> tuple[list[Any], int]:
        """As `round`, for commands that are packed already, and not counted; also the bytes sent and received.

        `of`: what `pack_again` is called with.
        """
        try:
            answered = self._exchange(*packed)
            if answered is not None:
                return answered
        except LOST as error:
            return self._exchange_again(partial(pack_again, *of), error)
        return self._exchange_again(partial(pack_again, *of), None)

    def _exchange_again(self, pack_again: Callable[[], Packed], lost: Exception | None) -> tuple[list[Any], int]:
        """Exchange on fresh connections, after one broke; or at once (`lost` is None) because scripts are forgotten."""
        pauses = iter(_PAUSES)
        while True:
            self.scripts.forget()
            if lost is not None:
                pause = next(pauses, None)
                if pause is None:
                    raise StoreUnavailable(f"the connection to {self.name} was lost for good: {lost}") from lost
                self.close()
                time.sleep(pause)
            try:
                answered = self._exchange(*pack_again())
            except (*LOST, StoreUnavailable) as error:
                if lost is None and isinstance(error, StoreUnavailable):
                    raise
                lost = error
            else:
                if answered is not None:
                    return answered

    def _exchange(self, data: bytes, count: int) -> tuple[list[Any], int] | None:
        """One try; None if the server does not know a script that was called by its hash."""
        try:
            wire = self._idle.pop()
        except IndexError:
            wire = self._connect()
        try:
            wire.send(data)
            replies = wire.receive(count)
        except BaseException:
            # Replies may be under way that belong to nobody: this connection is never used again.
            wire.close()
            raise
        answered = replies, len(data) + wire.received
        is_forgotten = wire.errors and any(map(is_forgotten_script, wire.errors))
        self._give_back(wire)
        return None if is_forgotten else answered

    def _connect(self) -> Wire:
        try:
            return self._make()
        except (*LOST, ResponseError) as error:
            raise unreachable(self.name, error) from error

    def _give_back(self, wire: Wire) -> None:
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(wire)
        else:
            wire.close()

    def leave(self) -> None:
        """In a child of fork: it shares the sockets of its parent, and must neither use nor shut them down."""
        self._idle = []


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _after_fork() -> None:
    for server in _servers:
        server.leave()


os.register_at_fork(after_in_child=_after_fork)
