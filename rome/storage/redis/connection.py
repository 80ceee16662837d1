"""Connections to one server: a pool, rounds of commands, scripts and retries.

    round     the commands that are sent at once; their replies come back in one round trip
    pool      idle connections on a stack: the one used last is taken first, so that few stay in use and the server
              drops the others when they grow old. `append` and `pop` of a list are atomic, so threads and green threads
              need no lock. The tasks of an event loop have connections of their own, which only they can wait for
              (`rome.storage.awaited_socket`). After a fork the child forgets its parent's connections.
    scripts   sent in full (EVAL) the first time and by their hash (EVALSHA) from then on, so that loading one costs no
              round trip. If the server answers NOSCRIPT, the round is sent again with all scripts in full.
    timeouts  a server has `socket_timeout` for its reply, and longer for much data. Under Sentinels, the client asks
              them every second whether there is another primary meanwhile.
    clusters  an error that says that another node has the database, or soon will, counts as a broken connection
    retries   a connection can break at any time. A read may be repeated, and so may a commit, which has a token; so
              every round that breaks is sent again on a fresh connection. Only a server that was never reached is
              reported at once.

A connection is a plain socket and hiredis's parser: bytes out, replies in, in fewer steps than a client library takes
for each command. The protocol is RESP2.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from hashlib import sha1
from importlib.resources import files
from operator import methodcaller
from typing import Any
from weakref import WeakKeyDictionary

from hiredis import Reader, pack_command
from redis.exceptions import ResponseError

from rome import waits
from rome.errors import (
    DatabaseError,
    DataError,
    FormatError,
    InterfaceError,
    OperationalError,
    StoreUnavailable,
)
from rome.forks import tell_in_child
from rome.storage.awaited_socket import AwaitedSocket
from rome.storage.redis.address import Address
from rome.storage.redis.failures import LOST, Redirected, is_forgotten_script, refused, unreachable
from rome.storage.redis.layout import Layout
from rome.storage.redis.presence import find_other_types
from rome.storage.store import Stats

Command = tuple[bytes, ...]
"""Bytes only: hiredis crashes if a signal handler raises an exception while it formats an int."""

Packed = tuple[bytes, int, Any]
"""A round: its commands as bytes, their number, and anything that its maker needs to read the replies."""

_MOST_IDLE = 64
_MOST_ARGUMENTS = 1_000_000
LONGEST_ARGUMENT = 512 * 1024 * 1024
"""The default of the server's `proto-max-bulk-len`. It closes the connection if an argument is longer."""
_LONGEST_COMMAND = 1024 * 1024 * 1024
"""The default of the server's `client-query-buffer-limit`."""
_BUFFER = 64 * 1024
_PIECE = 1024 * 1024
"""Bytes that are sent within one timeout, and after which the server has one more timeout for its reply."""
_UNFINISHED = object()
_KNOWS_MOVES = b"local it = rawget(_G, 'server'); return ((it and it.VALKEY_VERSION_NUM) or 0) >= 8 * 65536"
"""A script: whether a replica knows which keys have been moved to another node (ASK)."""
_ASKING = b"*1\r\n$6\r\nASKING\r\n"
_MULTI = b"*1\r\n$5\r\nMULTI\r\n"
_CLOSE = methodcaller("close")
"""Closes a socket. The class of eventlet's sockets has no such attribute; its instances do."""


class Server:
    """Sends rounds of commands to a server. Threads and tasks share it."""

    def __init__(self, address: Address, stats: Stats) -> None:
        self.name = address.server
        """The server's name in messages."""
        self.scripts = Scripts()
        self.open_socket = address.open_socket
        self._address = address
        self._stats = stats
        self._idle: list[Connection] = []
        self._idle_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Connection]] = WeakKeyDictionary()
        tell_in_child(self)

    def open(self) -> None:
        """Connect once, to learn whether the server accepts us. Raise StoreUnavailable."""
        nothing = b"", 0, None
        self.exchange(nothing, lambda: nothing)

    def close(self) -> None:
        """Close the idle connections."""
        for idle in (self._idle, *self._idle_of_loops.values()):
            while idle:
                idle.pop().close()

    def _idle_connections(self) -> list[Connection]:
        """Return the idle connections that the caller may use."""
        if not waits.in_task():
            return self._idle
        return self._idle_of_loops.setdefault(asyncio.get_running_loop(), [])

    def round(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one round trip and return their replies, errors of the server among them.

        Raise StoreUnavailable if the connection breaks again and again, OperationalError for too many arguments.
        """
        packed = pack(commands), len(commands), None
        replies, size, _ = self.exchange(packed, lambda: packed)
        self._stats.add(1, len(replies), 0, size)
        return replies

    def run_script(self, script: str, keys: Sequence[bytes], *arguments: bytes) -> tuple[Any, int]:
        """Run a script in one round trip; return its reply and how often it was sent.

        Raise StoreUnavailable, OperationalError as `round` does, and the error for a reply that is one.
        """
        packed = self._pack_script(script, keys, *arguments)
        (reply,), size, sent = self.exchange(packed, self._pack_script, script, keys, *arguments)
        self._stats.add(1, 1, 0, size)
        if type(reply) is ResponseError:
            raise self.refused(reply)
        return reply, sent

    def run_script_and(
        self, command: Command, script: str, keys: Sequence[bytes], *arguments: bytes
    ) -> tuple[Any, Any, int]:
        """Run a script, and then a command, in one round trip; return both replies and how often they were sent.

        Raise as `run_script` does. The reply to the command may be an error.
        """

        def pack_both() -> Packed:
            return self._pack_script(script, keys, *arguments)[0] + pack_one(command), 2, None

        (reply, other), size, sent = self.exchange(pack_both(), pack_both)
        self._stats.add(1, 2, 0, size)
        if type(reply) is ResponseError:
            raise self.refused(reply)
        return reply, other, sent

    def refused(self, reply: ResponseError) -> DatabaseError:
        """Return the error for a reply that is an error. Raise StoreUnavailable."""
        if str(reply).startswith("WRONGTYPE"):
            others = "; ".join(find_other_types(self.round, Layout(self._address.database)))
            return FormatError(f"another program has written to the database's keys: {others}: {self.name}: {reply}")
        return refused(self.name, reply)

    def _pack_script(self, script: str, keys: Sequence[bytes], *arguments: bytes) -> Packed:
        return pack_one(self.scripts.call(script, keys, *arguments)), 1, None

    def exchange(self, packed: Packed, pack_again: Callable[..., Packed], *of: Any) -> tuple[list[Any], int, int]:
        """Send a round; return the replies, the bytes sent and received, and how often it was sent. Counts nothing.

        To send the round again, it is made again by `pack_again(*of)`, for its scripts must then be in full.
        """
        lost: Exception | None = None
        pauses: Iterator[float] | None = None
        sent = 0
        while True:
            data, count, _ = packed
            broken = False
            sent += 1
            try:
                idle = self._idle if waits.tasks is None else self._idle_connections()
                try:
                    connection = idle.pop()
                except IndexError:
                    connection = self._connect()
                replies = connection.exchange(data, count)
            except LOST as error:
                found = self._ask(error, data, count)
                if found is not None:
                    return found, len(data), sent
                lost, broken = error, True
            except StoreUnavailable as error:
                if lost is None:
                    raise  # the server was never reached
                lost, broken = error, True
            else:
                size = len(data) + connection.received
                is_forgotten = connection.errors and any(map(is_forgotten_script, connection.errors))
                if len(idle) < _MOST_IDLE:
                    idle.append(connection)
                else:
                    connection.close()
                if not is_forgotten:
                    return replies, size, sent
            self.scripts.forget()
            if broken:
                pauses = pauses or self._address.pauses()
                self._pause(pauses, lost)
            packed = pack_again(*of)

    def _ask(self, error: Exception, data: bytes, count: int) -> list[Any] | None:
        """Return the replies of the node that a slot is moving to; None if there is none, or it lacks some of the keys.

        A script is not sent there: it would take keys that have not been moved for missing ones.
        """
        if not isinstance(error, Redirected) or error.asked is None or not _names_keys(data, count):
            return None
        try:
            opened = waits.call(self._address.open_node, *error.asked, discard=_CLOSE)
            with closing(Connection(opened, self._address)) as connection:
                connection.log_in()
                _, *replies = connection.exchange(_ASKING + data, count + 1)
        except (*LOST, ResponseError):
            return None
        return None if any(map(is_forgotten_script, connection.errors)) else replies

    def _pause(self, pauses: Iterator[float], lost: Exception | None) -> None:
        """Wait before the next attempt. Raise StoreUnavailable if there were enough of them."""
        pause = next(pauses, None)
        if isinstance(lost, Redirected) and pause is None:
            raise StoreUnavailable(f"{self.name}: {lost}") from lost
        if pause is None:
            raise StoreUnavailable(f"the connection to {self.name} was lost for good: {lost}") from lost
        self.close()
        waits.sleep(pause)

    def _connect(self) -> Connection:
        try:
            connection = Connection(waits.call(self.open_socket, discard=_CLOSE), self._address)
            connection.log_in()
        except Redirected:
            raise  # to be tried again
        except (*LOST, ResponseError) as error:
            raise unreachable(self.name, error) from error
        return connection

    def begin_child(self) -> None:
        """Forget the idle connections, in a child of fork: their sockets belong to the parent."""
        self._idle = []
        self._idle_of_loops = WeakKeyDictionary()


class Connection:
    """A connection that one thread, or one task of an event loop, may use at a time."""

    def __init__(self, opened: socket.socket, address: Address) -> None:
        self.errors: list[ResponseError] = []
        """Those among the last replies that are errors."""
        self.received = 0
        """The bytes of the last replies."""
        self._opened = opened
        self._socket = AwaitedSocket(opened) if waits.in_task() else opened
        self._address = address
        self._buffer = bytearray(_BUFFER)
        self._reader = Reader(replyError=self._error, notEnoughData=_UNFINISHED)

    def exchange(self, data: bytes, count: int) -> list[Any]:
        """Send some commands and return their replies, errors of the server among them.

        Closes the connection if anything goes wrong: replies may be under way that belong to nobody. Raise OSError,
        also if the server says that it is still loading its data, and Redirected.
        """
        if self.errors:
            self.errors.clear()
        received = 0
        silent = 0.0
        replies: list[Any] = []
        buffer, reader = self._buffer, self._reader
        try:
            if len(data) <= _PIECE:
                self._socket.sendall(data)
            else:
                self._send_pieces(data)
            while len(replies) < count:
                try:
                    size = self._socket.recv_into(buffer)
                except TimeoutError:
                    silent += self._address.look_after
                    self._be_patient(silent, len(data))
                    continue
                if not size:
                    raise ConnectionError(str(self.errors[0]) if self.errors else "the server has closed it")
                received += size
                silent = 0.0
                reader.feed(buffer, 0, size)  # type: ignore[arg-type] # any buffer will do
                replies += iter(reader.gets, _UNFINISHED)
            for error in self.errors:
                if str(error).startswith("LOADING"):
                    raise ConnectionError(str(error))
                self._address.follow(error, self._opened)
        except BaseException:
            self.close()
            raise
        self.received = received
        return replies

    def log_in(self) -> None:
        """Authenticate and select the server's database. Raise ResponseError if the server refuses, OSError,
        InterfaceError.
        """
        address = self._address
        commands: list[Command] = []
        if address.user or address.password:
            login = (address.user, address.password or "") if address.user else (address.password or "",)
            commands.append((b"AUTH", *(word.encode() for word in login)))
        if address.db:
            commands.append((b"SELECT", b"%d" % address.db))
        in_cluster = address.is_replica and bool(address.nodes)
        if in_cluster:  # without READONLY, a replica sends its clients to the primary
            commands += [(b"READONLY",), (b"EVAL", _KNOWS_MOVES, b"0")]
        # For CLIENT LIST. Older servers and strict ACLs refuse it, and that does no harm.
        commands.append((b"CLIENT", b"SETINFO", b"LIB-NAME", b"rome"))
        *needed, _ = self.exchange(pack(commands), len(commands))
        for reply in needed:
            if isinstance(reply, ResponseError):
                self.close()
                raise reply
        if in_cluster and not needed[-1]:
            self.close()
            raise InterfaceError(
                "read_from=replica can't be used in a cluster of these servers: while keys are moved to another node, "
                "their replicas leave them out of their answers; Valkey 8 and newer do not"
            )

    def _send_pieces(self, data: bytes) -> None:
        """Send much data. The timeout of a socket is that of a whole call, so each piece has its own."""
        view = memoryview(data)
        for begin in range(0, len(data), _PIECE):
            self._socket.sendall(view[begin : begin + _PIECE])

    def _be_patient(self, silent: float, size: int) -> None:
        """Return if the server may still reply after so many seconds to `size` bytes. Raise OSError."""
        longest = self._address.socket_timeout * (1 + size // _PIECE)
        if silent >= longest:
            raise TimeoutError(f"no reply within {longest:g} s (socket_timeout)")
        if waits.call(self._address.has_moved, self._opened):
            raise ConnectionError("another server is the primary now")

    def close(self) -> None:
        """Close the connection, whatever its state."""
        self._socket.close()

    def _error(self, text: str) -> ResponseError:
        error = ResponseError(text)
        self.errors.append(error)
        return error


def _names_keys(data: bytes, count: int) -> bool:
    """Return True if the server knows all keys of a round before it runs it, and serves all of it or nothing."""
    return data.startswith(_MULTI) or (count == 1 and b"EVAL" not in data[:16])


def pack(commands: Sequence[Command]) -> bytes:
    """Return the bytes of commands. Raise OperationalError for one of too many arguments."""
    return b"".join(map(pack_one, commands))


def pack_one(command: Command) -> bytes:
    """Return the bytes of a command. Raise OperationalError for one of too many arguments or bytes, DataError."""
    if len(command) > _MOST_ARGUMENTS:
        raise OperationalError(
            f"too much at once for the server: a command of {len(command)} keys and values, the most is "
            f"{_MOST_ARGUMENTS}; divide the transaction"
        )
    packed: bytes = pack_command(command)  # type: ignore[arg-type] # hiredis declares it too narrowly
    if len(packed) > LONGEST_ARGUMENT:
        _check_lengths(command, len(packed))
    return packed


def _check_lengths(command: Command, size: int) -> None:
    """Raise DataError for a key or value that is too long for a server, OperationalError for a command that is."""
    longest = max(map(len, command))
    if longest > LONGEST_ARGUMENT:
        raise DataError(
            f"a key or a row of {longest} bytes is too long for the server, the most is {LONGEST_ARGUMENT}; store "
            "large values elsewhere, or divide them"
        )
    if size > _LONGEST_COMMAND:
        raise OperationalError(
            f"too much at once for the server: a command of {size} bytes, the most is {_LONGEST_COMMAND}; divide the "
            "transaction"
        )


_SCRIPTS = ("begin", "clear", "commit", "count", "counter", "lock", "publish", "repair", "rows", "upgrade")


class Scripts:
    """ROME's Lua scripts, and which of them the server is believed to know.

    Threads share it: a wrong belief costs a round trip.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def call(self, script: str, keys: Sequence[bytes], *arguments: bytes) -> Command:
        """Return the command that runs a script."""
        text, digest = _TEXTS[script]
        if script in self._known:
            return (b"EVALSHA", digest, b"%d" % len(keys), *keys, *arguments)
        self._known.add(script)
        return (b"EVAL", text, b"%d" % len(keys), *keys, *arguments)

    def knows(self, script: str) -> bool:
        """Return True if `call` sends a script by its hash."""
        return script in self._known

    def forget(self) -> None:
        """Send all scripts in full again: the server may have been restarted, or be another one."""
        self._known.clear()


def text_of(script: str) -> str:
    """Return the text of a script. A line `-- include NAME` stands for the text of NAME.lua.

    So a function that is used in one branch is defined there, and costs nothing elsewhere.
    """
    text = files(__package__).joinpath(f"{script}.lua").read_text(encoding="utf-8")
    return re.sub(r"^ *-- include (\w+)$", lambda line: text_of(line[1]), text, flags=re.MULTILINE)


def _with_digest(text: bytes) -> tuple[bytes, bytes]:
    """Return a script's text and the hash that the server knows it by."""
    return text, sha1(text, usedforsecurity=False).hexdigest().encode()


_TEXTS = {script: _with_digest(text_of(script).encode()) for script in _SCRIPTS}
