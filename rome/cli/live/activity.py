"""The activity in a database between two looks: commits from its log, statements from what processes publish.

Other processes are seen in two ways. The log has every commit, with its tables. Statements, conflicts and connections
are known of the processes that publish them (`rome.metrics.publish`), and of no other.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rome.catalog.model import Catalog
from rome.cli.opened import as_redis
from rome.database.database import Database
from rome.errors import SnapshotTooOld
from rome.metrics.publisher import ProcessNote, read_notes
from rome.metrics.recorder import StatementTotals
from rome.storage.store import Committed, rows_space

if TYPE_CHECKING:
    from rome.storage.redis.store import RedisStore

ServerValues = dict[str, int]


@dataclass(frozen=True)
class Look:
    """The counts at one moment."""

    at: float
    version: int
    processes: list[ProcessNote]
    server: ServerValues
    """Of a Redis or Valkey server, for all of its databases, if the user may ask: clients, commands, memory."""


@dataclass(frozen=True)
class Activity:
    """The activity between two looks, `seconds` apart."""

    seconds: float
    version: int
    commits: int
    rows: Counter[str] = field(default_factory=Counter)
    """By table: the rows that were written."""
    schema_changes: int = 0
    log_is_too_short: bool = False
    """True if more was committed than the log has: `rows` is incomplete."""
    processes: list[tuple[ProcessNote, dict[str, float]]] = field(default_factory=list)
    """Processes, with their counts since the first look; of a new process, since it began."""
    statements: list[tuple[str, StatementTotals]] = field(default_factory=list)
    """The statements of all processes since each began to publish, those with the most time first."""
    server: ServerValues = field(default_factory=dict)
    commands: int = 0
    """The commands that the server has run since the first look."""

    def total(self, name: str) -> float:
        """Return the sum of a count of all processes."""
        return sum(counts.get(name, 0) for _, counts in self.processes)


def look(database: Database) -> Look:
    """Look at a database. Raise StoreUnavailable."""
    store = database.store
    redis = as_redis(store)
    server = {} if redis is None else _server_values(redis)
    return Look(time.monotonic(), store.version(), read_notes(store), server)


def between(database: Database, first: Look, second: Look) -> Activity:
    """Return what has happened between two looks. Raise StoreUnavailable."""
    commits: list[Committed] = []
    is_too_short = False
    try:
        commits = [each for each in database.store.changes(first.version) if each.version <= second.version]
    except SnapshotTooOld:
        is_too_short = True
    rows, schema_changes = rows_written(commits, database.catalog(database.store.fetch([])))
    before = {process.name: process for process in first.processes}
    return Activity(
        second.at - first.at,
        second.version,
        second.version - first.version,
        rows,
        schema_changes,
        is_too_short,
        [(each, _counts_since(before.get(each.name), each)) for each in second.processes],
        merged_statements(second.processes),
        second.server,
        max(0, second.server.get("commands", 0) - first.server.get("commands", 0) - 1),
    )


def rows_written(commits: Iterable[Committed], catalog: Catalog) -> tuple[Counter[str], int]:
    """Return the number of rows that commits have written, by table, and how many have changed the schema."""
    tables = {rows_space(table.id): table.name for table in catalog.tables.values()}
    rows: Counter[str] = Counter()
    schema_changes = 0
    for commit in commits:
        spaces = [change.space for change in commit.changes]
        schema_changes += b"c" in spaces
        rows.update(tables[space] for space in spaces if space in tables)
    return rows, schema_changes


def merged_statements(processes: Iterable[ProcessNote]) -> list[tuple[str, StatementTotals]]:
    """Return the statements of processes added up, those with the most time first."""
    merged: dict[str, StatementTotals] = {}
    for process in processes:
        for sql, totals in process.statements.items():
            merged.setdefault(sql, StatementTotals()).add(totals)
    return sorted(merged.items(), key=lambda each: -each[1].seconds)


def _counts_since(before: ProcessNote | None, now: ProcessNote) -> dict[str, float]:
    if before is None or before.since != now.since:
        return now.counts
    return {name: number - before.counts.get(name, 0) for name, number in now.counts.items()}


def _server_values(store: RedisStore) -> ServerValues:
    reply: Any = store.ask_server((b"INFO",))[0]
    if isinstance(reply, Exception):
        return {}
    info = dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
    return {
        "clients": int(info["connected_clients"]),
        "commands": int(info["total_commands_processed"]),
        "memory": int(info["used_memory"]),
    }
