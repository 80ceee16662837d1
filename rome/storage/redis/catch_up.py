"""Validate what an old transaction has read here, up to a recent version, so that the server searches no long log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rome.storage.columns import Checks, checks_of
from rome.storage.redis.reads import State
from rome.storage.store import OF_PRESENT, Batch, Check, Demand, Fetched, Get, Request, conflict, history_lost
from rome.storage.tails import Tail
from rome.storage.undo import Present


class CatchUp:
    """Brings the checks of batches up to date."""

    def __init__(
        self,
        state: Callable[[], State],
        tail_of: Callable[[int, Sequence[bytes]], tuple[Present, Tail]],
        fetch_at: Callable[[Sequence[Request], int], Fetched],
    ) -> None:
        """`state` reads the newest state, `fetch_at` answers requests at a version.

        `tail_of` returns the tail of a version, which reaches the newest one for some spaces.
        """
        self._state = state
        self._tail_of = tail_of
        self._fetch_at = fetch_at

    def catch_up(self, batch: Batch) -> Batch:
        """Validate the checks of a batch up to a recent version; return the batch with checks since then.

        Raise Conflict, SnapshotTooOld, HistoryLost.
        """
        state = self._state()
        seen = dict(batch.seen)

        def is_left(since: int, demand: Demand) -> bool:
            return demand in OF_PRESENT or not state.horizon <= since < state.version

        of_ranges, of_keys = checks_of(batch)
        ranges = [check for check in of_ranges if is_left(check.since, check.demand)]
        keys: dict[tuple[bytes, int, Demand], list[bytes]] = {}
        moved: dict[int, list[Check]] = {}
        for check in of_ranges:
            if not is_left(check.since, check.demand):
                moved.setdefault(check.since, []).append(check)
        for kind, of_kind in of_keys.items():
            _, since, demand = kind
            if is_left(since, demand):
                keys[kind] = [*of_kind]
            else:
                # Others have committed since: look at each key.
                moved.setdefault(since, []).extend(Checks((), {kind: of_kind}))
        for since, mine in moved.items():
            present, tail = self._tail_of(since, list({check.space for check in mine}))
            digest = present.point.digest
            if batch.seen.get(since, digest) != digest:
                raise history_lost(since)
            version, newest_digest = tail.seen
            self._validate(mine, tail, version)
            seen[version] = newest_digest or b""
            later_ranges, later_keys = checks_of(Batch(b"", [check._replace(since=version) for check in mine]))
            ranges += later_ranges
            for kind, of_kind in later_keys.items():
                keys.setdefault(kind, []).extend(of_kind)
        return replace(batch, checks=Checks(ranges, keys), seen=seen)

    def _validate(self, checks: Sequence[Check], tail: Tail, version: int) -> None:
        """Raise Conflict if the commits of a tail, up to a version, fail a check."""
        touched: dict[bytes, dict[bytes, None]] = {}
        for check in checks:
            keys = tail.written(check.space, (check.begin, check.end))
            if keys and check.demand is Demand.UNWRITTEN:
                raise conflict(check.space, keys[0], check.demand, check.since)
            if keys:
                touched.setdefault(check.space, {}).update(dict.fromkeys(keys))
        requests = [Get(space, tuple(keys)) for space, keys in touched.items()]
        answers = self._fetch_at(requests, version).answers if requests else ()
        for (space, its_keys), values in zip(touched.items(), answers, strict=True):
            for key, value in zip(its_keys, values, strict=True):
                if (value is None) != (tail.of(space)[key] is None):
                    raise conflict(space, key, Demand.SAME_KEYS, tail.at)
