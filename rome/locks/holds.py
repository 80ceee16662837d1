"""Holds: the names that a process holds, their deadline, and their renewal in the background.

A hold is valid until its *deadline*: one TTL after the last confirmed request was sent. That does not depend on the
renewal thread. If a renewal fails or hangs, or the thread dies, the deadline stays where it is, and the loss is
detected in time by `Hold.check`, by each guarded commit and by the release. A lost hold never becomes valid again, even
if no other owner took the lock.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
import weakref

from rome.errors import LockLost
from rome.forks import new_rlock, tell_in_child
from rome.storage.lock_table import LockTable, now

_RENEWALS = 3
"""The number of renewals in one TTL, if none fails."""

_IDLE = 5.0
"""Seconds after which a renewal thread without work ends."""


class Hold:
    """Names of a lock table that this process holds together. `what` is what messages call them."""

    def __init__(self, what: str, ttl: float) -> None:
        self.what = what
        self.ttl = ttl
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

    Holds are referenced weakly: one that nothing else refers to is not renewed, and its TTL passes.
    """

    def __init__(self, table: LockTable) -> None:
        self._table = table
        self.begin_child()
        tell_in_child(self)

    def begin_child(self) -> None:
        """Start without holds and without a thread, as after a fork."""
        self._changed = threading.Condition(new_rlock())
        self._holds: weakref.WeakSet[Hold] = weakref.WeakSet()
        self._thread: threading.Thread | None = None

    def watch(self, hold: Hold) -> None:
        """Renew a hold from now on."""
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

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._holds and not self._changed.wait(_IDLE) and not self._holds:
                    self._thread = None
                    return
                due = [hold for hold in self._holds if hold.renew_at <= now()]
                if not due:
                    pauses = [hold.renew_at - now() for hold in self._holds]
                    self._changed.wait(max(0.0, min(pauses, default=0.0)))
            for hold in due:
                self._renew(hold)

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
