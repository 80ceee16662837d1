"""Trouble in the midst of a commit, made within the client.

On Redis and Valkey a commit has four steps at which a client can die, or be stopped for a while:

    before      nothing has been sent
    half sent   a part of the request has
    sent        all of it has; there is no answer yet
    answered    the answer has come, and the caller does not know it yet

In memory a commit can't be cut in two; there, answers are lost, and batches are committed twice.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from rome.errors import StoreUnavailable
from rome.storage.redis.store import RedisStore
from rome.storage.store import Batch, Store

STEPS = ("before", "half sent", "sent", "answered")

At = Callable[[str], None]
"""Is called at each step."""


@dataclass(frozen=True, slots=True)
class Hazards:
    """How often a client gets into trouble: in which share of its commits it is killed, stopped, or has no answer."""

    killed: float = 0.0
    stopped: float = 0.0
    lost: float = 0.0

    def beset(self, store: Store, chance: random.Random) -> None:
        """Bring trouble upon the commits of a store that is open in this process."""
        if isinstance(store, RedisStore):
            at_each_step(store, lambda _: self._strike(chance))
        else:
            lose_answers(store, self.lost, chance)

    def _strike(self, chance: random.Random) -> None:
        luck = chance.random() * len(STEPS)
        if luck < self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        elif luck < self.killed + self.stopped:
            os.kill(os.getpid(), signal.SIGSTOP)


def at_each_step(store: RedisStore, at: At) -> None:
    """Have `at` called at each step of each commit of a store."""
    watch = _Watch(at)
    commit = store.commit
    store._server.close()

    def watched_commit(batch: Batch) -> int:
        watch.committing = True
        try:
            at("before")
            version = commit(batch)
            at("answered")
            return version
        finally:
            watch.committing = False

    setattr(store, "commit", watched_commit)  # noqa: B010 - it is a method
    open_socket = store._server.open_socket
    store._server.open_socket = lambda: cast("socket.socket", _WatchedSocket(open_socket(), watch))


@dataclass(slots=True)
class _Watch:
    at: At
    committing: bool = False


class _WatchedSocket:
    """A socket that sends commits in two halves."""

    def __init__(self, opened: socket.socket, watch: _Watch) -> None:
        self._opened = opened
        self._watch = watch
        self.recv_into = opened.recv_into
        self.close = opened.close

    def sendall(self, data: bytes) -> None:
        """Send data; a commit, which is a script, in two steps."""
        if not self._watch.committing or b"EVAL" not in data[:40]:
            self._opened.sendall(data)
            return
        middle = len(data) // 2
        self._opened.sendall(data[:middle])
        self._watch.at("half sent")
        self._opened.sendall(data[middle:])
        self._watch.at("sent")


def lose_answers(store: Store, share: float, chance: random.Random) -> None:
    """A share of commits never arrives, another is applied unanswered, another arrives twice (as if sent again)."""
    commit: Callable[[Batch], Any] = store.commit

    def unreliable_commit(batch: Batch) -> Any:
        luck = chance.random()
        if luck < share:
            raise StoreUnavailable("the request was lost, on purpose")
        version = commit(batch)
        if luck < 2 * share:
            raise StoreUnavailable("the answer was lost, on purpose")
        if luck < 3 * share and commit(batch) != version:
            raise AssertionError("a batch that was committed twice was applied twice")
        return version

    setattr(store, "commit", unreliable_commit)  # noqa: B010 - it is a method
