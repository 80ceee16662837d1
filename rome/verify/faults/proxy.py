"""A TCP proxy for a Redis or Valkey server that cuts connections at requests which run a script, as commits do.

It also parts the server from those who reach it through the proxy, as a broken network does.

before    the request does not reach the server
in        the server receives half of the request
after     the server executes the request and the response is lost
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field

CUTS = ("before", "in", "after")


@dataclass(slots=True)
class _Pair:
    """A client's connection and the proxy's connection to the server. `drop_response`: lose the next response."""

    client: socket.socket
    server: socket.socket
    drop_response: bool = False

    def close(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class Proxy:
    """Listen on a free port, `port`, and forward to the port `target`.

    `rate` is the share of scripts that are cut at random; `cuts` counts the cuts by place.
    """

    target: int
    rate: float = 0.0
    seed: int = 0
    port: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    _armed: list[str] = field(default_factory=list)
    _flows: threading.Event = field(default_factory=threading.Event)
    _pairs: list[_Pair] = field(default_factory=list)

    def __enter__(self) -> Proxy:
        self._rng = random.Random(self.seed)  # noqa: S311 - no secret
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        self.join()

    def cut_next(self, *places: str) -> None:
        """Cut the connections of the next scripts at these places, one place for each script."""
        self._armed.extend(places)

    def part(self) -> None:
        """Let nothing pass, in both directions; what is sent meanwhile waits."""
        self._flows.clear()

    def join(self) -> None:
        """Let everything pass again."""
        self._flows.set()

    def cut_all(self) -> None:
        """Cut all open connections."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._flows.wait()
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(client, server)
            self._pairs.append(pair)
            for pump in (self._forward, self._backward):
                threading.Thread(target=pump, args=(pair,), daemon=True).start()

    def _forward(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while data := pair.client.recv(1 << 16):
                self._flows.wait()
                place = self._place(data)
                if place == "before":
                    break
                if place == "in":
                    pair.server.sendall(data[: len(data) // 2])
                    break
                pair.drop_response = place == "after"
                pair.server.sendall(data)
        pair.close()

    def _backward(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while data := pair.server.recv(1 << 16):
                self._flows.wait()
                if pair.drop_response:
                    break
                pair.client.sendall(data)
        pair.close()
        for end in (pair.client, pair.server):
            end.close()
        with contextlib.suppress(ValueError):
            self._pairs.remove(pair)

    def _place(self, data: bytes) -> str | None:
        """Return where to cut this request, or None."""
        if b"\r\nEVAL" not in data:
            return None
        place = None
        if self._armed:
            place = self._armed.pop(0)
        elif self._rng.random() < self.rate:
            place = self._rng.choice(CUTS)
        if place is not None:
            self.cuts[place] += 1
        return place
