"""The Store contract: an ordered, transactional key/value store, small enough for any engine to implement.

Data model
    A store holds *spaces*: ordered maps from key to value, both of any bytes. A space is named by bytes, whose first
    byte says what it holds: the keys of an index space (`holds_entries`) have no value, all others have one. No key
    begins with the byte 0xff, so `LAST` sorts after every key.

Versions (multi-version concurrency control)
    Each commit that is applied gets the next version number; a new database is at version 0. `fetch` answers all of its
    requests from one version: the newest, or an older one, `at`. The engine keeps a log of recent commits to serve
    older versions, and raises SnapshotTooOld for a version that it can't serve any more.

Optimistic commits
    `commit` applies a write batch atomically. Its *checks* are preconditions on key ranges (other systems call them
    read set, conflict ranges or compare-and-set). Each is validated before anything is written; if one fails, Conflict
    is raised and nothing happens. A batch has a *token*: a batch whose token is still in the log is not applied again,
    and `commit` returns the version that it got. So a commit whose answer was lost may be sent again.

Digests
    An engine may lose commits that it has acknowledged: a server that does not sync each write is killed, a backup is
    restored, a lagging replica takes over. Then version numbers are given a second time, to other commits. So each
    version has a digest: equal numbers with equal digests have equal content. What it is made of is the engine's own
    affair; ROME's engines make it of the tokens of all commits (`next_digest`). A client that continues at a version
    which it has read compares the digest, and a batch names the digests that its transaction has *seen*. HistoryLost is
    raised if they are not in the database's past.

Counters
    `allocate` takes numbers of a named counter outside of any transaction; they are unique and may have gaps. A fetch
    takes some along with its answers (`Draw`), so that the id of a new row costs no round trip of its own. A client
    that knows which number was given last may use the next ones at once, and take them by its commit (`Batch.expects`).

Round trips
    A fetch and a commit are one round trip each, where the engine allows it. `Stats` counts them.

Locks
    `lock_table` returns the table that distributed locks are made of (`rome.storage.lock_table`).

Threads share a store; calls are independent of each other. `rome.testing.store_suite` is the conformance suite.
`rome.storage.memory` is the shortest implementation, and the model that others are compared with.
"""

from __future__ import annotations

import enum
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import add as plus
from threading import get_ident
from typing import Any, NamedTuple, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from rome import waits
from rome.errors import Conflict, HistoryLost, SnapshotTooOld
from rome.forks import new_lock
from rome.storage.lock_table import LockTable
from rome.storage.notes import Notes

LAST = b"\xff"
"""Sorts after every key: the end of a space."""

CATALOG = b"c"
"""The space of the catalog. A commit that writes to it advances `Fetched.catalog_version`."""

FORMAT = 3
"""The format number that this ROME writes into a database. A database of another format is refused."""

OLDEST_FORMAT = 2
"""The oldest format of a database that can be brought to this one (`rome.storage.registry.upgrade_store`)."""

MOST_DIGESTS = 131_072
"""The number of versions whose digests ROME's engines keep at least: more than the log has, for digests are small."""

LOG_COMMITS = 10_000
LOG_BYTES = 64 * 1024 * 1024
"""The bounds of the log unless a URL has others."""

KeyRange = tuple[bytes, bytes]
"""Begin (inclusive) and end (exclusive)."""


@lru_cache(maxsize=10_000)
def rows_space(table_id: int) -> bytes:
    """Return the space of a table's rows: row key → encoded row."""
    return b"r%d" % table_id


@lru_cache(maxsize=10_000)
def index_space(index_id: int) -> bytes:
    """Return the space of an index: its entries (encoded columns, then the row key) as keys without values."""
    return b"i%d" % index_id


@lru_cache(maxsize=10_000)
def row_counter(table_id: int) -> bytes:
    """Return the name of the counter of the ids of a table's rows."""
    return b"t%d" % table_id


def counter_of_rows(space: bytes) -> bytes:
    """Return the name of the counter of the ids of the rows in a space."""
    return b"t" + space[1:]


def holds_entries(space: bytes) -> bool:
    """Return True if the keys of this space are index entries without values."""
    return space[:1] == b"i"


def holds_rows(space: bytes) -> bool:
    """Return True if the keys of this space are those of a table's rows, which may be locked."""
    return space[:1] == b"r"


def row_lock_name(space: bytes, key: bytes) -> bytes:
    """Return the name in the lock table of the lock of a row."""
    return b"%b:%b" % (space, key)


def next_digest(digest: bytes, token: bytes) -> bytes:
    """Return the digest that ROME's engines give the version that a commit makes, from that of the version before.

    The digest of version 0 is b"".
    """
    return hashlib.sha1(digest + token, usedforsecurity=False).digest()[:8]


def too_old(version: int) -> SnapshotTooOld:
    """Return the error for a version before the log, or before the digests that are kept."""
    return SnapshotTooOld(
        f"snapshot too old: version {version} is gone, the log begins later; run the transaction again"
    )


LONGEST_IN_SQLITE = 1_000_000_000
"""Bytes of the longest text, blob or row in SQLite."""

MOST_COUNTED = 2**63 - 1
"""The greatest number of a counter."""


def history_lost(version: int) -> HistoryLost:
    """Return the error for a version that is not in the database's past."""
    return HistoryLost(
        f"snapshot too old: version {version}, as this transaction has read it, is not in the database's past: the "
        "server has lost commits, or the database was cleared; nothing was written, run the transaction again"
    )


class Get(NamedTuple):
    """Get the values of keys. Answer: list[bytes | None], in the order of `keys`."""

    space: bytes
    keys: tuple[bytes, ...]


class Range(NamedTuple):
    """Get a key range in key order, or its reverse. Answer: list[tuple[key, value]]; the value of an entry is b''."""

    space: bytes
    begin: bytes = b""
    end: bytes = LAST
    limit: int | None = None
    reverse: bool = False


class Scan(NamedTuple):
    """Get all of a space of values. Answer: tuple[keys, values], two parallel sequences, in any order."""

    space: bytes


class Lookup(NamedTuple):
    """Get the rows that ranges of an index lead to.

    Answer: tuple[entries, row values], two parallel sequences. The ranges are in the given order and the entries of a
    range in key order; `reverse` reverses both. `limit` counts the entries of all ranges together. The key of a row is
    `keys.row_key_of(entry)`. An entry whose row is missing is a FormatError.
    """

    index: bytes  # type: ignore[assignment]  # hides tuple.index, which requests do not need
    rows: bytes
    ranges: tuple[KeyRange, ...]
    limit: int | None = None
    reverse: bool = False


class Count(NamedTuple):
    """Count the keys in ranges. Answer: int, the sum over all ranges."""

    space: bytes
    ranges: tuple[KeyRange, ...]


Request = Get | Range | Scan | Lookup | Count


Draw = tuple[bytes, int]
"""A counter, and how many consecutive numbers of it are taken along with a fetch."""


class Fetched(NamedTuple):
    """The result of a fetch: one answer for each request, and the version that they are of."""

    version: int
    """The version that was read: `at`, if it was given."""
    catalog_version: int
    """The last version up to `version` that wrote to the catalog."""
    answers: list[Any]
    incarnation: bytes = b""
    """Changes when the database is cleared or replaced by a copy: nothing cached of the former one is valid then.

    Empty until the first commit.
    """
    digest: bytes = b""
    catalog_digest: bytes = b""
    """The digests of both versions."""
    drawn: Sequence[int] = ()
    """The first number of each draw."""


class Demand(enum.Enum):
    """The condition of a Check on the keys in its range."""

    UNWRITTEN = b"u"
    """No key of the range was written after version `since`."""
    SAME_KEYS = b"s"
    """The range has the same keys as at version `since`; their values may have changed."""
    NO_KEYS = b"n"
    """The range has no keys now, whenever they were written; `since` does not matter."""
    A_KEY = b"a"
    """The range has a key now, whenever it was written; `since` does not matter."""

    # Enum defines a slower one in Python; checks are hashed by the dozen.
    __hash__ = object.__hash__


OF_PRESENT = frozenset({Demand.NO_KEYS, Demand.A_KEY})
"""The demands on what is there now, whatever was there before."""


class Check(NamedTuple):
    """A precondition of a commit, on the keys of `space` in [begin, end). If it fails, Conflict is raised."""

    space: bytes
    begin: bytes
    end: bytes
    since: int
    demand: Demand = Demand.UNWRITTEN


class Write(NamedTuple):
    """Put one key (`value` is bytes, b'' for an entry), or delete it (`value` is None)."""

    space: bytes
    key: bytes
    value: bytes | None


def conflict(space: bytes, key: bytes, demand: Demand, since: int) -> Conflict:
    """Return the error for a check that failed because of a key."""
    named = f"key {_readable(key)} of space {_readable(space)}"
    if demand is Demand.NO_KEYS:
        why = f"another transaction wrote {named}, which was to be new"
    elif demand is Demand.A_KEY:
        why = f"{named}, which this transaction depends on, does not exist"
    else:
        why = f"another transaction wrote {named} after version {since}, which this one had read"
    return Conflict(f"conflict: {why}; nothing was written, run the transaction again", space, key)


def _readable(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace") if data.isascii() else data.hex(" ")


@dataclass(slots=True)
class Batch:
    """A write batch: everything that one commit does."""

    token: bytes
    """Identifies the batch: it is applied once per token."""
    checks: Sequence[Check] = ()
    writes: Sequence[Write] = ()
    advances: Mapping[bytes, int] = field(default_factory=dict)
    """Counters to advance, as `Store.advance` does."""
    drops: Sequence[bytes] = ()
    """Spaces that no later version reads. The engine frees them when no snapshot can reach them any more."""
    seen: Mapping[int, bytes] = field(default_factory=dict)
    """Version → digest, of the versions that the batch depends on.

    An engine knows at least the digests of the versions that the log reaches, and refuses older ones with
    SnapshotTooOld.
    """
    owner: bytes = b""
    """The owner of the row locks that the transaction holds.

    A batch that writes a row whose lock (`row_lock_name`) another owner has taken and not released is refused with
    KeysLocked, so that writers wait: they take the lock first. Whether its TTL has passed does not matter, because
    commits depend on no clock. Engines whose lock table is the default one do not refuse.
    """
    empties: Sequence[bytes] = ()
    """Spaces whose keys are all deleted, for engines that are EmptiesSpaces.

    The batch writes nothing else to them, and checks that each space of rows among them is unwritten since it was read.
    The engine may refuse with a Conflict whose space is one of them, where it can only delete key by key.
    """
    expects: Mapping[bytes, int] = field(default_factory=dict)
    """Of counters to advance: the last number that each has given. If it has given others, NumbersTaken is raised."""

    @property
    def locks(self) -> list[bytes]:
        """The names of the locks of all rows that the batch writes."""
        return [row_lock_name(space, key) for space, key, _ in self.writes if holds_rows(space)]


class Change(NamedTuple):
    """A key that a commit wrote, with its values before and after it (None: it did not exist, or was deleted)."""

    space: bytes
    key: bytes
    old: bytes | None
    new: bytes | None


class Committed(NamedTuple):
    """One commit of the log, with one change for each key that it wrote."""

    version: int
    changes: tuple[Change, ...]


class _OfThread(threading.local):
    """The counts of the present thread: rounds, commands, rows, bytes."""

    def __init__(self, new: Callable[[], list[int]]) -> None:
        # Python calls this in each thread that looks at the object.
        self.counts = new()


class Stats:
    """Exact counts of a store's work, for EXPLAIN, metrics and tests of round trips. Threads may count at once."""

    def __init__(self) -> None:
        self._by_thread: dict[int, list[int]] = {}
        self._ended = [0, 0, 0, 0]
        """The counts of threads that have ended, and whose numbers others have now."""
        self._lock = new_lock()
        self._local = _OfThread(self._new_counts)
        self._by_task: WeakKeyDictionary[Any, list[int]] = WeakKeyDictionary()
        """By the greenlet of a task that has asked for its own counts."""

    def _new_counts(self) -> list[int]:
        counts = [0, 0, 0, 0]
        with self._lock:
            former = self._by_thread.get(get_ident(), counts)
            self._ended = [*map(sum, zip(self._ended, former, strict=True))]
            self._by_thread[get_ident()] = counts
        return counts

    def add(self, rounds: int = 0, commands: int = 0, rows: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """Add to the counts. Takes no lock: each thread has its own."""
        counts = self._local.counts
        counts[:] = map(plus, counts, (rounds, commands, rows, bytes))
        if waits.tasks is not None and self._by_task and waits.in_task():
            own = self._by_task.get(waits.current(), counts)
            if own is not counts:
                own[:] = [own[0] + rounds, own[1] + commands, own[2] + rows, own[3] + bytes]

    def of_caller(self) -> Sequence[int]:
        """Return (rounds, commands, rows, bytes) of the present thread or task: a list that goes on counting."""
        if waits.tasks is None or not waits.in_task():
            return self._local.counts
        return self._by_task.setdefault(waits.current(), [0, 0, 0, 0])

    def snapshot(self) -> tuple[int, int, int, int]:
        """Return (rounds, commands, rows, bytes) of all threads."""
        with self._lock:
            rounds, commands, rows, size = map(sum, zip(self._ended, *self._by_thread.values(), strict=True))
            return rounds, commands, rows, size

    @property
    def rounds(self) -> int:
        """The number of network round trips."""
        return self.snapshot()[0]

    @property
    def commands(self) -> int:
        """The number of the engine's own commands."""
        return self.snapshot()[1]

    @property
    def rows(self) -> int:
        """The number of values in answers."""
        return self.snapshot()[2]

    @property
    def bytes(self) -> int:
        """The number of bytes sent and received."""
        return self.snapshot()[3]


class Store(Protocol):
    """The contract, as above. An implementation inherits from this class to get the default of `lock_table`."""

    stats: Stats
    is_shared: bool
    """True if other processes can open the same database."""
    longest_value: int
    """The bytes of the longest value that the engine takes."""

    def fetch(self, requests: Sequence[Request], at: int | None = None, draws: Sequence[Draw] = ()) -> Fetched:
        """Answer all requests from one version: `at`, or the newest. Without requests, return the versions only.

        Also take the numbers of `draws`, which depend on no version: `Fetched.drawn` has the first of each.
        Raise SnapshotTooOld (HistoryLost if the version does not exist yet), FormatError, StoreUnavailable.
        """

    def commit(self, batch: Batch) -> int:
        """Apply a batch, all or nothing, once per token; return the commit's version.

        A batch that writes nothing is validated all the same, and the newest version is returned. Raise Conflict,
        KeysLocked, NumbersTaken, SnapshotTooOld, HistoryLost, StoreUnavailable; NotReplicated, by which the batch is
        applied.
        """

    def allocate(self, counter: bytes, n: int) -> int:
        """Take `n` consecutive numbers of a counter, which begins at 1; return the first of them."""

    def peek(self, counter: bytes) -> int:
        """Return the first number that `allocate` would take of a counter, and take none: it only reads."""

    def advance(self, counter: bytes, value: int) -> None:
        """Advance a counter, so that numbers allocated from now on are greater than `value`."""

    def changes(self, since: int) -> Iterator[Committed]:
        """Return the commits after version `since`, oldest first. Raise SnapshotTooOld if the log begins later."""

    def version(self) -> int:
        """Return the newest version."""

    def clear(self) -> None:
        """Remove the database; it is at version 0 again."""

    def copy_from(self, source: Store) -> None:
        """Make this empty database a copy of the newest version of `source`, a store of the same engine."""

    def digest_after(self, digest: bytes, token: bytes) -> bytes | None:
        """Return the digest of the version that a commit with this token makes of the version with that digest.

        The default, None: only the engine knows. Then a client asks for it.
        """
        return None

    def lock_table(self) -> LockTable:
        """Return the lock table of the database. The default, for stores that inherit from this class, uses commits."""
        from rome.storage.commit_locks import CommitLocks

        return CommitLocks(self)

    def notes(self) -> Notes | None:
        """Return the notes of the processes that use the database. The default, None: there is no place for them."""
        return None

    def close(self) -> None:
        """Release connections. The database stays."""


@runtime_checkable
class EmptiesSpaces(Protocol):
    """A store that deletes all keys of a space (`Batch.empties`) as fast as one."""

    empties_spaces: bool


@runtime_checkable
class AwaitsCommits(Protocol):
    """A store that can wait for commits. Others are asked again and again."""

    def await_commit(self, since: int, spaces: Sequence[bytes], seconds: float) -> None:
        """Wait until a commit after version `since` has written to one of the spaces, at the latest for some seconds.

        It may return earlier. `spaces` has at least one.
        """
