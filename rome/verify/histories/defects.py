"""Stores with a deliberate defect. The checker must find each of them in a history: this tests the checker."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Sequence

from rome.errors import Conflict
from rome.storage.store import Batch, Demand, Fetched, Request, Store, holds_entries

Commit = Callable[[Batch], int]
Fetch = Callable[[Sequence[Request], "int | None"], Fetched]

_SHARE = 0.03
"""The share of commits in which a defect shows that would be too easy to find otherwise."""


def add_defect(store: Store, name: str) -> None:
    """Give a store that is open in this process the defect of that name."""
    commit, fetch = DEFECTS[name](store.commit, store.fetch)
    setattr(store, "commit", commit)  # noqa: B010 - mypy: a method can't be assigned to
    setattr(store, "fetch", fetch)  # noqa: B010


def _no_validation(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Do not validate commits: updates are lost."""
    return lambda batch: commit(dataclasses.replace(batch, checks=())), fetch


def _no_read_validation(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Do not validate what was read and not written: SERIALIZABLE is no more than SNAPSHOT."""

    def commit_unvalidated(batch: Batch) -> int:
        written = {(write.space, write.key) for write in batch.writes}
        checks = [
            check
            for check in batch.checks
            if check.demand is not Demand.UNWRITTEN or (check.space, check.begin) in written
        ]
        return commit(dataclasses.replace(batch, checks=checks))

    return commit_unvalidated, fetch


def _no_snapshots(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Read the newest version in every fetch, and report the version that was requested."""

    def fetch_newest(requests: Sequence[Request], at: int | None = None) -> Fetched:
        newest = fetch(requests, None)
        return newest if at is None else fetch([], at)._replace(answers=newest.answers)

    return commit, fetch_newest


def _stale_reads(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Let some transactions begin at an old version."""

    def fetch_stale(requests: Sequence[Request], at: int | None = None) -> Fetched:
        answer = fetch(requests, at)
        if at is None and answer.version - 6 > answer.catalog_version and _sometimes():
            return fetch(requests, answer.version - 6)
        return answer

    return commit, fetch_stale


def _lost_commits(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Acknowledge some commits without applying them."""

    def commit_or_not(batch: Batch) -> int:
        return fetch([], None).version if _sometimes() else commit(batch)

    return commit_or_not, fetch


def _false_conflicts(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Apply some commits and report a conflict."""

    def commit_and_refuse(batch: Batch) -> int:
        version = commit(batch)
        if _sometimes():
            raise Conflict("injected defect: a conflict of a commit that was applied")
        return version

    return commit_and_refuse, fetch


def _torn_commits(commit: Commit, fetch: Fetch) -> tuple[Commit, Fetch]:
    """Apply a commit in two parts with a short pause between them."""

    def commit_in_parts(batch: Batch) -> int:
        rows = [write for write in batch.writes if not holds_entries(write.space)]
        if len(rows) < 2:
            return commit(batch)
        # Never an entry without its row: a read of it would be an error.
        later = {
            *rows[1:],
            *(write for write in batch.writes if holds_entries(write.space) and write.value is not None),
        }
        commit(dataclasses.replace(batch, writes=[write for write in batch.writes if write not in later]))
        time.sleep(0.003)
        return commit(Batch(batch.token + b"2", writes=[write for write in batch.writes if write in later]))

    return commit_in_parts, fetch


def _sometimes() -> bool:
    return random.random() < _SHARE  # noqa: S311 - no secret


DEFECTS: dict[str, Callable[[Commit, Fetch], tuple[Commit, Fetch]]] = {
    "no-validation": _no_validation,
    "no-read-validation": _no_read_validation,
    "no-snapshots": _no_snapshots,
    "stale-reads": _stale_reads,
    "lost-commits": _lost_commits,
    "false-conflicts": _false_conflicts,
    "torn-commits": _torn_commits,
}
"""Name → a function that wraps a store's commit and fetch."""
