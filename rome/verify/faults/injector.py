"""Inject a given number of random faults while clients commit transactions.

The number of commits decides when a fault is injected, not the clock: of `count` faults, one falls into each of `count`
equal parts of the transactions. A slow machine therefore has as many faults as a fast one, and makes progress between
them.
"""

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

_DURATION = 0.3
"""Seconds for which the server is out of memory, a replica, or down."""

_POLL = 0.01


class FaultInjector(threading.Thread):
    """Faults of a server, of the connections to it and of the processes that use it. `faults` counts them."""

    def __init__(
        self,
        server: FaultyServer,
        proxy: Proxy,
        workers: Callable[[], Sequence[BaseProcess]],
        progress: Callable[[], float],
        count: int,
        seed: int,
    ) -> None:
        """Plan `count` faults. `progress` returns the share of the transactions that are committed, 0 to 1."""
        super().__init__(daemon=True)
        self.faults: Counter[str] = Counter()
        self.error: Exception | None = None
        self._server = server
        self._proxy = proxy
        self._workers = workers
        self._progress = progress
        self._count = count
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        self._stopped = threading.Event()
        self._kinds: dict[str, Callable[[], None]] = {
            "server killed and restarted": self._restart_server,
            "server out of memory": self._exhaust_memory,
            "server a read-only replica": self._demote_server,
            "scripts flushed": server.flush_scripts,
            "all connections cut": proxy.cut_all,
            "client killed": lambda: self._signal_worker(signal.SIGKILL),
            "client stopped": lambda: self._signal_worker(signal.SIGSTOP),
        }

    def run(self) -> None:
        """Inject the faults: every kind once in random order, then again, until all are done or `stop` is called."""
        kinds: list[str] = []
        try:
            for number in range(self._count):
                due = (number + self._rng.random()) / self._count
                while self._progress() < due:
                    if self._stopped.wait(_POLL):
                        return
                if not kinds:
                    kinds = self._rng.sample(list(self._kinds), len(self._kinds))
                kind = kinds.pop()
                self._kinds[kind]()
                self.faults[kind] += 1
        except Exception as error:
            self.error = error

    def stop(self) -> None:
        """End the thread, with the server up. Raises the error of a fault that could not be injected."""
        self._stopped.set()
        self.join()
        if self.error is not None:
            raise self.error

    def _restart_server(self) -> None:
        self._server.kill()
        time.sleep(_DURATION)
        self._server.start()

    def _exhaust_memory(self) -> None:
        self._server.exhaust_memory()
        time.sleep(_DURATION)
        self._server.free_memory()

    def _demote_server(self) -> None:
        self._server.make_replica()
        time.sleep(_DURATION)
        self._server.make_primary()

    def _signal_worker(self, number: signal.Signals) -> None:
        alive = [process.pid for process in self._workers() if process.exitcode is None and process.pid is not None]
        if alive:
            os.kill(self._rng.choice(alive), number)
