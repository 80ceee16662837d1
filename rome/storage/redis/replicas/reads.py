"""`read_from=replica`: fetches go to the nearest replica, all that writes to the primary.

A transaction that begins reads the version that the replica has, if that one is new enough (`freshness`). The replica
is asked again for a short time if it is not; then the primary is. What a transaction has read of a replica is as valid
as what it has read of the primary a moment ago: the commit goes to the primary, which validates all checks. So writers
keep their isolation level.

To the primary go
    * fetches that draw ids, which are writes: a transaction that begins by an INSERT reads the primary's version;
    * the first transaction after a commit was refused: to repeat one with old rows would be of no use;
    * fetches at a version that the replica has not reached, or does not have;
    * for a while, all fetches after the replica could not be reached.

Locks are taken at the primary. The version at that time counts as read, so that what the former holder wrote is seen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rome import waits
from rome.errors import Conflict, NotReplicated, SnapshotTooOld, StoreUnavailable
from rome.forks import new_lock
from rome.storage.lock_table import Attempt, LockTable
from rome.storage.redis.address import Address, replica_of
from rome.storage.redis.locks import RedisLocks
from rome.storage.redis.replicas.freshness import Freshness
from rome.storage.redis.store import RedisStore
from rome.storage.store import Batch, Draw, Fetched, Request

_PAUSES = (0.0005, 0.001, 0.002, 0.004, 0.008)
"""Seconds to wait for a replica that has not reached a version, one after the other."""

_REST = 1.0
"""Seconds for which a replica that could not be reached is not asked."""


class ReplicaReads(RedisStore):
    """A Store on a primary, and on replicas that answer its fetches."""

    def __init__(self, address: Address) -> None:
        """Connect to the primary. Raise StoreUnavailable."""
        super().__init__(address)
        self._replica: RedisStore | None = None
        self._freshness = Freshness(address.staleness)
        self._opening = new_lock()
        self._reached = 0
        """The newest version that the replica has answered; 0 if that was not new enough."""
        self._rests_until = 0.0
        self._was_refused = False
        """True if a commit was refused since the primary was asked last."""

    def fetch(self, requests: Sequence[Request], at: int | None = None, draws: Sequence[Draw] = ()) -> Fetched:
        """Answer all requests from one version, and take numbers of counters. Raise as `RedisStore.fetch` does."""
        if not draws and not self._was_refused and time.monotonic() >= self._rests_until:
            least = self._least() if at is None else 0
            try:
                fetched = self._ask_replica(requests, least) if at is None else self._ask_replica_at(requests, at)
            except StoreUnavailable:
                fetched = None
                self._rests_until = time.monotonic() + _REST
            if fetched is not None:
                self._freshness.note(fetched.version)
                return fetched
        if at is not None:
            return super().fetch(requests, at, draws)
        begun, self._was_refused = self._freshness.begin_sample(), False
        fetched = super().fetch(requests, None, draws)
        self._freshness.end_sample(begun, fetched)
        return fetched

    def commit(self, batch: Batch) -> int:
        """Apply a batch at the primary. Raise as `RedisStore.commit` does."""
        try:
            version = super().commit(batch)
        except NotReplicated as error:
            self._freshness.note(error.version)
            raise
        except (Conflict, SnapshotTooOld):
            self._was_refused = True
            raise
        self._freshness.note(version)
        return version

    def lock_table(self) -> LockTable:
        """Return the lock table of the database, at the primary."""
        return _Locks(self)

    def close(self) -> None:
        """Close the connections. A store that is used again connects again."""
        super().close()
        if self._replica is not None:
            self._replica.close()

    def _least(self) -> int:
        """Return the version that an answer must have reached: sometimes a round trip to the primary."""
        least = self._freshness.least()
        if least is None:
            begun = self._freshness.begin_sample()
            least = self._freshness.end_sample(begun, super().fetch([]))
        return least

    def _ask_replica(self, requests: Sequence[Request], least: int) -> Fetched | None:
        """Return the replica's answer if it has reached a version, None if the primary is to be asked."""
        replica, freshness = self._opened(), self._freshness
        fetched = replica.fetch(requests)
        for pause in _PAUSES:
            if freshness.suffices(fetched, least):
                break
            waits.sleep(pause)
            if replica.version() >= least:
                fetched = replica.fetch(requests)
        suffices = freshness.suffices(fetched, least)
        self._reached = fetched.version if suffices else 0
        return fetched if suffices else None

    def _ask_replica_at(self, requests: Sequence[Request], at: int) -> Fetched | None:
        """Return the replica's answer as of a version; None if it does not have it."""
        if at > self._reached:
            return None
        try:
            return self._opened().fetch(requests, at)
        except SnapshotTooOld:
            return None  # another replica may answer now, which has not reached the version

    def _opened(self) -> RedisStore:
        return self._replica or waits.call(self._open)

    def _open(self) -> RedisStore:
        with self._opening:
            if self._replica is None:
                self._replica = RedisStore(replica_of(self._address), self.stats)
            return self._replica


class _Locks(RedisLocks):
    """The lock table of a database that is read at replicas."""

    def __init__(self, store: ReplicaReads) -> None:
        super().__init__(store._server, store._layout, store._address)
        self._freshness = store._freshness

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """Take names in order, up to the first that another owner holds; with `skip`, leave those out."""
        attempt = super().acquire(names, owner, ttl, skip)
        self._freshness.note(attempt.version)
        return attempt
