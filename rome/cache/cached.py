"""Reads that the cache answers, and commits that it learns from.

    fetch      from the contents, without a round trip, if they are fresh; else from the store
    commit     to the store; then the contents have it, too, before `commit` returns

The contents are fresh if the follower has found them to be the newest at most `staleness` seconds ago. What they can't
answer is asked of the store, at their version. If they are not fresh, the newest version is read.

Whoever reads after a commit of this process sees it: if the contents can't take it over, because others have committed
in between, then nothing is read from them until the follower has caught up. The same holds after a Conflict, so that
the transaction sees what it has conflicted with when it runs again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rome.cache.bound import DEFAULT, ReadBound
from rome.cache.contents import MISSING, Contents
from rome.cache.follower import Follower
from rome.cache.options import CacheOptions
from rome.cache.predictions import Predictions
from rome.errors import Conflict, HistoryLost, SnapshotTooOld
from rome.forks import new_lock, tell_in_child
from rome.storage.store import AwaitsCommits, Batch, Draw, Fetched, Request, Store, history_lost
from rome.storage.tails import Point, point_of

_MOST_AWAITED = 1000
"""Spaces whose commits wake the follower; those of others are seen at the next interval."""


class CacheStats:
    """Counts of what a cache has done."""

    def __init__(self) -> None:
        self.hits = 0
        """Requests that were answered without the store."""
        self.misses = 0
        self.refusals = 0
        """Commits that the store has refused because of what others wrote."""


class CachedReads:
    """The reads and commits of one process to a database, with its cache. Threads share it."""

    def __init__(self, store: Store, followed: Store, options: CacheOptions, *, may_be_replica: bool = False) -> None:
        """`followed`: another connection to the same database, for the follower.

        `may_be_replica`: the store may answer with an older version than `followed`.
        """
        self.staleness = options.staleness
        self.stats = CacheStats()
        self._store = store
        self._contents = Contents(options.most_bytes)
        self.predictions = Predictions()
        self._lock = new_lock()
        self._heard = 0.0
        """The time at which the contents were known to be the newest, by `time.monotonic()`."""
        self._not_before = 0.0
        """Contents that were the newest before this time are too old."""
        self._floor = 0
        """The newest version that was read: reads do not go back before it."""
        self._followed = followed
        self._primary = followed if may_be_replica else store
        self._follower = Follower(self)
        tell_in_child(self)

    @property
    def size(self) -> int:
        """The estimated bytes of the contents in memory."""
        with self._lock:
            return self._contents.size

    @property
    def age(self) -> float | None:
        """The seconds since the contents were known to be the newest; None if nothing is kept yet."""
        return time.monotonic() - self._heard if self._heard else None

    @property
    def most_bytes(self) -> int:
        """The bound of the contents in memory."""
        return self._contents.most_bytes

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def fetch(
        self,
        requests: Sequence[Request],
        at: int | None = None,
        draws: Sequence[Draw] = (),
        read_bound: ReadBound = DEFAULT,
    ) -> Fetched:
        """Answer requests as `Store.fetch` does, without a round trip if the cache can; then nothing is drawn.

        `at`: None for a version that is as fresh as `read_bound` wants. Raise what `Store.fetch` raises.
        """
        version = at if at is not None or not self._is_fresh(read_bound) else self._contents.version
        if version is None:
            return self._ask_newest(requests, draws, read_bound)
        found = self._find(requests, version)
        if found is None:
            return self._ask_newest(requests, draws, read_bound) if at is None else self._ask(requests, at, draws)
        answers = found.answers
        missing = [place for place, answer in enumerate(answers) if answer is MISSING]
        self.stats.hits += len(answers) - len(missing)
        self._follower.note_use()
        if not missing:
            return found
        try:
            fetched = self._ask([requests[place] for place in missing], version, draws)
        except SnapshotTooOld:
            if at is not None:
                raise
            return self._ask_newest(requests, draws, read_bound)
        for place, answer in zip(missing, fetched.answers, strict=True):
            answers[place] = answer
        return fetched._replace(answers=answers)

    def _is_fresh(self, read_bound: ReadBound) -> bool:
        staleness, after = read_bound
        allowed = self.staleness if staleness is None else staleness
        heard = self._heard
        return (
            heard > self._not_before
            and time.monotonic() - heard <= allowed
            and (self._contents.version or 0) >= max(after, self._floor)
        )

    def _find(self, requests: Sequence[Request], version: int) -> Fetched | None:
        """Return what the contents answer as of a version, with MISSING for the rest; None if they can't know it."""
        contents = self._contents
        with self._lock:
            point = contents.point(version)
            if point is None:
                return None
            answers = contents.answers(requests, version)
        return Fetched(version, point.catalog_version, answers, point.incarnation, point.digest, point.catalog_digest)

    def _ask_newest(self, requests: Sequence[Request], draws: Sequence[Draw], read_bound: ReadBound) -> Fetched:
        """Fetch the newest version; from the primary, if what a replica has may be too old. Raise HistoryLost."""
        oldest = max(read_bound.after, self._floor)
        if read_bound.staleness != 0.0 or self._primary is self._store:
            fetched = self._ask(requests, None, draws)
            if fetched.version >= oldest:
                return fetched
        fetched = self._ask(requests, None, draws, self._primary)
        if fetched.version < oldest:
            self.forget()
            raise history_lost(oldest)
        return fetched

    def _ask(
        self, requests: Sequence[Request], at: int | None, draws: Sequence[Draw], store: Store | None = None
    ) -> Fetched:
        """Fetch from the store, or from another one, and learn the answers."""
        self.stats.misses += len(requests)
        self._follower.start()
        store = store or self._store
        fetched = store.fetch(requests, at, draws) if draws else store.fetch(requests, at)
        with self._lock:
            answers = self._contents.learn(requests, fetched)
            if at is None and fetched.version > self._floor:
                self._floor = fetched.version
        return fetched._replace(answers=answers)

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def commit(self, batch: Batch) -> int:
        """Commit a batch as `Store.commit` does. Its writes are in the cache when this returns."""
        try:
            version = self._store.commit(batch)
        except BaseException as error:
            self.stats.refusals += isinstance(error, Conflict)
            self.demand_newer()
            raise
        if batch.writes or batch.drops or batch.empties:
            with self._lock:
                is_applied = not batch.empties and self._contents.advance_by(batch, version, self._store.digest_after)
            if not is_applied:
                self.demand_newer()
        return version

    def demand_newer(self) -> None:
        """Read nothing from the contents until the follower has asked the store again."""
        self._not_before = time.monotonic()
        self._follower.wake()

    # ── following ─────────────────────────────────────────────────────────────────────────────────────────────────

    def await_commit(self, seconds: float) -> bool:
        """Wait for a commit that concerns the contents. Return False at once if the store can't. Raise its errors."""
        with self._lock:
            version, spaces = self._contents.version, self._contents.spaces
        if version is None or not spaces or not isinstance(self._followed, AwaitsCommits):
            return False
        self._followed.await_commit(version, spaces[:_MOST_AWAITED], seconds)
        return True

    def release(self) -> None:
        """Close the connections of the follower, which has ended."""
        self._followed.close()

    def follow(self) -> None:
        """Bring the contents to the newest version. Raise StoreUnavailable and other errors of the store."""
        began = time.monotonic()
        newest = self._followed.fetch([])
        point = point_of(newest)
        with self._lock:
            version = self._contents.version
            known = None if version is None else self._contents.point(version)
            if version is None or known is None:
                self._contents.begin(newest.version, point)
        if version is not None and known is not None and not self._follow_from(version, known, newest):
            with self._lock:
                self._contents.begin(newest.version, point)
        self._heard = began

    def _follow_from(self, version: int, known: Point, newest: Fetched) -> bool:
        """Bring the contents from their version to the newest. Return False if they can't be brought there."""
        if newest.version == version:
            return newest.digest == known.digest and newest.incarnation == known.incarnation
        if newest.version < version:
            # A commit of this process may have come since; then the next round will confirm it.
            return self._is_past(version, known)
        try:
            commits = [each for each in self._followed.changes(version) if each.version <= newest.version]
        except (SnapshotTooOld, HistoryLost):
            return False
        # The server may have lost commits, and given their versions again, since the first round.
        if len(commits) != newest.version - version or not (
            self._is_past(version, known) and self._is_past(newest.version, point_of(newest))
        ):
            return False
        self.predictions.note_commits(commits)
        with self._lock:
            self._contents.advance(commits, newest.version, point_of(newest))
        return True

    def _is_past(self, version: int, known: Point) -> bool:
        """Return True if a version is in the database's past."""
        try:
            found = self._followed.fetch([], version)
        except SnapshotTooOld:
            return False
        return found.digest == known.digest and found.incarnation == known.incarnation

    def close(self) -> None:
        """Stop following, and forget everything. A cache that is used again begins anew."""
        self._follower.stop()
        self.release()
        self._forget()

    def forget(self) -> None:
        """Forget everything: the database was dropped or has lost commits."""
        self._forget()
        self.demand_newer()

    def begin_child(self) -> None:
        """Begin anew in a forked child, which has no follower."""
        self._follower = Follower(self)
        self._forget()

    def _forget(self) -> None:
        with self._lock:
            self._heard = 0.0
            self._floor = 0
            self._contents.clear()
