"""A cluster of Redis or Valkey servers: which node has a database, and how its clients follow it to another node.

slot      all keys of a database have one hash tag, so they are in one slot, and one node has all of them. Another
          database is in another slot, probably on another node. So a store needs connections to one node only
learn     the client asks the nodes that it knows, one after another (CLUSTER SLOTS), at its start and whenever it has
          lost the node. It remembers all nodes that it hears of, so those of the URL may be replaced
follow    an error that says that the database is, or soon will be, on another node counts as a broken connection: the
          round is sent again where the database is. A commit has its token, so it is applied once

              MOVED         the slot has another node: learn which one
              READONLY      the node has become a replica: learn which one is the primary
              CLUSTERDOWN   the node does not know, until a failover is over: learn, and try again
              ASK           the node is moving the slot, key by key, and the key has been moved
              TRYAGAIN      …and some of the keys of a command have been moved, others not

move      Valkey 9 can move a slot at once (CLUSTER MIGRATESLOTS); then MOVED is all that clients see. Older servers
          move one key after another (CLUSTER SETSLOT, MIGRATE), and a new key belongs to the new node at once. A MULTI
          is served by a node that has all of its keys, also by the new one (ASKING), and refused as a whole by others.
          A script uses keys that the server does not know before, so it runs only at the node that has the slot, or
          waits until the move is over. It must not stop halfway because a key is gone: a commit asks for all of its
          keys before it writes (commit.lua); the other scripts may be run again
patience  a round is tried for half a minute: a failover takes `cluster-node-timeout` (15 s) and a little longer
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from redis.crc import key_slot
from redis.exceptions import ResponseError

from rome.errors import DatabaseError, InterfaceError, StoreUnavailable
from rome.storage.redis.address import Address, host_port
from rome.storage.redis.connection import Connection, pack
from rome.storage.redis.failures import LOST, Redirected, refused
from rome.storage.redis.layout import Layout
from rome.storage.redis.replicas.nearest import Nearest, Node

_PATIENCE = 30.0
"""Seconds for which a round is tried."""

_PAUSES = (0.0, 0.01, 0.02, 0.05, 0.1)
"""Seconds before further attempts; the last one again and again."""

_LEARN = ("MOVED", "READONLY", "UNBLOCKED", "CLUSTERDOWN")
"""The first words of errors after which the client learns which node has the slot."""

_WAIT = ("ASK", "TRYAGAIN")
"""The first words of errors by which a node says that it is moving the slot."""

_NOT_HERE = "access a non local key"
"""In the error of a script: one of its keys has been moved."""

_ASK_SLOTS = pack([(b"CLUSTER", b"SLOTS")])


def on_cluster(address: Address) -> Address:
    """Return an address whose sockets go to the node that has its database, if it is that of a cluster."""
    if not address.nodes:
        return address
    cluster = Cluster(address)
    return replace(
        address,
        server=cluster.name,
        open_socket=cluster.open_socket,
        has_moved=cluster.has_moved,
        follow=cluster.follow,
        pauses=_pauses,
        open_replica=address.open_replica and Nearest(cluster.replicas, address.open_node).open_socket,
    )


def _pauses() -> Iterator[float]:
    end = time.monotonic() + _PATIENCE
    yield from _PAUSES
    while time.monotonic() < end:
        yield _PAUSES[-1]


class Cluster:
    """The nodes of a cluster, and which of them has the slot of a database.

    Threads share it. They may learn at the same time; that costs only time.
    """

    def __init__(self, address: Address) -> None:
        self.name = "the cluster at " + ", ".join(host_port(*node) for node in address.nodes)
        self._slot = key_slot(Layout(address.database).meta)
        # A node that does not answer is no reason to wait: others know as much.
        self._address = replace(address, socket_timeout=address.look_after)
        self._nodes = address.nodes
        """The nodes that are known, in the order in which they are asked."""
        self._primary: Node | None = None
        """The node that has the slot, as far as this client knows."""
        self._replicas: Sequence[Node] = ()
        """Its replicas."""
        self._connected: WeakKeyDictionary[socket.socket, Node] = WeakKeyDictionary()
        """The node that each socket is connected to."""

    def open_socket(self) -> socket.socket:
        """Open a socket to the node that has the slot.

        Raise Redirected if it can't be reached, which a failover may change; StoreUnavailable if no node can be, or
        none has the slot; InterfaceError if the nodes are of no cluster.
        """
        node = self._primary = self._primary or self._learn()
        try:
            opened = self._address.open_node(*node)
        except OSError as error:
            self._primary = None
            raise Redirected(f"node {host_port(*node)}, which has the database, can't be reached: {error}") from error
        self._connected[opened] = node
        return opened

    def replicas(self) -> Sequence[Node]:
        """Return the replicas of the node that has the slot. Raise as `open_socket` does."""
        self._primary = self._learn()
        return self._replicas

    def has_moved(self, opened: socket.socket) -> bool:
        """Return True if the other nodes say that the slot has another node than the one of a socket."""
        node = self._connected.get(opened)
        if node is not None:
            self._ask_last(node)
        try:
            self._primary = self._learn()
        except DatabaseError:
            return False  # they know none, or do not answer
        return self._primary != node

    def follow(self, error: ResponseError, opened: socket.socket) -> None:
        """Raise Redirected if an error that came from a socket says that the slot is moving, or has another node."""
        text = str(error)
        word, *rest = text.split()
        node = self._connected.get(opened)
        if word in _LEARN:
            self._primary = None
            if node is not None:
                self._ask_last(node)
            if word == "MOVED":
                self._ask_first(_node_of(rest[1], node))
        elif word not in _WAIT and _NOT_HERE not in text:
            return
        asked = _node_of(rest[1], node) if word == "ASK" else None
        raise Redirected(self._sentence(word, text), asked)

    def _sentence(self, word: str, text: str) -> str:
        if word == "MOVED":
            return f"its nodes do not agree which of them has the database: {text}"
        if "slot not served" in text:
            return self._unserved()
        if word == "CLUSTERDOWN":
            return f"it is down, because a node that has slots has failed, or slots have no node: {text}"
        if word in ("READONLY", "UNBLOCKED"):
            return f"the node that has the database has become a replica, and its nodes know no other: {text}"
        fix = f"end it by `valkey-cli --cluster fix {host_port(*self._nodes[0])}`"
        return f"it is moving slot {self._slot}, which the database is in; if that was interrupted, {fix}: {text}"

    def _unserved(self) -> str:
        first = host_port(*self._nodes[0])
        return f"no node serves slot {self._slot}, which the database is in: run `valkey-cli --cluster fix {first}`"

    def _ask_first(self, node: Node) -> None:
        self._nodes = (node, *(each for each in self._nodes if each != node))

    def _ask_last(self, node: Node) -> None:
        self._nodes = (*(each for each in self._nodes if each != node), node)

    def _learn(self) -> Node:
        """Ask the nodes, until one answers, which one has the slot. Raise StoreUnavailable, InterfaceError."""
        failures: list[str] = []
        for node in self._nodes:
            try:
                slots = self._ask(node)
            except LOST as error:
                failures.append(f"{host_port(*node)} ({error})")
                self._ask_last(node)
                continue
            found = [[_node_at(each, node) for each in entry[2:]] for entry in slots]
            heard = dict.fromkeys([*self._address.nodes, *(each for nodes in found for each in nodes)])
            known = [each for each in self._nodes if each in heard]
            self._nodes = tuple(dict.fromkeys([*known, *heard]))
            self._ask_last(node)  # if its answer is of no use, another node is asked the next time
            for (first, last, *_), (primary, *replicas) in zip(slots, found, strict=True):
                if first <= self._slot <= last:
                    self._replicas = replicas
                    return primary
            raise StoreUnavailable(f"{self.name}: {self._unserved()}")
        raise StoreUnavailable(
            f"none of the nodes of the cluster can be reached: {', '.join(failures)}; name one that can in the ROME URL"
        )

    def _ask(self, node: Node) -> list[Any]:
        """Return a node's reply to CLUSTER SLOTS. Raise OSError; InterfaceError if it is a server of its own."""
        connection = Connection(self._address.open_node(*node), self._address)
        try:
            connection.log_in()
            (reply,) = connection.exchange(_ASK_SLOTS, 1)
        except ResponseError as error:
            raise refused(host_port(*node), error) from error
        finally:
            connection.close()
        if isinstance(reply, ResponseError):
            if "cluster support disabled" in str(reply):
                raise InterfaceError(f"{host_port(*node)} is no node of a cluster: remove cluster=on from the ROME URL")
            raise refused(host_port(*node), reply)
        return list(reply)


def _node_at(entry: list[Any], asked: Node) -> Node:
    """Return a node in a reply to CLUSTER SLOTS. Without a name, it has that of the node that was asked."""
    host, port = (entry[0] or b"").decode(), entry[1]
    return (asked[0] if host in ("", "?") else host), port


def _node_of(text: str, at: Node | None) -> Node:
    """Return the node that MOVED names, HOST:PORT. Without a name, it has that of the node that answered."""
    host, _, port = text.rpartition(":")
    return (host or (at[0] if at else "localhost")), int(port)
