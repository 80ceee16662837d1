"""Customers: they request instances, change, list and delete them, and check every answer."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 300
"""Seconds within which an instance has to become active."""

LOG = ["requested", "scheduled", "building", "active"]
"""The log of an instance: each line once, whatever was killed."""


@dataclass
class Customers:
    """The instances of customers, and the responses that they saw."""

    port: int
    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The expected state of each instance."""

    requests: int = 0
    errors: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def working(self, count: int) -> Iterator[None]:
        """Let two customers make `count` instances each during the block, and read others until it ends."""
        ended = threading.Event()
        with ThreadPoolExecutor(3) as pool:
            work = [pool.submit(self._make, count) for _ in range(2)]
            work.append(pool.submit(self._browse, ended))
            try:
                yield
            finally:
                ended.set()
        for each in work:
            each.result()

    def check_all(self) -> int:
        """Wait until all instances are active, and compare them. Return their number."""
        for number in list(self.instances):
            self._wait_for(number)
        listed = list(self._pages())
        if sorted(one["id"] for one in listed) != sorted(self.instances):
            self._fail(f"the list has {len(listed)} instances, not {len(self.instances)}")
        return len(listed)

    def hosts(self) -> dict[str, int]:
        """Return host → its instances."""
        found: dict[str, int] = {}
        for number in self.instances:
            host = self.request("GET", f"/instances/{number}")["host"]
            found[host] = found.get(host, 0) + 1
        return found

    def request(self, method: str, path: str, body: Any = None, expected: int = 200) -> Any:
        """Make a request. Return the answer; a wrong status is an error that is counted."""
        with self._lock:
            self.requests += 1
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"X-User": "customer"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            return self._fail(f"{method} {path}: {type(error).__name__}: {error}")
        finally:
            connection.close()
        if response.status != expected:
            return self._fail(f"{method} {path}: {response.status} {text.decode()}")
        return json.loads(text) if text else {}

    def _make(self, count: int) -> None:
        """Make instances; rename and resize each, and delete every third."""
        for _ in range(count):
            number = next(self._numbers)
            identity = str(uuid.uuid4())
            wanted = {"name": f"vm-{number}", "cores": number % 8 + 1, "memory": 2 ** (number % 5)}
            self.request("POST", "/instances", {"id": identity, **wanted}, 202)
            self.instances[identity] = wanted
            self._wait_for(identity)
            wanted = {"name": f"vm-{number}-b", "cores": wanted["cores"] * 2, "memory": wanted["memory"] + 1}
            self.request("PUT", f"/instances/{identity}", wanted)
            self.instances[identity] = wanted
            self._wait_for(identity)
            if number % 3 == 2:
                self.request("DELETE", f"/instances/{identity}", None, 204)
                self.request("GET", f"/instances/{identity}", None, 404)
                del self.instances[identity]

    def _browse(self, ended: threading.Event) -> None:
        """List all instances, again and again, until the event."""
        while not ended.wait(0.5):
            list(self._pages())

    def _pages(self) -> Iterator[dict[str, Any]]:
        """Yield all instances, from pages of 20."""
        path = "/instances?limit=20"
        while page := self.request("GET", path):
            yield from page
            path = f"/instances?limit=20&marker={page[-1]['id']}"

    def _wait_for(self, number: str) -> None:
        """Wait until an instance is active, and compare it with what it has to be."""
        end = time.monotonic() + PATIENCE
        found = self.request("GET", f"/instances/{number}")
        while found and found["state"] != "active" and time.monotonic() < end:
            time.sleep(0.1)
            found = self.request("GET", f"/instances/{number}")
        if not found:
            return
        wanted = {**self.instances[number], "state": "active", "log": LOG}
        if {name: found[name] for name in wanted} != wanted:
            self._fail(f"{found} has to be {wanted}")

    def _fail(self, message: str) -> Any:
        with self._lock:
            self.errors.append(message)
        return {}
