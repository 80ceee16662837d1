"""The memory store: sorted dictionaries in the process, an undo log, and one mutex.

It is also the model that other engines are compared with. `rome+memory:///NAME` opens the same database everywhere in
the process; it remains when stores are closed, until it is cleared. The options `log_commits` and `log_bytes` bound the
log.

A database has the newest version only. Each commit adds to the log the old and new values of the keys that it wrote; a
read at an older version undoes the log (`rome.storage.undo`). When the log is trimmed, its horizon moves: snapshots
before the *horizon*, the tokens of the commits up to it and the spaces that they dropped are gone. A dropped space
counts into `log_bytes` with its full size, so that a large one is freed soon. A commit that empties a space moves its
dictionary into the log as it is, with the same size, and begins a new one.

A signal handler may raise an exception at any point. So a commit prepares what it changes, publishes it by one
assignment (`_Database.pending`), and applies it; if it is interrupted then, whoever comes next applies it again. Each
step of that may be repeated. Sorted dictionaries that an interrupted step may have left in disorder are made again.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from sortedcontainers import SortedDict

from rome.errors import CounterUsedUp, InterfaceError, KeysLocked, NumbersTaken
from rome.forks import new_lock, new_rlock
from rome.storage.columns import checks_of, size_of, writes_of
from rome.storage.keys import row_key_of
from rome.storage.lock_table import LockTable
from rome.storage.memory_locks import MemoryLocks
from rome.storage.notes import LocalNotes
from rome.storage.registry import takes_options
from rome.storage.store import (
    CATALOG,
    LOG_BYTES,
    LOG_COMMITS,
    LONGEST_IN_SQLITE,
    MOST_COUNTED,
    MOST_DIGESTS,
    OF_PRESENT,
    Batch,
    Change,
    Committed,
    Count,
    Demand,
    Draw,
    Fetched,
    Get,
    Lookup,
    Range,
    Request,
    Scan,
    Stats,
    Store,
    conflict,
    history_lost,
    next_digest,
    too_old,
)
from rome.storage.tails import Point, Tail, Tails, spaces_of
from rome.storage.undo import Columns, Present, complete, fetch_at
from rome.url import URL

_LOCK_TOKENS = b"locks"
"""The counter of the fencing tokens."""


@takes_options("log_commits", "log_bytes")
def open_memory(url: URL) -> MemoryStore:
    """Return the store of a `rome+memory:///NAME` URL. Raise InterfaceError for parts that such a URL can't have."""
    if url.host or url.port or url.user or url.password:
        raise InterfaceError(f"the memory store has no server: {url}; write rome+memory:///NAME")
    limits = {name: url.positive(name) for name in url.options.keys() & {"log_commits", "log_bytes"}}
    return MemoryStore(url.database, **limits)


class MemoryStore:
    """A store in this process. Stores of one name share a database, and the limits of its log that were given last."""

    is_shared = False
    empties_spaces = True
    longest_value = LONGEST_IN_SQLITE

    def __init__(self, name: str = "", log_commits: int | None = None, log_bytes: int | None = None) -> None:
        with _databases_lock:
            self._database = _databases.setdefault(name, _Database())
        self.stats = Stats()
        if log_commits is not None:
            self._database.most_commits = log_commits
        if log_bytes is not None:
            self._database.most_bytes = log_bytes

    def fetch(self, requests: Sequence[Request], at: int | None = None, draws: Sequence[Draw] = ()) -> Fetched:
        """Answer all requests from one version, and take numbers of counters. Raise SnapshotTooOld."""
        database = self._database
        with database.lock:
            if database.pending is not None:
                database.settle()
            if draws:
                drawn = [database.allocate(counter, count) for counter, count in draws]
                return self.fetch(requests, at)._replace(drawn=drawn)
            if at is None or at == database.version:
                answers = _complete(requests, self._answer(requests))
                newest = database.digest(database.version)
                catalog = database.catalog
                return Fetched(database.version, catalog.version, answers, database.incarnation, newest, catalog.digest)
            return database.read_at(at, requests, self._answer)

    def commit(self, batch: Batch) -> int:
        """Apply a batch, all or nothing, once per token. Raise Conflict, SnapshotTooOld, HistoryLost."""
        self.stats.add(rounds=1, commands=1, bytes=size_of(batch))
        database = self._database
        with database.locks.mutex, database.lock:
            if database.pending is not None:
                database.settle()
            return database.commit(batch)

    def allocate(self, counter: bytes, n: int) -> int:
        """Take `n` consecutive numbers of a counter; return the first of them."""
        self.stats.add(rounds=1, commands=1)
        with self._database.lock:
            self._database.settle()
            return self._database.allocate(counter, n)

    def peek(self, counter: bytes) -> int:
        """Return the first number that `allocate` would take of a counter."""
        self.stats.add(rounds=1, commands=1)
        with self._database.lock:
            self._database.settle()
            return self._database.counters.get(counter, 0) + 1

    def advance(self, counter: bytes, value: int) -> None:
        """Advance a counter, so that numbers allocated from now on are greater than `value`."""
        self.stats.add(rounds=1, commands=1)
        with self._database.lock:
            self._database.settle()
            self._database.advance(counter, value)

    def changes(self, since: int) -> Iterator[Committed]:
        """Return the commits after version `since`, oldest first. Raise SnapshotTooOld."""
        self.stats.add(rounds=1, commands=1)
        with self._database.lock:
            self._database.settle()
            return map(_committed, self._database.since(since))

    def version(self) -> int:
        """Return the newest version."""
        self.stats.add(rounds=1, commands=1)
        with self._database.lock:
            self._database.settle()
            return self._database.version

    def clear(self) -> None:
        """Remove the database, also for other stores of its name."""
        self.stats.add(rounds=1, commands=1)
        with self._database.lock:
            self._database.replace()

    def copy_from(self, source: Store) -> None:
        """Copy the newest version of another memory database into this empty one. Raise InterfaceError."""
        if not isinstance(source, MemoryStore):
            raise InterfaceError(f"a memory database can't be a copy of one in a {type(source).__name__}")
        with source._database.lock:
            source._database.settle()
            copy = source._database.snapshot()
        self.stats.add(rounds=1, commands=1)
        with self._database.lock:
            self._database.settle()
            if self._database.version or self._database.counters:
                raise InterfaceError("the database to copy into is not empty")
            self._database.replace(copy)

    def lock_table(self) -> LockTable:
        """Return the lock table that all stores of this name share."""
        return self._database.locks

    def notes(self) -> LocalNotes:
        """Return the notes of this process."""
        return self._database.notes

    def close(self) -> None:
        """Do nothing: a store holds no resources, and the database stays."""

    def digest_after(self, digest: bytes, token: bytes) -> bytes:
        """Return the digest of the version that a commit makes."""
        return next_digest(digest, token)

    def _answer(self, requests: Sequence[Request]) -> list[Any]:
        """Return the present answers. A Lookup keeps the entries whose row is missing."""
        answers = [self._database.answer(request) for request in requests]
        rows, size = _measure(requests, answers)
        self.stats.add(rounds=1, commands=len(requests), rows=rows, bytes=size)
        return answers


class _Point(NamedTuple):
    """A version with its digest."""

    version: int
    digest: bytes


_Values = dict[bytes, dict[bytes, bytes | None]]
"""Space → key → value; None: it does not exist."""

_FEW = 16
"""A space is made anew if more than so many of its keys come or go, and more than one of so many."""


class _Logged(NamedTuple):
    """A commit of the log: the values of its keys before and after. `catalog`: the last version of it before."""

    version: int
    before: _Values
    after: _Values
    """Spaces that were emptied are missing here."""
    token: bytes
    catalog: _Point
    drops: tuple[bytes, ...]
    size: int
    total: int
    """The size of all commits up to this one."""


class _Prepared(NamedTuple):
    """A commit that was validated: everything that it changes."""

    logged: _Logged
    digest: bytes
    catalog: _Point
    incarnation: bytes
    advances: Mapping[bytes, int]


class _Snapshot(NamedTuple):
    """The newest version of a database, for a copy of it."""

    point: _Point
    catalog: _Point
    spaces: dict[bytes, SortedDict]
    counters: dict[bytes, int]


@dataclass(eq=False)
class _Database:
    """A database, which stores of one name share. The caller of a method or reader of an attribute holds the lock."""

    lock: threading.RLock = field(default_factory=new_rlock)
    most_commits: int = LOG_COMMITS
    most_bytes: int = LOG_BYTES

    pending: Callable[[], None] | None = None
    """The change that is being made, or that was interrupted. It may be made again."""

    def __post_init__(self) -> None:
        self.counters: dict[bytes, int] = {}
        self._spaces: dict[bytes, SortedDict] = {}
        self.locks = MemoryLocks(self._next_lock_token)
        self.notes = LocalNotes()
        self._reset(_Snapshot(_NONE, _NONE, {}, {}))

    def allocate(self, counter: bytes, count: int) -> int:
        """Take consecutive numbers of a counter; return the first of them. Raise CounterUsedUp."""
        last = self.counters.get(counter, 0)
        if last > MOST_COUNTED - count:
            raise CounterUsedUp(f"the counter {counter!r}")
        self.counters[counter] = last + count
        return last + 1

    def settle(self) -> None:
        """Finish what was interrupted."""
        if self.pending is not None:
            # The dictionaries themselves are never in disorder.
            self._spaces = {name: SortedDict(list(dict.items(space))) for name, space in self._spaces.items()}
            self.pending()
            self.pending = None

    def replace(self, copy: _Snapshot | None = None) -> None:
        """Remove everything, or become a copy of another database, with an empty log."""
        self.pending = partial(self._reset, copy or _Snapshot(_NONE, _NONE, {}, {}))
        self.pending()
        self.pending = None

    def _reset(self, copy: _Snapshot) -> None:
        newest, self.catalog, self._spaces, counters = copy
        self.version = newest.version
        self._digests = deque([newest], MOST_DIGESTS)
        self.counters.clear()
        self.counters.update(counters)
        self._log: deque[_Logged] = deque()
        self._tokens: dict[bytes, int] = {}
        self._written = dict.fromkeys(self._spaces, self.version)
        self._tails = Tails()
        self.incarnation = os.urandom(8) if self.version else b""

    def snapshot(self) -> _Snapshot:
        """Return a copy of the newest version, without dropped spaces."""
        dropped = {space for logged in self._log for space in logged.drops}
        spaces = {name: SortedDict(space) for name, space in self._spaces.items() if name not in dropped}
        newest = _Point(self.version, self.digest(self.version))
        return _Snapshot(newest, self.catalog, spaces, dict(self.counters))

    def digest(self, version: int) -> bytes:
        """Return the digest of a version. Raise SnapshotTooOld if it is not kept, HistoryLost for a future version."""
        distance = self.version - version
        if distance < 0:
            raise history_lost(version)
        if distance >= len(self._digests):
            raise too_old(version)
        return self._digests[-1 - distance].digest

    def since(self, version: int) -> list[_Logged]:
        """Return the log after a version. Raise SnapshotTooOld if it begins later, HistoryLost for a future version."""
        distance = self.version - version
        if distance < 0:
            raise history_lost(version)
        if distance > len(self._log):
            raise too_old(version)
        return list(islice(reversed(self._log), distance))[::-1]

    def read_at(
        self, at: int, requests: Sequence[Request], answer: Callable[[Sequence[Request]], list[Any]]
    ) -> Fetched:
        """Return the result of `Store.fetch` for an older version. `answer` returns the present answers."""
        commits = self.since(at)
        tail = self._tails.of(at)
        point = Point(commits[0].catalog.version, self.incarnation, self.digest(at), commits[0].catalog.digest)

        def ask(asked: Sequence[Request]) -> Present:
            self._extend(tail, spaces_of(asked))
            return Present(point, answer(asked))

        fetched = fetch_at(requests, tail, ask)
        self._tails.keep(tail)
        return fetched

    def _extend(self, tail: Tail, spaces: Iterable[bytes]) -> None:
        """Extend a tail to the newest version."""
        for space in spaces:
            if self._written.get(space, 0) > tail.until(space):
                commits = [logged.before[space] for logged in self.since(tail.until(space)) if space in logged.before]
                tail.extend(space, self.version, commits)

    def answer(self, request: Request) -> Any:
        """Return the present answer; a Lookup keeps the entries whose row is missing, with value None."""
        if isinstance(request, Get):
            space = self._spaces.get(request.space, _EMPTY)
            return [space.get(key) for key in request.keys]
        if isinstance(request, Range):
            space = self._spaces.get(request.space, _EMPTY)
            keys = space.irange(request.begin, request.end, (True, False), request.reverse)
            return [(key, space[key]) for key in islice(keys, request.limit)]
        if isinstance(request, Scan):
            space = self._spaces.get(request.space, _EMPTY)
            keys = list(space)
            return keys, list(map(space.__getitem__, keys))
        if isinstance(request, Lookup):
            return self._lookup(request)
        space = self._spaces.get(request.space, _EMPTY)
        self.pending = _do_nothing  # bisect_left keeps an index, which an interruption may leave in disorder
        count = sum(max(0, space.bisect_left(end) - space.bisect_left(begin)) for begin, end in request.ranges)
        self.pending = None
        return count

    def commit(self, batch: Batch) -> int:
        """Validate and apply a batch, as `Store.commit` does."""
        if batch.token in self._tokens:
            return self._tokens[batch.token]
        for version, digest in batch.seen.items():
            if digest != self.digest(version):
                raise history_lost(version)
        self._validate(batch)
        for counter, last in batch.expects.items():
            if self.counters.get(counter, 0) != last:
                raise NumbersTaken(counter)
        if not self.locks.is_empty:
            held = self.locks.held_by_others(batch.locks, batch.owner)
            if held:
                raise KeysLocked(held)
            if batch.empties:
                raise conflict(batch.empties[0], b"", Demand.UNWRITTEN, 0)  # only single keys are compared with locks
        if not batch.writes and not batch.drops and not batch.empties:
            for counter, value in batch.advances.items():
                self.advance(counter, value)
            return self.version
        prepared = self._prepare(batch)
        self.pending = partial(self._apply, prepared)
        self._apply(prepared)
        self.pending = None
        return self.version

    def _prepare(self, batch: Batch) -> _Prepared:
        version, catalog = self.version + 1, self.catalog
        digest = next_digest(self._digests[-1].digest, batch.token)
        after = {space: values for space, values in writes_of(batch).items() if values}
        before: _Values = {}
        for space, values in after.items():
            before[space] = dict(zip(values, map(self._spaces.get(space, _EMPTY).get, values), strict=True))
        size = sum(len(space) * len(after[space]) + _size(after[space]) + _length(before[space]) for space in after)
        if CATALOG in after:
            catalog = _Point(version, digest)
        before |= {space: self._spaces[space] for space in batch.empties if self._spaces.get(space)}
        size += sum(_size(self._spaces.get(space, _EMPTY)) for space in (*batch.drops, *batch.empties))
        total = size + (self._log[-1].total if self._log else 0)
        logged = _Logged(version, before, after, batch.token, self.catalog, tuple(batch.drops), size, total)
        return _Prepared(logged, digest, catalog, self.incarnation or os.urandom(8), batch.advances)

    def _apply(self, prepared: _Prepared) -> None:
        """Apply a commit. Each step may have been done before: then it changes nothing."""
        logged, digest, catalog, incarnation, advances = prepared
        version = logged.version
        for counter, number in advances.items():
            self.advance(counter, number)
        for space in logged.before:
            self._written[space] = version
            after = logged.after.get(space)
            if after is None:
                self._spaces[space] = SortedDict()
            else:
                self._spaces[space] = _updated(self._spaces.get(space) or SortedDict(), after)
        if self._digests[-1].version < version:
            self._digests.append(_Point(version, digest))
        if not self._log or self._log[-1].version < version:
            self._log.append(logged)
        self._tokens[logged.token] = version
        self.catalog, self.incarnation, self.version = catalog, incarnation, version
        self._trim()

    def advance(self, counter: bytes, value: int) -> None:
        """Advance a counter, as `Store.advance` does."""
        self.counters[counter] = max(value, self.counters.get(counter, 0))

    def _next_lock_token(self) -> tuple[int, int]:
        """Return a fencing token and the newest version. A copy of the database continues the counter."""
        with self.lock:
            self.settle()
            token = self.counters[_LOCK_TOKENS] = self.counters.get(_LOCK_TOKENS, 0) + 1
            return token, self.version

    def _lookup(self, request: Lookup) -> Columns:
        index = self._spaces.get(request.index, _EMPTY)
        rows = self._spaces.get(request.rows, _EMPTY)
        found = (
            entry
            for begin, end in (reversed(request.ranges) if request.reverse else request.ranges)
            for entry in index.irange(begin, end, (True, False), request.reverse)
        )
        entries = list(islice(found, request.limit))
        return entries, [rows.get(row_key_of(entry)) for entry in entries]

    def _validate(self, batch: Batch) -> None:
        """Raise Conflict for the first check that fails. Most pass because their space was not written since."""
        of_ranges, of_keys = checks_of(batch)
        for space, begin, end, since, demand in of_ranges:
            if demand in OF_PRESENT:
                values = self._spaces.get(space, _EMPTY)
                found = next(values.irange(begin, end, (True, False)), None)
                if (found is None) is (demand is Demand.A_KEY):
                    raise conflict(space, found or begin, demand, since)
            elif not self._is_unwritten(space, since):
                tail = self._tail_of(since, space)
                self._demand(demand, space, tail, tail.written(space, (begin, end)))
        for (space, since, demand), keys in of_keys.items():
            if demand in OF_PRESENT:
                values, is_demanded = self._spaces.get(space, _EMPTY), demand is Demand.A_KEY
                failed = next((key for key in keys if (key in values) is not is_demanded), None)
                if failed is not None:
                    raise conflict(space, failed, demand, since)
            elif not self._is_unwritten(space, since):
                tail = self._tail_of(since, space)
                self._demand(demand, space, tail, [key for key in keys if key in tail.of(space)])

    def _is_unwritten(self, space: bytes, since: int) -> bool:
        return self._written.get(space, 0) <= since <= self.version

    def _tail_of(self, since: int, space: bytes) -> Tail:
        """Return the tail of a version, with what was written to a space. Raise SnapshotTooOld, HistoryLost."""
        self.since(since)
        tail = self._tails.of(since)
        self._extend(tail, (space,))
        self._tails.keep(tail)
        return tail

    def _demand(self, demand: Demand, space: bytes, tail: Tail, written: Sequence[bytes]) -> None:
        """Raise Conflict for keys of a tail, which were written, if that was not allowed, or they have come or gone."""
        old, present = tail.of(space), self._spaces.get(space, _EMPTY)
        for key in written:
            if demand is Demand.UNWRITTEN or (old[key] is not None) != (key in present):
                raise conflict(space, key, demand, tail.at)

    def _trim(self) -> None:
        """Trim the log to its limits; the newest commit stays, so that its token is known."""
        log = self._log
        while len(log) > 1 and (
            len(log) > self.most_commits or log[-1].total - log[0].total + log[0].size > self.most_bytes
        ):
            # The entry goes last, so that an interruption leaves nothing behind.
            oldest = log[0]
            self._tokens.pop(oldest.token, None)
            for space in oldest.drops:
                self._spaces.pop(space, None)
                self._written.pop(space, None)
            log.popleft()


def _updated(space: SortedDict, after: Mapping[bytes, bytes | None]) -> SortedDict:
    """Return a space with some keys put or deleted: mostly itself."""
    puts = after if None not in after.values() else {key: each for key, each in after.items() if each is not None}
    come = [key for key in puts if key not in space]
    gone = [key for key in after if key not in puts and key in space]
    if len(come) + len(gone) > max(_FEW, len(space) // _FEW):
        values = dict(zip(space, map(space.__getitem__, space), strict=True))
        for key in gone:
            del values[key]
        return SortedDict({**values, **puts})
    for key in gone:
        del space[key]
    for key in come:
        space[key] = puts[key]
    dict.update(space, puts)  # all keys are there, so their order stays
    return space


def _size(values: Mapping[bytes, bytes | None]) -> int:
    """Return the bytes of keys and values."""
    return sum(map(len, values)) + _length(values)


def _length(values: Mapping[bytes, bytes | None]) -> int:
    """Return the bytes of values."""
    return sum(map(len, filter(None, values.values())))


def _committed(logged: _Logged) -> Committed:
    """Return a commit of the log as `Store.changes` does."""
    return Committed(
        logged.version,
        tuple(
            Change(space, key, old, logged.after.get(space, _NO_VALUES).get(key))
            for space, olds in logged.before.items()
            for key, old in olds.items()
        ),
    )


def _do_nothing() -> None:
    """Change nothing."""


def _complete(requests: Sequence[Request], answers: Sequence[Any]) -> list[Any]:
    return [
        complete(request, answer) if isinstance(request, Lookup) else answer
        for request, answer in zip(requests, answers, strict=True)
    ]


def _measure(requests: Sequence[Request], answers: Sequence[Any]) -> tuple[int, int]:
    """Return the number of values in answers, and the bytes of keys and values."""
    rows = size = 0
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(request, Count) or not answer:
            continue
        if isinstance(request, Get):
            keys, values = request.keys, answer
        else:
            keys, values = zip(*answer, strict=True) if isinstance(request, Range) else answer
        found = list(filter(None, values))
        rows += len(found)
        size += len(b"".join(keys)) + len(b"".join(found))
    return rows, size


_NONE = _Point(0, b"")
"""The version of a new database, and of its catalog."""

_EMPTY = SortedDict()
"""A space that was never written to. It is never changed."""

_NO_VALUES: dict[bytes, bytes | None] = {}

_databases: dict[str, _Database] = {}
"""Every database of this process, by name."""

_databases_lock = new_lock()
