"""The metrics, and how events add to them.

    name                              labels                       of
    rome_statements_total             database, verb, outcome      statements
    rome_statement_seconds            database, verb               their times
    rome_statement_rounds             database, verb               their round trips to the store
    rome_rows_total                   database                     the rows that they returned or changed
    rome_commits_total                database, outcome            commits: committed, conflict, failed
    rome_commit_seconds               database                     their times
    rome_commit_keys                  database                     the keys that they wrote
    rome_commit_bytes                 database                     the bytes of these
    rome_replays_total                database, outcome            replays: committed, refused
    rome_retries_total                                             transactions run again by `rome.orm.retry`
    rome_lock_wait_seconds                                         waits for locks that were not free
    rome_plan_cache_hits_total        database                     plans that were found
    rome_plan_cache_misses_total      database                     plans that were made
    rome_store_rounds_total           database                     all round trips of this process
    rome_store_bytes_total            database                     the bytes that were sent and received
    rome_cache_hits_total             database                     requests that were answered without the store
    rome_cache_misses_total           database                     requests that were not
    rome_cache_refusals_total         database                     commits refused because of what others wrote
    rome_cache_age_seconds            database                     how old the snapshot is that is read
    rome_cache_bytes                  database                     the memory of what is kept

The last nine are read from what the databases of this process count anyway (`of_databases`). Those of the cache are of
URLs with `staleness`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rome.database.registry import known_databases
from rome.errors import Conflict
from rome.events import CommitEnded, Event, LockWaited, ReplayEnded, Retried, StatementEnded
from rome.url import URL


class Metric(NamedTuple):
    """A metric. `bounds`: the upper bounds of the buckets of a histogram; none for a counter or a gauge."""

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()
    unit: str = ""


Measurement = tuple[Metric, tuple[str, ...], Sequence[float]]
"""Numbers to add to a metric, with the values of its labels."""

_SECONDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_ROUNDS = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
_KEYS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 10_000.0, 100_000.0)
_BYTES = (100.0, 1000.0, 10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0)

STATEMENTS = Metric("rome_statements", "Statements.", ("database", "verb", "outcome"))
STATEMENT_SECONDS = Metric("rome_statement_seconds", "Times of statements.", ("database", "verb"), _SECONDS, "s")
STATEMENT_ROUNDS = Metric(
    "rome_statement_rounds", "Round trips of statements to the store.", ("database", "verb"), _ROUNDS
)
ROWS = Metric("rome_rows", "Rows that statements have returned or changed.", ("database",))
COMMITS = Metric("rome_commits", "Commits that were sent to the store.", ("database", "outcome"))
COMMIT_SECONDS = Metric("rome_commit_seconds", "Times of commits.", ("database",), _SECONDS, "s")
COMMIT_KEYS = Metric("rome_commit_keys", "Keys (rows and index entries) written by a commit.", ("database",), _KEYS)
COMMIT_BYTES = Metric("rome_commit_bytes", "Bytes of the keys and values of a commit.", ("database",), _BYTES, "By")
REPLAYS = Metric("rome_replays", "Transactions run again by ROME after a conflict.", ("database", "outcome"))
RETRIES = Metric("rome_retries", "Transactions run again by rome.orm.retry after a conflict.", ())
LOCK_WAITS = Metric("rome_lock_wait_seconds", "Waits for locks that were not free.", (), _SECONDS, "s")
PLAN_HITS = Metric("rome_plan_cache_hits", "Statements whose plan was in the cache.", ("database",))
PLAN_MISSES = Metric("rome_plan_cache_misses", "Statements whose plan had to be made.", ("database",))
STORE_ROUNDS = Metric("rome_store_rounds", "Round trips to the store.", ("database",))
STORE_BYTES = Metric("rome_store_bytes", "Bytes sent to the store and received.", ("database",), (), "By")
CACHE_HITS = Metric("rome_cache_hits", "Requests that were answered without the store.", ("database",))
CACHE_MISSES = Metric("rome_cache_misses", "Requests that the cache could not answer.", ("database",))
CACHE_REFUSALS = Metric("rome_cache_refusals", "Commits refused because of what others wrote.", ("database",))
CACHE_AGE = Metric("rome_cache_age_seconds", "How old the snapshot is that is read.", ("database",), (), "s")
CACHE_BYTES = Metric("rome_cache_bytes", "Memory of what is kept, about.", ("database",), (), "By")

METRICS = (
    STATEMENTS, STATEMENT_SECONDS, STATEMENT_ROUNDS, ROWS, COMMITS, COMMIT_SECONDS, COMMIT_KEYS, COMMIT_BYTES, REPLAYS,
    RETRIES, LOCK_WAITS,
)  # fmt: skip
"""The metrics that events add to."""
OF_DATABASES = (PLAN_HITS, PLAN_MISSES, STORE_ROUNDS, STORE_BYTES, CACHE_HITS, CACHE_MISSES, CACHE_REFUSALS)
"""The counters that are read."""
GAUGES = (CACHE_AGE, CACHE_BYTES)
"""The other numbers that are read."""


LABELLING: dict[type[Any], tuple[str, ...]] = {
    StatementEnded: ("url", "error"),
    CommitEnded: ("url", "error"),
    ReplayEnded: ("url", "is_committed"),
    Retried: (),
    LockWaited: (),
}
"""By kind of event: the fields that labels are made of. The verb of a statement depends on its text."""


@lru_cache(maxsize=256)
def database_name(url: URL) -> str:
    """Return the label of a database: its URL without the password."""
    return str(url)


def measured(events: Sequence[Event]) -> Iterator[Measurement]:
    """Yield what events add to METRICS. They are alike: of one kind, with the same LABELLING fields and verb."""
    match events[0]:
        case StatementEnded(url, verb, _, _, _, _, error):
            _, _, _, seconds, rounds, rows, _ = zip(*events, strict=True)
            database, verb = database_name(url), verb or "other"
            yield STATEMENTS, (database, verb, "done" if error is None else error.__name__), (len(events),)
            yield STATEMENT_SECONDS, (database, verb), seconds
            yield STATEMENT_ROUNDS, (database, verb), rounds
            yield ROWS, (database,), rows
        case CommitEnded(url, _, _, _, error):
            _, seconds, keys, sizes, _ = zip(*events, strict=True)
            database = database_name(url)
            outcome = "committed" if error is None else "conflict" if issubclass(error, Conflict) else "failed"
            yield COMMITS, (database, outcome), (len(events),)
            yield COMMIT_SECONDS, (database,), seconds
            yield COMMIT_KEYS, (database,), keys
            yield COMMIT_BYTES, (database,), sizes
        case ReplayEnded(url, is_committed):
            yield REPLAYS, (database_name(url), "committed" if is_committed else "refused"), (len(events),)
        case Retried():
            yield RETRIES, (), (len(events),)
        case LockWaited():
            (seconds,) = zip(*events, strict=True)
            yield LOCK_WAITS, (), seconds


def of_databases() -> Iterator[tuple[Metric, tuple[str, ...], float]]:
    """Yield the totals of OF_DATABASES, and GAUGES."""
    for database in known_databases():
        labels = (database_name(database.url),)
        rounds, _, _, size = database.store.stats.snapshot()
        yield PLAN_HITS, labels, database.plans.hits
        yield PLAN_MISSES, labels, database.plans.misses
        yield STORE_ROUNDS, labels, rounds
        yield STORE_BYTES, labels, size
        cached = database.cached
        if cached is not None:
            yield CACHE_HITS, labels, cached.stats.hits
            yield CACHE_MISSES, labels, cached.stats.misses
            yield CACHE_REFUSALS, labels, cached.stats.refusals
            yield CACHE_BYTES, labels, cached.size
            if cached.age is not None:
                yield CACHE_AGE, labels, cached.age
