"""The Store contract: an ordered, transactional key/value store, as small as an engine can keep it.

A store holds *spaces*: ordered maps from key to value, both of any bytes. A space is named by bytes; the name's first
byte says what it holds (`holds_entries`): index entries have no value of their own, everything else has one. Keys
begin with no byte 0xff, so `LAST` lies behind every key.

Versions
    Every commit that is applied gets the next number; a new database is at version 0. `fetch` answers all of its
    requests from one version: the newest, or the one asked for by `at`. An engine keeps enough of the past (its log)
    to serve recent versions, and raises SnapshotTooOld for those it can't serve any more.

Digests
    An engine may lose commits that it has acknowledged: a server that does not write each one to disk is killed, a
    backup is restored, a replica that lagged behind takes over. Then version numbers are given again, to other
    commits. So each version has a digest, made of the tokens of all commits up to it (`next_digest`): the same number
    with the same digest is the same content. Who goes on at a version he has read compares the digest; a batch tells
    what its transaction has `seen`, and HistoryLost is raised if that is not in the database's past any more.

Commit
    `commit` is all or nothing. Each `Check` is validated before anything is written: if the keys in its range are not
    as it demands, Conflict is raised and nothing happens. A token that has been committed before (and is
    still in the log) is not applied again: the version of then is the answer.

A store may be used from many threads at once; each call stands alone.
"""

from __future__ import annotations

import enum
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from rome.errors import HistoryLost, SnapshotTooOld
from rome.storage.lock_table import LockTable

LAST = b"\xff"
"""Sorts behind every key: the end of a whole space."""

CATALOG = b"c"
"""The space of the catalog. A commit that writes to it moves `Fetched.catalog` on."""

FORMAT = 2
"""The number of the on-store format that this ROME writes. Another one in a database is refused."""

MOST_DIGESTS = 131_072
"""How many versions' digests ROME's own engines keep, at least: more than the log is long, for they are small."""

KeyRange = tuple[bytes, bytes]
"""Begin (inclusive) and end (exclusive)."""


@lru_cache(maxsize=10_000)
def rows_space(table_id: int) -> bytes:
    """The space of a table's rows: encoded primary key → encoded row."""
    return b"r%d" % table_id


@lru_cache(maxsize=10_000)
def index_space(index_id: int) -> bytes:
    """The space of an index: entries (encoded columns, then the encoded primary key), no values."""
    return b"i%d" % index_id


def holds_entries(space: bytes) -> bool:
    """Whether the keys of this space are entries without a value."""
    return space[:1] == b"i"


def next_digest(digest: bytes, token: bytes) -> bytes:
    """The digest of the version that the commit with this token makes of the version with that digest.

    Version 0 has the digest b"".
    """
    return hashlib.sha1(digest + token, usedforsecurity=False).digest()[:8]


def too_old(version: int) -> SnapshotTooOld:
    """The error for a version that the log, or what is kept of digests, does not reach any more."""
    return SnapshotTooOld(
        f"snapshot too old: version {version} is gone, the log begins later; run the transaction again"
    )


def history_lost(version: int) -> HistoryLost:
    """The error for a version that is not in the database's past."""
    return HistoryLost(
        f"snapshot too old: version {version}, as this transaction has read it, is not in the database's past: the "
        "server has lost commits, or the database was cleared; nothing was written, run the transaction again"
    )


class Get(NamedTuple):
    """The values of some keys. Answer: list[bytes | None], in the order of `keys`."""

    space: bytes
    keys: tuple[bytes, ...]


class Range(NamedTuple):
    """A key range in key order (descending when `reverse`). Answer: list[tuple[key, value]]; entries have value b''."""

    space: bytes
    begin: bytes = b""
    end: bytes = LAST
    limit: int | None = None
    reverse: bool = False


class Whole(NamedTuple):
    """All of a space of values. Answer: tuple[keys, values], two sequences side by side, in any order."""

    space: bytes


class Lookup(NamedTuple):
    """The rows that ranges of an index lead to.

    Answer: tuple[entries, row values], two sequences side by side: each range in entry order (descending when
    `reverse`, which also takes the ranges from the last to the first), the ranges as given, `limit` counted over all of
    them. The row's key is `keys.row_key_of(entry)`. An entry whose row is missing is left out.
    """

    index: bytes  # type: ignore[assignment]  # hides tuple.index, which nobody asks a request for
    rows: bytes
    ranges: tuple[KeyRange, ...]
    limit: int | None = None
    reverse: bool = False


class Count(NamedTuple):
    """How many keys some ranges hold together. Answer: int."""

    space: bytes
    ranges: tuple[KeyRange, ...]


Request = Get | Range | Whole | Lookup | Count


class Fetched(NamedTuple):
    """What a fetch answers: the version that was read, the last one that wrote to the catalog, one answer a request.

    `version`, `catalog` and the digests of both are those of the version that was read (`at`, when it was given; the
    caller compares its digest). `incarnation` is another after the database was cleared, or replaced by a copy: what
    was remembered of the former one is worth nothing then. It is empty as long as nothing has been committed.
    """

    version: int
    catalog: int
    answers: list[Any]
    incarnation: bytes = b""
    digest: bytes = b""
    catalog_digest: bytes = b""


class Demand(enum.Enum):
    """What a Check demands of the keys in its range."""

    UNWRITTEN = b"u"
    """None of them was written after version `since`."""
    SAME_KEYS = b"s"
    """The same keys are there as at version `since`; their values may have changed."""
    NO_KEYS = b"n"
    """None of them is there now, whenever it came; `since` does not matter."""

    # That of Enum is a function of Python's, and checks are looked up by the dozen.
    __hash__ = object.__hash__


class Check(NamedTuple):
    """Commit is refused unless the keys of `space` in [begin, end) are as demanded."""

    space: bytes
    begin: bytes
    end: bytes
    since: int
    demand: Demand = Demand.UNWRITTEN


class Write(NamedTuple):
    """Put (`value` is bytes; b'' for an entry) or delete (`value` is None) one key."""

    space: bytes
    key: bytes
    value: bytes | None


@dataclass(slots=True)
class Batch:
    """Everything that one commit does.

    `advances` moves counters on as `Store.advance` does. `drops` names spaces that nobody will read at later
    versions; the engine frees them when no snapshot can reach them any more. `seen` has the digests, by number, of the
    versions that the batch rests on; an engine knows at least those that the log reaches back to, and refuses with
    SnapshotTooOld what it can't tell.
    """

    token: bytes
    checks: Sequence[Check] = ()
    writes: Sequence[Write] = ()
    advances: Mapping[bytes, int] = field(default_factory=dict)
    drops: Sequence[bytes] = ()
    seen: Mapping[int, bytes] = field(default_factory=dict)


class Undo(NamedTuple):
    """One key that a commit wrote, and the value it had before (None: it was not there)."""

    space: bytes
    key: bytes
    old: bytes | None


class Committed(NamedTuple):
    """One commit of the log."""

    version: int
    undos: tuple[Undo, ...]


class Stats:
    """Exact counts of what a store was asked, for budgets and EXPLAIN. `rounds` are network round trips.

    `commands` are the engine's own, `rows` are values handed out, `bytes` both ways. Threads may count at once.
    """

    def __init__(self) -> None:
        self._counts = (0, 0, 0, 0)
        self._news: list[tuple[int, int, int, int]] = []
        """What was added and is not in `_counts` yet: to append takes no lock."""
        self._lock = threading.Lock()

    def add(self, rounds: int = 0, commands: int = 0, rows: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """Add to the counts."""
        self._news.append((rounds, commands, rows, bytes))
        if len(self._news) > _MOST_NEWS:
            self.snapshot()

    def snapshot(self) -> tuple[int, int, int, int]:
        """(rounds, commands, rows, bytes) now."""
        with self._lock:
            new = self._news[:]
            del self._news[: len(new)]
            rounds, commands, rows, size = map(sum, zip(self._counts, *new, strict=True))
            self._counts = rounds, commands, rows, size
            return self._counts

    @property
    def rounds(self) -> int:
        """Network round trips."""
        return self.snapshot()[0]

    @property
    def commands(self) -> int:
        """The engine's own commands."""
        return self.snapshot()[1]

    @property
    def rows(self) -> int:
        """Values handed out."""
        return self.snapshot()[2]

    @property
    def bytes(self) -> int:
        """Sent and received."""
        return self.snapshot()[3]


_MOST_NEWS = 1000


class Store(Protocol):
    """What ROME asks of an engine. `rome.testing.store_suite` is run against every implementation."""

    stats: Stats

    def fetch(self, requests: Sequence[Request], at: int | None = None) -> Fetched:
        """Answer all requests from one version, in one round trip where the engine can. No requests: just the versions.

        Raises SnapshotTooOld (HistoryLost for a version that is yet to come), FormatError, StoreUnavailable.
        """

    def commit(self, batch: Batch) -> int:
        """Apply a batch, all or nothing, once per token; the commit's version. A batch that writes nothing still
        validates what it has seen and its checks, and answers the current version. Raises Conflict, SnapshotTooOld,
        HistoryLost, StoreUnavailable.
        """

    def allocate(self, counter: bytes, n: int) -> int:
        """Take `n` consecutive numbers of a counter (the first ever is 1); the first of them."""

    def advance(self, counter: bytes, value: int) -> None:
        """See to it that numbers allocated from now on are greater than `value`."""

    def changes(self, since: int) -> Iterator[Committed]:
        """The commits after version `since`, oldest first. Raises SnapshotTooOld if the log starts later."""

    def version(self) -> int:
        """The newest version."""

    def clear(self) -> None:
        """Remove the whole database; it is at version 0 again."""

    def copy_from(self, source: Store) -> None:
        """Make this (empty) database a copy of the newest version of `source`, a store of the same engine."""

    def lock_table(self) -> LockTable:
        """Return the lock table of the database. The default, for stores that inherit from this class, uses commits."""
        from rome.storage.commit_locks import CommitLocks

        return CommitLocks(self)

    def close(self) -> None:
        """Release connections. The database stays."""
