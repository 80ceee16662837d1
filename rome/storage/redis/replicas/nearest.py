"""The nearest of several servers: the one to which a connection was made in the shortest time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

Node = tuple[str, int]
"""The host and the port of a server."""


class Nearest:
    """Opens sockets to the nearest of some servers; to another one when it can't be reached."""

    def __init__(self, nodes: Callable[[], Sequence[Node]], open_node: Callable[[str, int], socket.socket]) -> None:
        """`nodes` returns the servers that there are now; `open_node` opens a socket to one. Both raise OSError."""
        self._nodes = nodes
        self._open_node = open_node
        self._nearest: Node | None = None

    def open_socket(self) -> socket.socket:
        """Open a socket. Raise OSError if there are no servers or none can be reached, and what `nodes` raises."""
        nodes = self._nodes()
        nearest = self._nearest
        if nearest is not None and nearest in nodes:
            try:
                return self._open_node(*nearest)
            except OSError:
                self._nearest = None
        return self._measure(nodes)

    def _measure(self, nodes: Sequence[Node]) -> socket.socket:
        """Open a socket to each server; return the one that took the shortest time, and close the others."""
        opened: list[tuple[float, Node, socket.socket]] = []
        reason: OSError | str = "there are none"
        for node in nodes:
            began = time.monotonic()
            try:
                one = self._open_node(*node)
            except OSError as error:
                reason = error
            else:
                opened.append((time.monotonic() - began, node, one))
        if not opened:
            raise ConnectionError(f"no replica can be reached: {reason}")
        opened.sort(key=lambda each: each[0])
        for _, _, other in opened[1:]:
            other.close()
        _, self._nearest, nearest = opened[0]
        return nearest
