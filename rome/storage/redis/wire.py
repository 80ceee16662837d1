"""One connection to a server: bytes out, replies in.

redis-py connects and logs in (TLS, passwords, Sentinels, Unix sockets). From then on the socket is ours: redis-py packs
commands and reads replies one by one, by ways that take longer than the server needs to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hiredis import Reader, pack_command
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from rome.errors import OperationalError
from rome.storage.redis.scripts import Command

_MOST_ARGUMENTS = 1_000_000
_AT_ONCE = 64 * 1024
_UNFINISHED = object()


class Connection(Protocol):
    """What is used of redis-py's connections."""

    def connect(self) -> None:
        """Connect, and log in."""

    def disconnect(self) -> None:
        """Close the socket, whatever its state."""


MakeConnection = Callable[[], Connection]
"""Makes a connection that is not yet connected."""


class Wire:
    """A connection that may be used by one thread at a time. `errors`: those among the last replies."""

    def __init__(self, connection: Connection) -> None:
        """Connects. Raises what redis-py raises."""
        self.errors: list[ResponseError] = []
        self.received = 0
        """How many bytes the last replies had."""
        self._connection = connection
        self._buffer = bytearray(_AT_ONCE)
        self._reader = Reader(replyError=self._error, notEnoughData=_UNFINISHED)
        try:
            connection.connect()
        except BaseException:
            connection.disconnect()
            raise
        # redis-py has no public name for it.
        self._socket: Any = connection._sock  # type: ignore[attr-defined]

    def send(self, data: bytes) -> None:
        """Send all of the data."""
        self._socket.sendall(data)

    def receive(self, count: int) -> list[Any]:
        """The next replies, among which errors of the server stand as they are.

        Raises redis-py's ConnectionError if the server hangs up, or says that it is still loading its data.
        """
        if self.errors:
            self.errors.clear()
        received = 0
        replies: list[Any] = []
        buffer, reader = self._buffer, self._reader
        while len(replies) < count:
            size = self._socket.recv_into(buffer)
            if not size:
                raise RedisConnectionError("the server has closed it")
            received += size
            reader.feed(buffer, 0, size)  # type: ignore[arg-type] # any buffer will do
            replies += iter(reader.gets, _UNFINISHED)
        self.received = received
        if self.errors:
            for error in self.errors:
                if str(error).startswith("LOADING"):
                    raise RedisConnectionError(str(error))
        return replies

    def close(self) -> None:
        """Close the connection, whatever its state."""
        self._connection.disconnect()

    def _error(self, text: str) -> ResponseError:
        error = ResponseError(text)
        self.errors.append(error)
        return error


Packed = tuple[bytes, int]
"""Commands to be sent at once, and how many there are."""


def pack(commands: Sequence[Command]) -> bytes:
    """Commands as bytes to be sent. Raises OperationalError for one of too many arguments."""
    if max(map(len, commands)) > _MOST_ARGUMENTS:
        raise OperationalError(
            f"too much at once for the server: a command of {max(map(len, commands))} keys and values, "
            f"the most is {_MOST_ARGUMENTS}"
        )
    return b"".join(map(pack_command, commands))  # type: ignore[arg-type] # hiredis declares it too narrowly
