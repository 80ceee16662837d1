"""Whatever a cache answers is what the store has at that version: random reads, commits, followers and histories."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator

import pytest

from rome.cache.cached import CachedReads
from rome.cache.options import CacheOptions
from rome.errors import Conflict, SnapshotTooOld
from rome.storage.keys import encode, prefix_end
from rome.storage.memory import MemoryStore
from rome.storage.store import (
    CATALOG,
    LAST,
    Batch,
    Check,
    Committed,
    Count,
    Demand,
    Get,
    KeyRange,
    Lookup,
    Range,
    Request,
    Scan,
    Write,
)
from rome.testing.store_suite.harness import INDEX, ROWS, delete, key_of, observed, put, put_entry

PLAIN = b"r2"
_ROWS, _COLUMNS = 40, 6
_FOR_EVER = 1e9


class ManualCache(CachedReads):
    """A cache whose follower runs only when the test calls `follow`."""

    def __init__(self, name: str, most_bytes: int) -> None:
        super().__init__(MemoryStore(name), MemoryStore(name), CacheOptions(_FOR_EVER, most_bytes))
        self._follower.start = lambda: None  # type: ignore[method-assign]


class Model:
    """A database with rows and an index of them, written by the process of the cache and by others."""

    def __init__(self, seed: int, most_bytes: int) -> None:
        self.random = random.Random(seed)
        name = uuid.uuid4().hex
        self.store = MemoryStore(name, log_commits=30)
        self.cache = ManualCache(name, most_bytes)
        self.columns: dict[int, int] = {}
        self.versions: list[int] = []

    def step(self) -> None:
        """Do something, and compare what can be compared."""
        action = self.random.choices(
            [self.read, self.read_older, self.commit, self.follow, self.lose], [60, 15, 20, 15, 0.3]
        )[0]
        action()

    def read(self) -> None:
        requests = [self.request() for _ in range(self.random.randint(1, 3))]
        fetched = self.cache.fetch(requests)
        assert observed(requests, fetched) == observed(requests, self.store.fetch(requests, fetched.version))
        again = self.store.fetch([], fetched.version)
        assert (fetched.digest, fetched.catalog_digest) == (again.digest, again.catalog_digest)
        assert fetched.incarnation == again.incarnation
        assert not self.versions or fetched.version >= self.versions[-1]
        self.versions.append(fetched.version)

    def read_older(self) -> None:
        if self.versions:
            version = self.random.choice(self.versions[-10:])
            requests = [self.request()]
            try:
                expected = observed(requests, self.store.fetch(requests, version))
            except SnapshotTooOld:
                return
            assert observed(requests, self.cache.fetch(requests, version)) == expected

    def commit(self) -> None:
        before = dict(self.columns)
        writes = []
        for row in self.random.sample(range(_ROWS), self.random.randint(0, 3)):
            writes += self.save(row)
        if self.random.random() < 0.4:
            key = b"%d" % self.random.randrange(20)
            writes.append(Write(PLAIN, key, self.random.choice([None, b"x" * self.random.randint(1, 50)])))
        if self.random.random() < 0.05:
            writes.append(Write(CATALOG, b"t", b"%d" % self.random.randrange(100)))
        checks = [Check(PLAIN, b"", LAST, self.versions[-1])] if self.versions and self.random.random() < 0.1 else []
        new = [key_of(row) for row in self.columns.keys() - before.keys()]
        checks += [Check(ROWS, key, key + b"\0", 0, Demand.NO_KEYS) for key in new]
        batch = Batch(uuid.uuid4().bytes, checks, writes)
        try:
            if self.random.random() < 0.5:
                version = self.cache.commit(batch)
                assert not writes or self.cache.fetch([]).version >= version
            else:
                self.store.commit(batch)
        except (Conflict, SnapshotTooOld):
            self.columns = before

    def save(self, row: int) -> Iterator[Write]:
        old, new = self.columns.pop(row, None), self.random.choice([None, *range(_COLUMNS)])
        if old is not None and old != new:
            yield Write(INDEX, put_entry(old, key_of(row)).key, None)
        if new is None:
            yield delete(key_of(row))
        else:
            self.columns[row] = new
            yield put(key_of(row), b"row %d %d" % (new, self.random.randrange(1000)))
            if old != new:
                yield put_entry(new, key_of(row))

    def follow(self) -> None:
        self.cache.follow()

    def lose(self) -> None:
        """Clear the database."""
        self.store.clear()
        self.columns.clear()
        self.versions.clear()
        self.cache.forget()

    def request(self) -> Request:
        space = self.random.choice([PLAIN, ROWS])
        limit = self.random.choice([None, None, 1, 3, 10])
        reverse = self.random.random() < 0.4
        return self.random.choice(
            [
                lambda: Get(
                    ROWS, tuple(key_of(self.random.randrange(_ROWS)) for _ in range(self.random.randint(1, 3)))
                ),
                lambda: Get(PLAIN, (b"%d" % self.random.randrange(20),)),
                lambda: Range(space, *self.bounds(space), limit, reverse),
                lambda: Range(INDEX, *self.bounds(INDEX), limit, reverse),
                lambda: Scan(space),
                lambda: Lookup(INDEX, ROWS, self.ranges(), limit, reverse),
                lambda: Count(space, (self.bounds(space),)),
                lambda: Count(INDEX, self.ranges()),
            ]
        )()

    def bounds(self, space: bytes) -> KeyRange:
        ends: Callable[[], bytes] = {
            PLAIN: lambda: b"%d" % self.random.randrange(20),
            ROWS: lambda: key_of(self.random.randrange(_ROWS)),
            INDEX: lambda: encode((self.random.randrange(_COLUMNS),)),
        }[space]
        begin, end = sorted([ends(), ends()])
        return self.random.choice([b"", begin]), self.random.choice([LAST, end])

    def ranges(self) -> tuple[KeyRange, ...]:
        columns = self.random.sample(range(_COLUMNS), self.random.randint(1, 3))
        return tuple((encode((column,)), prefix_end(encode((column,)))) for column in columns)


@pytest.mark.parametrize("most_bytes", [1_000_000, 8_000, 1])
@pytest.mark.parametrize("seed", range(6))
def test_answers_are_those_of_the_store(seed: int, most_bytes: int) -> None:
    model = Model(seed, most_bytes)
    for _ in range(1500):
        model.step()
    stats = model.cache.stats
    assert stats.misses > 0
    assert most_bytes < 100 or stats.hits > 200


def test_the_memory_is_bounded() -> None:
    name = uuid.uuid4().hex
    store, cache = MemoryStore(name), ManualCache(name, 300_000)
    store.commit(Batch(b"1", writes=[put(key_of(number), b"x" * 100) for number in range(10_000)]))
    cache.follow()
    for number in range(10_000):
        cache.fetch([Get(ROWS, (key_of(number),))])
    assert cache.size <= 300_000
    hits = cache.stats.hits
    cache.fetch([Get(ROWS, (key_of(9_999),))])
    assert cache.stats.hits == hits + 1


def test_contents_that_are_cleared_while_the_log_is_read_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """They must not take an old answer for the newest one: they have not seen all commits since."""
    name = uuid.uuid4().hex
    store, cache = MemoryStore(name), ManualCache(name, 300_000)
    for value in (b"1", b"2"):
        store.commit(Batch(value, writes=[put(b"a", value)]))
    cache.follow()
    store.commit(Batch(b"3", writes=[put(b"b", b"3")]))

    def clear_and_ask(since: int) -> Iterator[Committed]:
        cache.forget()
        return store.changes(since)

    monkeypatch.setattr(cache._followed, "changes", clear_and_ask)
    cache.follow()
    assert cache.fetch([Get(ROWS, (b"a",))], 1).answers == [[b"1"]]
    cache.follow()
    assert cache.fetch([Get(ROWS, (b"a",))]).answers == [[b"2"]]


def test_counts_are_kept_through_commits_of_the_process() -> None:
    name = uuid.uuid4().hex
    cache = ManualCache(name, 300_000)
    cache.commit(Batch(b"1", writes=[put(key_of(1))]))
    cache.follow()
    count = Count(ROWS, ((b"", LAST),))
    assert cache.fetch([count]).answers == [1]
    check = Check(ROWS, key_of(2), key_of(2) + b"\0", 0, Demand.NO_KEYS)
    cache.commit(Batch(b"2", [check], [put(key_of(2))]))
    misses = cache.stats.misses
    assert cache.fetch([count]).answers == [2]
    cache.fetch([Get(ROWS, (key_of(1),))])
    cache.commit(Batch(b"3", [], [delete(key_of(1)), put(key_of(2), b"other")]))
    assert cache.fetch([count]).answers == [1]
    assert cache.stats.misses == misses + 1
