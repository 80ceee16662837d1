"""Stores with a fault, made by spoiling a right one. A history of each must be found out: that tests the proof."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Sequence

from rome.errors import Conflict
from rome.storage.store import Batch, Demand, Fetched, Request, Store, holds_entries

Commit = Callable[[Batch], int]
Fetch = Callable[[Sequence[Request], "int | None"], Fetched]

_SELDOM = 0.03
"""The share of commits that go wrong in faults that would be too easy to find otherwise."""


def plant(store: Store, fault: str) -> None:
    """Spoil a store that is open in this process."""
    disable_replay = PLANTED[fault]
    commit, fetch = disable_replay(store.commit, store.fetch)
    setattr(store, "commit", commit)  # noqa: B010 - a method of a Protocol is not assigned to
    setattr(store, "fetch", fetch)  # noqa: B010


def _unchecked(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Commits are not validated: updates are lost."""
    return lambda batch: commit(dataclasses.replace(batch, checks=())), fetch


def _unguarded(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """What was read and not written is not validated: SERIALIZABLE is no more than SNAPSHOT."""

    def commit_unguarded(batch: Batch) -> int:
        written = {(write.space, write.key) for write in batch.writes}
        checks = [
            check
            for check in batch.checks
            if check.demand is not Demand.UNWRITTEN or (check.space, check.begin) in written
        ]
        return commit(dataclasses.replace(batch, checks=checks))

    return commit_unguarded, fetch


def _newest(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """There are no snapshots: every fetch reads the newest version, and calls it the one that was asked for."""

    def fetch_newest(requests: Sequence[Request], at: int | None = None) -> Fetched:
        newest = fetch(requests, None)
        return newest if at is None else fetch([], at)._replace(answers=newest.answers)

    return commit, fetch_newest


def _stale(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """New transactions may begin in the past."""

    def fetch_late(requests: Sequence[Request], at: int | None = None) -> Fetched:
        answer = fetch(requests, at)
        if at is None and answer.version - 6 > answer.catalog and _happens():
            return fetch(requests, answer.version - 6)
        return answer

    return commit, fetch_late


def _forgetful(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Some commits are acknowledged and not applied."""

    def commit_or_not(batch: Batch) -> int:
        return fetch([], None).version if _happens() else commit(batch)

    return commit_or_not, fetch


def _lying(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Some commits are applied and refused."""

    def commit_and_refuse(batch: Batch) -> int:
        version = commit(batch)
        if _happens():
            raise Conflict("a conflict that is none")
        return version

    return commit_and_refuse, fetch


def _halved(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """A commit is applied in two parts, a moment apart."""

    def commit_in_parts(batch: Batch) -> int:
        rows = [write for write in batch.writes if not holds_entries(write.space)]
        if len(rows) < 2:
            return commit(batch)
        later = set(rows[1:])
        commit(dataclasses.replace(batch, writes=[write for write in batch.writes if write not in later]))
        time.sleep(0.003)
        return commit(Batch(batch.token + b"2", writes=rows[1:]))

    return commit_in_parts, fetch


def _happens() -> bool:
    return random.random() < _SELDOM  # noqa: S311 - no secret


PLANTED: dict[str, Callable[[Commit, Fetch], tuple[Commit, Fetch]]] = {
    "unchecked": _unchecked,
    "unguarded": _unguarded,
    "newest": _newest,
    "stale": _stale,
    "forgetful": _forgetful,
    "lying": _lying,
    "halved": _halved,
}
"""Name → how to spoil commit and fetch."""
