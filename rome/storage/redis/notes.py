"""Notes of processes in a hash of the server: name → time of the server, then the note. Writers remove old ones."""

from __future__ import annotations

import struct

from redis.exceptions import ResponseError

from rome.errors import StoreUnavailable
from rome.storage.notes import NOTE_SECONDS
from rome.storage.redis.connection import Command, Server

_TIME = struct.Struct(">d")


class RedisNotes:
    """The notes of the processes that use a database of a server."""

    def __init__(self, server: Server, key: bytes) -> None:
        self._server = server
        self._key = key

    def write(self, name: bytes, note: bytes) -> None:
        """Write the note of a process, and remove those of processes that have ended long ago."""
        now, notes = self._timed_notes()
        old = [each for each, (written, _) in notes.items() if written < now - 2 * NOTE_SECONDS]
        commands: list[Command] = [(b"HSET", self._key, name, _TIME.pack(now) + note)]
        if old:
            commands.append((b"HDEL", self._key, *old))
        self._ask(*commands)

    def read(self) -> dict[bytes, bytes]:
        """Return the fresh notes."""
        now, notes = self._timed_notes()
        return {name: note for name, (written, note) in notes.items() if written > now - NOTE_SECONDS}

    def remove(self, name: bytes) -> None:
        """Remove the note of a process."""
        self._ask((b"HDEL", self._key, name))

    def _timed_notes(self) -> tuple[float, dict[bytes, tuple[float, bytes]]]:
        """Return the server's time, and the times and texts of all notes: one round trip."""
        now, items = self._ask((b"TIME",), (b"HGETALL", self._key))
        found = dict(zip(items[::2], items[1::2], strict=True))
        return int(now[0]) + int(now[1]) / 1e6, {
            name: (_TIME.unpack_from(data)[0], data[_TIME.size :])
            for name, data in found.items()
            if len(data) >= _TIME.size
        }

    def _ask(self, *commands: Command) -> list[list[bytes]]:
        replies = self._server.round(commands)
        failure = next((reply for reply in replies if isinstance(reply, ResponseError)), None)
        if failure is not None:
            raise StoreUnavailable(f"the server refuses the notes of processes: {failure}")
        return replies
