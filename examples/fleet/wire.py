"""The versions of objects in the messages, as a Valkey or Redis server shows them that carries the messages."""

from __future__ import annotations

import base64
import collections
import re
import socket
import threading

_BODY = re.compile(rb'\\"body\\": \\"([A-Za-z0-9+/=]+)\\"')
_OBJECT = re.compile(rb'_object\.name\\*": \\*"(\w+)\\*".{0,120}?_object\.version\\*": \\*"([\d.]+)')


class Wire:
    """Counts the objects in all messages, by name and version."""

    def __init__(self, host: str, port: int) -> None:
        self.versions: collections.Counter[str] = collections.Counter()
        self._socket = socket.create_connection((host, port))
        self._socket.sendall(b"MONITOR\r\n")
        threading.Thread(target=self._read, daemon=True).start()

    def close(self) -> None:
        """End the counting."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        for line in self._socket.makefile("rb"):
            if b'"LPUSH"' not in line:
                continue
            for body in _BODY.findall(line):
                for name, version in _OBJECT.findall(base64.b64decode(body)):
                    self.versions[f"{name.decode()} {version.decode()}"] += 1
