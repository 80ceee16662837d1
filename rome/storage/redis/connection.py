"""Connections to one server: rounds of commands, on redis-py's connections without its client.

The client of redis-py looks up, packs and parses each command by name, which takes longer than the server needs to
answer. Here a round is packed at once by hiredis, sent in one write, and its replies are read one by one.

Idle connections are kept on a stack: the one used last is taken first, so that few stay in use and the others grow
old and are dropped by the server. A stack is a list, whose append and pop are atomic: threads and green threads need
no lock. After a fork the child leaves the parent's connections alone.

A connection can break at any time. Reads, and commits by their token, may be asked for again, so every round may: it
is sent once more on a fresh connection. Only a server that was never reached is reported at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hiredis import pack_command
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from rome.errors import OperationalError, StoreUnavailable
from rome.storage.redis.failures import LOST, is_forgotten_script, unreachable
from rome.storage.redis.scripts import Command, Scripts
from rome.storage.store import Stats

_PAUSES = (0.0, 0.05, 0.25, 1.0)
"""Seconds before each further try, after a connection broke."""

_MOST_IDLE = 64
_MOST_ARGUMENTS = 1_000_000

MakeCommands = Callable[[], Sequence[Command]]
"""Makes the commands of a round; called again if the round is sent again, for then scripts must be sent in full."""


class Connection(Protocol):
    """What is used of redis-py's connections."""

    def connect(self) -> None:
        """Connect, and log in."""

    def disconnect(self) -> None:
        """Close the socket, whatever its state."""

    def send_packed_command(self, command: Sequence[bytes], check_health: bool) -> None:
        """Write to the socket."""

    def read_response(self, disable_decoding: bool) -> Any:
        """One reply; raises ResponseError if it is an error."""


MakeConnection = Callable[[], Connection]
"""Makes a connection that is not yet connected."""


class Server:
    """Sends rounds of commands to a server. Threads share it."""

    def __init__(self, connect: MakeConnection, name: str, stats: Stats) -> None:
        """`name` is the server's, for messages."""
        self.name = name
        self.scripts = Scripts()
        self._make = connect
        self._stats = stats
        self._idle: list[Connection] = []
        self._pid = os.getpid()

    def open(self) -> None:
        """Connect once, to learn whether the server takes us. Raises StoreUnavailable."""
        self._give_back(self._take())

    def close(self) -> None:
        """Disconnect what is idle."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    def round(self, make_commands: MakeCommands) -> list[Any]:
        """Send commands, one round trip; their replies, among which errors of the server stand as they are.

        Raises StoreUnavailable if the connection breaks again and again, OperationalError for too many arguments.
        """
        lost: Exception | None = None
        pauses = iter(_PAUSES)
        while True:
            try:
                commands = make_commands()
                replies = self._exchange(commands)
            except LOST as error:
                lost = error
            except StoreUnavailable as error:
                if lost is None:
                    raise
                lost = error
            else:
                if not _mentions_forgotten_script(replies[-1]):
                    return replies
                self.scripts.forget()
                continue
            pause = next(pauses, None)
            if pause is None:
                raise StoreUnavailable(f"the connection to {self.name} was lost for good: {lost}") from lost
            self.scripts.forget()
            self.close()
            time.sleep(pause)

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        data = b"".join([self._pack(command) for command in commands])
        connection = self._take()
        try:
            connection.send_packed_command([data], check_health=False)
            replies = [_read(connection) for _ in commands]
        except BaseException:
            # Replies may be under way that belong to nobody: this connection is never used again.
            connection.disconnect()
            raise
        self._give_back(connection)
        self._stats.add(rounds=1, commands=len(commands), bytes=len(data))
        return replies

    def _pack(self, command: Command) -> bytes:
        if len(command) > _MOST_ARGUMENTS:
            raise OperationalError(
                f"too much at once for {self.name}: a command of {len(command)} keys and values, "
                f"the most is {_MOST_ARGUMENTS}"
            )
        packed: bytes = pack_command(tuple(command))  # type: ignore[arg-type] # hiredis declares it too narrowly
        return packed

    def _take(self) -> Connection:
        if self._pid != os.getpid():
            # A child of fork shares the sockets of its parent; it must neither use nor shut them down.
            self._idle = []
            self._pid = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            pass
        connection = self._make()
        try:
            connection.connect()
        except (*LOST, ResponseError) as error:
            connection.disconnect()
            raise unreachable(self.name, error) from error
        return connection

    def _give_back(self, connection: Connection) -> None:
        if len(self._idle) < _MOST_IDLE and self._pid == os.getpid():
            self._idle.append(connection)
        else:
            connection.disconnect()


def _read(connection: Connection) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except RedisConnectionError:
        raise
    except ResponseError as error:
        return error


def _mentions_forgotten_script(reply: Any) -> bool:
    """Whether a reply, or one of the replies of an EXEC, says that the server does not know a script."""
    return is_forgotten_script(reply) or (isinstance(reply, list) and any(map(is_forgotten_script, reply)))
