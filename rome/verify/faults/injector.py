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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from rome.verify.faults.cluster import FaultyCluster
from rome.verify.faults.proxy import Proxy
from rome.verify.faults.server import FaultyServer

_DURATION = 0.3
"""Seconds for which the server is out of memory, a replica, or down."""

_POLL = 0.01


Kinds = Mapping[str, Callable[[], None]]
"""By name, the functions that inject a fault."""


class FaultInjector(threading.Thread):
    """Inject faults. `faults` counts them."""

    def __init__(self, kinds: Kinds, progress: Callable[[], float], count: int, seed: int) -> None:
        """Plan `count` faults. `progress` returns the share of the transactions that are committed, 0 to 1."""
        super().__init__(daemon=True)
        self.faults: Counter[str] = Counter()
        self.error: Exception | None = None
        self._kinds = kinds
        self._progress = progress
        self._count = count
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        self._stopped = threading.Event()

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


def server_faults(server: FaultyServer, proxy: Proxy) -> Kinds:
    """Return the faults of a server and of the connections to it."""

    def restart() -> None:
        server.kill()
        time.sleep(_DURATION)
        server.start()

    def exhaust_memory() -> None:
        server.exhaust_memory()
        time.sleep(_DURATION)
        server.free_memory()

    def demote() -> None:
        server.make_replica()
        time.sleep(_DURATION)
        server.make_primary()

    return {
        "server killed and restarted": restart,
        "server out of memory": exhaust_memory,
        "server a read-only replica": demote,
        "scripts flushed": server.flush_scripts,
        "all connections cut": proxy.cut_all,
    }


def cluster_faults(cluster: FaultyCluster, database: str) -> Kinds:
    """Return the faults of the cluster that has a database. None of them loses an acknowledged commit."""

    def pause() -> None:
        primary = cluster.primary_of(database)
        primary.hang()
        time.sleep(_DURATION)
        primary.resume()

    def move_by_keys() -> None:
        cluster.move_by_keys(database, cluster.another_primary(database))

    return {
        "cluster: failover": lambda: cluster.fail_over(database),
        "cluster: slot moved at once": lambda: cluster.move(database, cluster.another_primary(database)),
        "cluster: slot moved key by key": move_by_keys,
        "cluster: node added, which gets the slot": lambda: cluster.move(database, cluster.add_node()),
        "cluster: primary hung": pause,
        "scripts flushed": lambda: cluster.primary_of(database).flush_scripts(),
        "all connections cut": lambda: cluster.primary_of(database).cut_connections(),
    }


def client_faults(alive: Callable[[], Sequence[int]], seed: int) -> Kinds:
    """Return the faults of the processes that use a database: one is killed, or stopped, at any moment.

    `alive` returns the numbers of those that run.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret

    def send(number: signal.Signals) -> None:
        pids = alive()
        # A process may end before the signal reaches it.
        with suppress(ProcessLookupError):
            if pids:
                os.kill(rng.choice(pids), number)

    return {"client killed": lambda: send(signal.SIGKILL), "client stopped": lambda: send(signal.SIGSTOP)}
