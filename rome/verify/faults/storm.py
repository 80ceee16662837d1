"""One fault after the other, at random, while others work."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess

from rome.verify.faults.proxy import Proxy
from rome.verify.faults.server import FaultyServer

_SPELL = 0.3
"""Seconds that a condition lasts: out of memory, being a replica, being down."""


class Storm(threading.Thread):
    """Faults upon a server, on the connections to it and on the processes that use it. `faults` counts them."""

    def __init__(
        self, server: FaultyServer, proxy: Proxy, workers: Callable[[], Sequence[BaseProcess]], every: float, seed: int
    ) -> None:
        """A fault each `every` seconds, more or less."""
        super().__init__(daemon=True)
        self.faults: Counter[str] = Counter()
        self.error: Exception | None = None
        self._server = server
        self._proxy = proxy
        self._workers = workers
        self._every = every
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._over = threading.Event()
        self._kinds: dict[str, Callable[[], None]] = {
            "server killed and restarted": self._kill_server,
            "server out of memory": self._fill_up,
            "server a read-only replica": self._make_replica,
            "scripts flushed": server.forget_scripts,
            "all connections cut": proxy.cut_all,
            "client killed": lambda: self._signal(signal.SIGKILL),
            "client stopped": lambda: self._signal(signal.SIGSTOP),
        }

    def run(self) -> None:
        """Each kind once in random order, and over again, until `calm`."""
        kinds: list[str] = []
        try:
            while not self._over.wait(self._every * self._chance.uniform(0.5, 1.5)):
                if not kinds:
                    kinds = self._chance.sample(list(self._kinds), len(self._kinds))
                kind = kinds.pop()
                self._kinds[kind]()
                self.faults[kind] += 1
        except Exception as error:
            self.error = error

    def calm(self) -> None:
        """End, with the server up. Raises what went wrong with the faults themselves."""
        self._over.set()
        self.join()
        if self.error is not None:
            raise self.error

    def _kill_server(self) -> None:
        self._server.kill()
        time.sleep(_SPELL)
        self._server.start()

    def _fill_up(self) -> None:
        self._server.fill_up()
        time.sleep(_SPELL)
        self._server.make_room()

    def _make_replica(self) -> None:
        self._server.make_replica()
        time.sleep(_SPELL)
        self._server.make_primary()

    def _signal(self, number: signal.Signals) -> None:
        alive = [process.pid for process in self._workers() if process.exitcode is None and process.pid is not None]
        if alive:
            os.kill(self._chance.choice(alive), number)
