"""Faults in the middle of a commit, injected into the client.

On Redis and Valkey a commit has four steps at which a client can be killed or stopped:

    before      nothing is sent
    half sent   a part of the request is sent
    sent        the whole request is sent; there is no response yet
    answered    the response has arrived; the caller does not have it yet

A memory store has no such steps. There, responses are lost and batches are committed twice.
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

StepHook = Callable[[str], None]
"""Called with the name of each step."""


@dataclass(frozen=True, slots=True)
class FaultRates:
    """The share of commits at which a client is killed, is stopped, or gets no response."""

    killed: float = 0.0
    stopped: float = 0.0
    lost: float = 0.0

    def install(self, store: Store, rng: random.Random) -> None:
        """Inject these faults into the commits of a store that is open in this process."""
        if isinstance(store, RedisStore):
            call_at_each_step(store, lambda _: self._signal_self(rng))
        else:
            lose_responses(store, self.lost, rng)

    def _signal_self(self, rng: random.Random) -> None:
        draw = rng.random() * len(STEPS)
        if draw < self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        elif draw < self.killed + self.stopped:
            os.kill(os.getpid(), signal.SIGSTOP)


def call_at_each_step(store: RedisStore, hook: StepHook) -> None:
    """Call `hook` at each step of each commit of a store."""
    state = _CommitState(hook)
    commit = store.commit
    store._server.close()

    def commit_in_steps(batch: Batch) -> int:
        state.committing = True
        try:
            hook("before")
            version = commit(batch)
            hook("answered")
            return version
        finally:
            state.committing = False

    setattr(store, "commit", commit_in_steps)  # noqa: B010 - mypy: a method can't be assigned to
    open_socket = store._server.open_socket
    store._server.open_socket = lambda: cast("socket.socket", _SteppedSocket(open_socket(), state))


@dataclass(slots=True)
class _CommitState:
    """Tells the connection whether what it sends is a commit."""

    hook: StepHook
    committing: bool = False


class _SteppedSocket:
    """A socket that sends commits in two halves and calls the hook after each."""

    def __init__(self, opened: socket.socket, state: _CommitState) -> None:
        self._opened = opened
        self._state = state
        self.recv_into = opened.recv_into
        self.close = opened.close

    def sendall(self, data: bytes) -> None:
        """Send a request; a commit, which is a script, in two halves."""
        if not self._state.committing or b"EVAL" not in data[:40]:
            self._opened.sendall(data)
            return
        middle = len(data) // 2
        self._opened.sendall(data[:middle])
        self._state.hook("half sent")
        self._opened.sendall(data[middle:])
        self._state.hook("sent")


def lose_responses(store: Store, share: float, rng: random.Random) -> None:
    """Lose requests and responses of a store's commits.

    Of all commits, one `share` is not applied, another is applied without a response, and another is applied twice, as
    if the client had sent it again.
    """
    commit: Callable[[Batch], Any] = store.commit

    def unreliable_commit(batch: Batch) -> Any:
        draw = rng.random()
        if draw < share:
            raise StoreUnavailable("injected fault: the request was lost")
        version = commit(batch)
        if draw < 2 * share:
            raise StoreUnavailable("injected fault: the response was lost")
        if draw < 3 * share and commit(batch) != version:
            raise AssertionError("a batch that was committed twice was applied twice")
        return version

    setattr(store, "commit", unreliable_commit)  # noqa: B010 - mypy: a method can't be assigned to
