"""The newest commits of a database, and those that come, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from rome.cli.live.watch import row_changes, summary
from rome.cli.values import printable
from rome.database.database import Database
from rome.errors import Error, SnapshotTooOld
from rome.storage.store import CATALOG, Committed
from rome.testing.check.log import oldest_version

_MOST_CHANGES = 20
"""The changes of a commit that are shown."""
SECONDS = 0.5
"""Between two looks at the log."""


class ShownCommit(NamedTuple):
    """A commit: its first changes, each (verb, table, text), and how many there are besides."""

    version: int
    changes: list[tuple[str, str, str]]
    others: int
    changes_schema: bool


def newest_commits(database: Database, most: int) -> list[ShownCommit]:
    """Return the newest commits that the log has, the newest one first."""
    newest = database.store.version()
    since = max(newest - most, oldest_version(database.store, newest))
    try:
        return list(reversed(commits_after(database, since)))
    except SnapshotTooOld:  # others have committed so many meanwhile
        return []


def commits_after(database: Database, version: int) -> list[ShownCommit]:
    """Return the commits after a version, oldest first. Raise SnapshotTooOld."""
    commits = list(database.store.changes(version))
    if not commits:
        return []
    catalog = database.catalog(database.store.fetch([], commits[-1].version))
    return [_shown(commit, catalog) for commit in commits]


def _shown(commit: Committed, catalog: Any) -> ShownCommit:
    changes = list(row_changes([commit], catalog))
    texts = [(each.verb, printable(each.table.name), summary(each)) for each in changes[:_MOST_CHANGES]]
    others = max(0, len(changes) - _MOST_CHANGES)
    return ShownCommit(commit.version, texts, others, any(change.space == CATALOG for change in commit.changes))


async def stream(
    database: Database, since: int | None, render: Callable[[ShownCommit], str], is_over: Callable[[], bool]
) -> AsyncIterator[str]:
    """Yield an event for each commit after a version (None: the newest), rendered as one line of HTML, for ever."""
    version = since if since is not None else await run_in_threadpool(database.store.version)
    yield ": commits\n\n"
    while not is_over():
        try:
            for commit in await run_in_threadpool(commits_after, database, version):
                version = commit.version
                yield f"id: {version}\nevent: commit\ndata: {' '.join(render(commit).split())}\n\n"
        except SnapshotTooOld:
            version = await run_in_threadpool(database.store.version)
        except Error:
            yield ": the store can't be reached\n\n"
        await asyncio.sleep(SECONDS)
        yield ": still there\n\n"  # a browser that has gone is noticed when something is sent
