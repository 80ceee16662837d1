"""Caches with a deliberate defect. The checker must find each of them in a history: this tests the checker."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from rome.cache.cached import CachedReads
from rome.storage.store import Change, Committed, holds_entries, holds_rows
from rome.storage.tails import Point

_SHARE = 0.2
"""The share of commits in which a defect shows."""

Broken = Callable[[Iterable[Committed]], list[Committed]]
"""From the commits that a follower has received to those that it applies."""


def add_cache_defect(cached: CachedReads, name: str) -> None:
    """Give the follower of a cache that is open in this process the defect of that name."""
    contents, broken = cached._contents, CACHE_DEFECTS[name]()
    advance = contents.advance

    def advance_wrongly(commits: Iterable[Committed], version: int, point: Point) -> None:
        advance(broken(commits), version, point)

    setattr(contents, "advance", advance_wrongly)  # noqa: B010 - mypy: a method can't be assigned to


def _skipped_commits() -> Broken:
    """Do not apply some commits."""
    return lambda commits: [commit for commit in commits if not _sometimes()]


def _missed_absence() -> Broken:
    """Do not notice some new rows, which were known not to exist."""

    def is_noticed(change: Change) -> bool:
        return change.old is not None or not _sometimes()

    return lambda commits: [_only(commit, is_noticed) for commit in commits]


def _stale_ranges() -> Broken:
    """Do not notice some rows and index entries that have come into a range which is known whole."""

    def is_noticed(change: Change) -> bool:
        is_new = change.old is None and (holds_entries(change.space) or holds_rows(change.space))
        return not (is_new and _sometimes())

    return lambda commits: [_only(commit, is_noticed) for commit in commits]


def _torn_commits() -> Broken:
    """Apply one half of some commits with those before, and the other half with later ones."""
    left: list[Committed] = []

    def halves(commits: Iterable[Committed]) -> list[Committed]:
        applied = left.copy()
        left.clear()
        for commit in commits:
            if len(commit.changes) > 1 and _sometimes():
                first = frozenset(commit.changes[::2])
                applied.append(_only(commit, first.__contains__))
                left.append(_only(commit, lambda change, first=first: change not in first))  # type: ignore[misc]
            else:
                applied.append(commit)
        return applied

    return halves


def _only(commit: Committed, keeps: Callable[[Change], bool]) -> Committed:
    return commit._replace(changes=tuple(filter(keeps, commit.changes)))


def _sometimes() -> bool:
    return random.random() < _SHARE  # noqa: S311 - no secret


CACHE_DEFECTS: dict[str, Callable[[], Broken]] = {
    "skipped-commits": _skipped_commits,
    "missed-absence": _missed_absence,
    "stale-ranges": _stale_ranges,
    "torn-follower": _torn_commits,
}
