"""A cluster of Valkey servers, whose nodes can fail, be added and exchange slots while clients use it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from urllib.parse import quote

from redis.crc import key_slot
from redis.exceptions import ResponseError

from rome.storage.redis.layout import Layout
from rome.testing.servers import login_of_tests
from rome.verify.faults.server import FaultyServer, wait_until

_SLOTS = 16384
_TRIES = 5


class FaultyCluster:
    """Primaries with equal shares of the slots, each with as many replicas."""

    def __init__(self, folder: Path, primaries: int, replicas: int, directives: dict[str, str]) -> None:
        """Start the nodes, with their data in `folder`, and wait until the cluster serves all slots."""
        self._folder = folder
        self._directives = directives
        with ThreadPoolExecutor() as threads:
            self.nodes = list(threads.map(self._start, range(primaries * (1 + replicas))))
        leaders = self.nodes[:primaries]
        for number, node in enumerate(self.nodes):
            node.execute("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            self._introduce(node)
        for number, node in enumerate(leaders):
            first, end = (_SLOTS * each // primaries for each in (number, number + 1))
            node.execute("CLUSTER", "ADDSLOTSRANGE", str(first), str(end - 1))
        wait_until(lambda: all(len(self._known(node)) == len(self.nodes) for node in self.nodes))
        for number, node in enumerate(self.nodes[primaries:]):
            node.execute("CLUSTER", "REPLICATE", self.id_of(leaders[number % primaries]))
        wait_until(lambda: all(map(self._is_ready, self.nodes)))

    def url(self, database: str, options: str = "") -> str:
        """Return the ROME URL of a database. It names the first two nodes."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])
        return f"rome+redis://{login_of_tests()}{hosts}/{quote(database, safe='')}?cluster=on{options}"

    def add_node(self) -> FaultyServer:
        """Add a primary without slots. Return it when all nodes know it."""
        node = self._start(len(self.nodes))
        self.nodes.append(node)
        self._introduce(node)
        alive = [each for each in self.nodes if each.is_alive]
        name = self.id_of(node)
        wait_until(lambda: all(name in self._known(each) for each in alive) and self._is_ready(node))
        return node

    def primary_of(self, database: str) -> FaultyServer:
        """Return the node that says that it has the slot of a database. Wait while a failover is under way."""
        slot = slot_of(database)

        def holders() -> list[FaultyServer]:
            return [node for node in self.nodes if node.is_alive and _holder(node, slot) == self.id_of(node)]

        wait_until(lambda: bool(holders()))
        return holders()[0]

    def replicas_of(self, primary: FaultyServer) -> list[FaultyServer]:
        """Return the replicas of a node that are connected to it."""
        info = primary.execute("INFO", "replication")
        ports = [info[name]["port"] for name in info if name.startswith("slave") and name[5:].isdigit()]
        return [node for node in self.nodes if node.port in ports]

    def fail_over(self, database: str) -> None:
        """Let a replica of the node that has a database take its place; no write is lost.

        If the node has no replica, because it was added, the database moves to one that has before.
        """
        former = self.primary_of(database)
        if not self.replicas_of(former):
            former = next(node for node in self.nodes if node.is_alive and self.replicas_of(node))
            self.move(database, former)
        replica = self.replicas_of(former)[0]
        for _ in range(_TRIES):
            with suppress(ResponseError, TimeoutError):  # the replica gives up if it does not catch up within 5 s
                replica.execute("CLUSTER", "FAILOVER")
                wait_until(lambda: self._agree_on(database, replica), seconds=10)
                return
        raise TimeoutError(f"no replica of the node at port {former.port} took its place")

    def move(self, database: str, target: FaultyServer) -> None:
        """Move the slot of a database to another primary, all keys at once."""
        source, slot = self.primary_of(database), str(slot_of(database))
        source.execute("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self.id_of(target))
        wait_until(lambda: self._agree_on(database, target))

    def move_by_keys(self, database: str, target: FaultyServer, keys_at_once: int = 1) -> None:
        """Move the slot of a database to another primary, key by key."""
        source = self.begin_move(database, target)
        while self.move_keys(database, source, target, keys_at_once):
            pass
        self.end_move(database, source, target)

    def begin_move(self, database: str, target: FaultyServer) -> FaultyServer:
        """Prepare a move of a slot, key by key. Return the node that has it."""
        source, slot = self.primary_of(database), str(slot_of(database))
        target.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        return source

    def move_keys(self, database: str, source: FaultyServer, target: FaultyServer, count: int) -> int:
        """Move up to `count` keys of a database. Return how many there were."""
        keys = source.execute("CLUSTER", "GETKEYSINSLOT", str(slot_of(database)), str(count))
        if keys:
            source.execute("MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *keys)
        return len(keys)

    def end_move(self, database: str, source: FaultyServer, target: FaultyServer) -> None:
        """Assign the slot, whose keys have been moved."""
        slot, name = str(slot_of(database)), self.id_of(target)
        target.execute("CLUSTER", "SETSLOT", slot, "NODE", name)
        with suppress(ResponseError):  # a node without slots becomes a replica
            source.execute("CLUSTER", "SETSLOT", slot, "NODE", name)
        wait_until(lambda: self._agree_on(database, target))

    def another_primary(self, database: str) -> FaultyServer:
        """Return a primary that does not have a database."""
        holder = self.primary_of(database)
        return next(node for node in self.nodes if node.is_alive and node is not holder and _is_primary(node))

    def id_of(self, node: FaultyServer) -> str:
        """Return the name that a node has in the cluster."""
        return cast("str", node.execute("CLUSTER", "MYID").decode())

    def kill(self) -> None:
        """Kill all nodes."""
        for node in self.nodes:
            node.kill()

    def _start(self, number: int) -> FaultyServer:
        return FaultyServer(self._folder / str(number), {**self._directives, "cluster-enabled": "yes"})

    def _introduce(self, node: FaultyServer) -> None:
        first = self.nodes[0]
        if node is not first:
            node.execute("CLUSTER", "MEET", "127.0.0.1", str(first.port), str(first.bus_port))

    def _known(self, node: FaultyServer) -> dict[str, list[str]]:
        """Return the nodes that a node knows: by name, the fields of CLUSTER NODES."""
        lines = node.execute("CLUSTER", "NODES").decode().splitlines()
        return {fields[0]: fields for fields in map(str.split, lines) if "handshake" not in fields[2]}

    def _is_ready(self, node: FaultyServer) -> bool:
        state = node.execute("CLUSTER", "INFO").decode()
        link = node.execute("INFO", "replication").get("master_link_status", "up")
        return "cluster_state:ok" in state and link == "up"

    def _agree_on(self, database: str, node: FaultyServer) -> bool:
        """Return True if all nodes say that one has a database."""
        slot, name = slot_of(database), self.id_of(node)
        return all(_holder(each, slot) == name for each in self.nodes if each.is_alive)


def _holder(node: FaultyServer, slot: int) -> str | None:
    """Return the name of the primary that has a slot, as a node knows it."""
    for first, last, leader, *_ in node.execute("CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return cast("str", leader[2].decode())
    return None


def _is_primary(node: FaultyServer) -> bool:
    return bool(node.execute("INFO", "replication")["role"] == "master")


def slot_of(database: str) -> int:
    """Return the slot of a database."""
    return int(key_slot(Layout(database).meta))


@contextmanager
def faulty_cluster(primaries: int = 3, replicas: int = 1, **directives: str) -> Iterator[FaultyCluster]:
    """Run a cluster that keeps nothing on disk, with changed `directives` (underscores for dashes)."""
    changes = {name.replace("_", "-"): value for name, value in directives.items()}
    usual = {"save": "", "appendonly": "no", "cluster-node-timeout": "5000"}
    with TemporaryDirectory(prefix="rome-cluster-") as folder:
        cluster = FaultyCluster(Path(folder), primaries, replicas, {**usual, **changes})
        try:
            yield cluster
        finally:
            cluster.kill()
