"""Holds: the names that a process holds, their deadline, and their renewal in the background.

A hold is valid until its *deadline*: one TTL after the last confirmed request was sent. That does not depend on the
renewal thread. If a renewal fails or hangs, or the thread dies, the deadline stays where it is, and the loss is
detected in time by `Hold.check`, by each guarded commit and by the release. A lost hold never becomes valid again, even
if no other owner took the lock.

Row locks are of no use without their transaction. When nothing refers to a hold of them any more, because its
connection was dropped, the background thread releases it; when the process exits, too. (A finalizer may run anywhere,
also while a lock is held, so it only leaves a note.)
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from rome.errors import LockLost
from rome.forks import new_rlock, tell_in_child
from rome.storage.lock_table import LockTable, now

_RENEWALS = 3
"""The number of renewals in one TTL, if none fails."""

_IDLE = 5.0
"""Seconds after which a renewal thread without work ends."""

_LOOK = 0.1
"""Seconds after which the thread looks for holds that were dropped."""

_EXIT_SECONDS = 1.0
"""How long the exit of a process waits until its row locks are released."""

_renewers: weakref.WeakSet[Renewer] = weakref.WeakSet()
"""All of this process."""


class Hold:
    """Names of a lock table that this process holds together.

    `what` is what messages call them. `is_released_when_dropped`: also when the process exits.
    """

    def __init__(self, what: str, ttl: float, is_released_when_dropped: bool = False) -> None:
        self.what = what
        self.ttl = ttl
        self.is_released_when_dropped = is_released_when_dropped
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}".encode("ascii", "replace")
        self.names: list[bytes] = []
        self.token = 0
        self.is_released = False
        self.waits_for: bytes | None = None
        """The name that `LockManager.take` waits for now."""
        self.is_interrupted = False
        """True if the present `LockManager.take`, if there is one, is to end."""
        self.version = 0
        """The last version that former holders can have committed while they held the lock."""
        self.renew_at = now() + ttl / _RENEWALS
        self._deadline = now() + ttl
        self._lost: str | None = None
        self._trouble: Exception | None = None
        self._pid = os.getpid()

    def confirmed(self, sent: float) -> None:
        """Note that the store has confirmed the hold, in its answer to a request that was sent at this time."""
        self._deadline = sent + self.ttl
        self.renew_at = sent + self.ttl / _RENEWALS
        self._trouble = None

    def failed(self, error: Exception) -> None:
        """Note that a renewal failed, and that it is to be repeated soon."""
        self._trouble = error
        self.renew_at = now() + self.ttl / 10

    def lose(self, reason: str) -> None:
        """Mark the hold as lost."""
        self._lost = self._lost or reason

    @property
    def lost(self) -> str | None:
        """The reason why the hold is lost; None while it is valid."""
        if self._pid != os.getpid():
            return "it belongs to the process that this one was forked from"
        if self._lost is None and now() >= self._deadline:
            why = f" (the last renewal failed: {self._trouble})" if self._trouble else ""
            self._lost = f"its TTL of {self.ttl:g} s passed without a renewal{why}"
        return self._lost

    @property
    def is_ours(self) -> bool:
        """True if this process took the hold, not the one that it was forked from."""
        return self._pid == os.getpid()

    def check(self) -> None:
        """Raise LockLost if the hold is lost."""
        reason = self.lost
        if reason is not None:
            raise LockLost(f"{self.what} is lost: {reason}")


class Renewer:
    """Renews the holds of one lock table, from a thread that runs as long as there are any.

    Holds are referenced weakly: one that nothing else refers to is not renewed, and its TTL passes, or it is released.
    """

    def __init__(self, table: LockTable) -> None:
        self._table = table
        self._dropped: deque[tuple[int, Sequence[bytes], bytes]] = deque()
        """The process, the names and the owner of each hold that was dropped and is to be released."""
        self.begin_child()
        tell_in_child(self)
        _renewers.add(self)

    def begin_child(self) -> None:
        """Start without holds and without a thread, as after a fork."""
        self._changed = threading.Condition(new_rlock())
        self._holds: weakref.WeakSet[Hold] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._ended: threading.Event | None = None
        """Is set when the thread has released all that must not outlive the process; None until the process exits."""

    def watch(self, hold: Hold) -> None:
        """Renew a hold from now on."""
        if hold.is_released_when_dropped and hold not in self._holds:
            note = os.getpid(), hold.names, hold.owner
            weakref.finalize(hold, self._dropped.append, note).atexit = False
        with self._changed:
            self._holds.add(hold)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="rome-locks", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def forget(self, hold: Hold) -> None:
        """Stop the renewal of a hold."""
        with self._changed:
            self._holds.discard(hold)

    def end(self) -> None:
        """Release what must not outlive the process, in the thread; wait for that, but not long."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            self._ended = threading.Event()
            with self._changed:
                self._changed.notify()
            self._ended.wait(_EXIT_SECONDS)

    def _run(self) -> None:
        idle = 0.0
        while True:
            self._release_dropped()
            if self._ended is not None:
                self._release_all()
                self._ended.set()
                return
            with self._changed:
                due = [hold for hold in self._holds if hold.renew_at <= now()]
                if not due:
                    pauses = [hold.renew_at - now() for hold in self._holds]
                    self._changed.wait(max(0.0, min([*pauses, _LOOK])))
                idle = 0.0 if self._holds or self._dropped else idle + _LOOK
                if idle >= _IDLE:
                    self._thread = None
                    return
            for hold in due:
                self._renew(hold)

    def _release_dropped(self) -> None:
        while self._dropped:
            process, names, owner = self._dropped.popleft()
            if names and process == os.getpid():
                with suppress(Exception):  # then their TTL releases them
                    self._table.release(names, owner)

    def _release_all(self) -> None:
        for hold in list(self._holds):
            if hold.is_released_when_dropped and hold.lost is None:
                self._dropped.append((os.getpid(), hold.names, hold.owner))
        self._release_dropped()

    def _renew(self, hold: Hold) -> None:
        if hold.lost is not None:
            self.forget(hold)
            return
        sent = now()
        try:
            held = self._table.renew(hold.names, hold.owner, hold.ttl)
        except Exception as error:
            hold.failed(error)
            return
        if held:
            hold.confirmed(sent)
        elif hold in self._holds:  # else it was released meanwhile
            hold.lose("another holder has taken it, or the database was dropped")
            self.forget(hold)


@atexit.register
def _end_renewers() -> None:
    for renewer in list(_renewers):
        renewer.end()
