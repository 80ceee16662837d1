"""Run the clients of a soak, kill some, restart the server, watch the memory, and check the database."""

from __future__ import annotations

import multiprocessing
import random
import tempfile
import time
from collections.abc import MutableSequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import rome
from rome.errors import InternalError
from rome.testing.check import check_database
from rome.testing.child_processes import guarded
from rome.verify.faults.server import FaultyServer, faulty_server
from rome.verify.soak.work import ACCOUNTS, BALANCE, SCHEMA, work

WARM_UP = 60.0
"""Seconds until the caches of a client are full."""
_KILL_EVERY = 5.0
_RESTARTS = 2
_POLL = 0.5
_PAGE = 4096
_MIB = 1024 * 1024


@dataclass(slots=True)
class SoakResult:
    """The result of a soak. `growths`: by client that lived, MiB of memory after the warm-up and at the end."""

    transactions: int = 0
    killed: int = 0
    restarts: int = 0
    growths: list[tuple[float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def run_soak(seconds: float, processes: int) -> SoakResult:
    """Run a soak on a temporary server. Clients of odd numbers are killed now and then, those of even ones live.

    Raise InternalError if a client ends by itself.
    """
    with tempfile.TemporaryDirectory(prefix="rome-soak-") as folder, faulty_server(Path(folder)) as server:
        url = server.url("soak")
        _fill(url)
        result = SoakResult()
        with ExitStack() as stack:
            clients = _Clients(url, processes, stack)
            _watch(clients, server, seconds, result)
            result.transactions = sum(clients.done)
        result.faults = [*check_database(url), *_check_balances(url)]
        return result


def _watch(clients: _Clients, server: FaultyServer, seconds: float, result: SoakResult) -> None:
    rng = random.Random(0)  # noqa: S311 - no secret
    begin = time.monotonic()
    restarts = [begin + seconds * (number + 1) / (_RESTARTS + 1) for number in range(_RESTARTS)]
    kill_at = begin + _KILL_EVERY
    warm: list[float] = []
    while (now := time.monotonic()) < begin + seconds:
        if restarts and now > restarts[0]:
            del restarts[0]
            server.kill()
            server.start()
            result.restarts += 1
        if now > kill_at:
            kill_at = now + _KILL_EVERY
            result.killed += clients.kill_one(rng)
        if not warm and now > begin + min(WARM_UP, seconds / 2):
            warm = clients.memory()
        clients.demand_alive()
        time.sleep(_POLL)
    result.growths = list(zip(warm, clients.memory(), strict=True))


class _Clients:
    """The processes, by slot."""

    def __init__(self, url: str, size: int, stack: ExitStack) -> None:
        """Start them. `stack` kills them at its end."""
        self._url = url
        self._stack = stack
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["rome.verify.soak.work", "rome.storage.redis"])
        self.done: MutableSequence[int] = self._context.RawArray("q", size)
        self._started = 0
        self._running = [self._start(slot) for slot in range(size)]

    def _start(self, slot: int) -> BaseProcess:
        self._started += 1
        process: BaseProcess = self._context.Process(target=work, args=(self._url, self._started, slot, self.done))
        process.daemon = True
        return self._stack.enter_context(guarded(process))

    def kill_one(self, rng: random.Random) -> int:
        """Kill one of the clients that may be killed and start another one. Return the number that were killed."""
        slots = range(1, len(self._running), 2)
        if not slots:
            return 0
        slot = rng.choice(slots)
        self._running[slot].kill()
        self._running[slot].join()
        self._running[slot] = self._start(slot)
        return 1

    def demand_alive(self) -> None:
        """Raise InternalError if a client has ended."""
        for slot, process in enumerate(self._running):
            if process.exitcode is not None:
                raise InternalError(f"client {slot} ended by itself: {process.exitcode}; its error is printed above")

    def memory(self) -> list[float]:
        """Return the resident memory, in MiB, of each of the clients that live."""
        pages = [Path(f"/proc/{process.pid}/statm").read_text().split()[1] for process in self._running[::2]]
        return [int(number) * _PAGE / _MIB for number in pages]


def _fill(url: str) -> None:
    with closing(rome.connect(url)) as connection:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.executemany("INSERT INTO accounts VALUES (?, ?)", [(number, BALANCE) for number in range(ACCOUNTS)])
        connection.commit()


def _check_balances(url: str) -> list[str]:
    with closing(rome.connect(url)) as connection:
        row: Any = connection.execute("SELECT sum(balance) FROM accounts").fetchone()
        broken: list[Any] = connection.execute("PRAGMA foreign_key_check").fetchall()
    found = [f"a note without an account: {row}" for row in broken]
    if row[0] != ACCOUNTS * BALANCE:
        found.append(f"the balances are {row[0]} together, not {ACCOUNTS * BALANCE}")
    return found
