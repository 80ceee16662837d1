"""Large reads in parts: each is of one version, whatever is committed between the parts."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from rome.storage.keys import encode
from rome.storage.memory import MemoryStore
from rome.storage.redis import connection, reads
from rome.storage.redis.parts import MOST_RANGES
from rome.storage.redis.store import RedisStore
from rome.storage.registry import open_store
from rome.storage.store import LAST, Batch, Count, Get, Lookup, Range, Request, Scan, Write
from rome.testing.servers import RedisServer
from rome.testing.store_suite.harness import INDEX, ROWS, commit, delete, put, put_entry
from rome.testing.store_suite.past import ThePast
from rome.testing.store_suite.reading import Reading
from rome.url import parse_url

pytestmark = pytest.mark.server

COLORS = 4
KEYS = [encode((number,)) for number in range(60)]


def bound_parts(monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
    """Give the bounds of rows.lua other values."""
    text = connection.text_of("rows")
    for name, value in bounds.items():
        before = next(line for line in text.splitlines() if line.startswith(f"local {name} ="))
        text = text.replace(before, f"local {name} = {value}")
    monkeypatch.setitem(connection._TEXTS, "rows", connection._with_digest(text.encode()))


class TestReadsInParts(Reading, ThePast):
    """The conformance suite, with at most three rows or two ranges in a part."""

    test_many_requests_are_one_round = None

    @pytest.fixture(autouse=True)
    def small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bound_parts(monkeypatch, MOST_ROWS=3, PIECE=2)
        monkeypatch.setattr(reads, "MOST_RANGES", 2)

    @pytest.fixture
    def store_url(self, redis_server: RedisServer) -> Any:
        return redis_server.url


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    return redis_server.url(f"parts {uuid.uuid4().hex}")


@pytest.fixture
def store(url: str) -> Iterator[RedisStore]:
    store = open_store(parse_url(url))
    assert isinstance(store, RedisStore)
    yield store
    store.clear()
    store.close()


def random_writes(chance: random.Random) -> list[Write]:
    """Return writes that change, add and delete some rows, each with its entry."""
    writes: list[Write] = []
    for key in chance.sample(KEYS, 6):
        writes += [delete(key), *(delete(put_entry(color, key).key, INDEX) for color in range(COLORS))]
        if chance.random() < 0.7:
            writes += [put(key, b"%d" % chance.randrange(1000)), put_entry(chance.randrange(COLORS), key)]
    return writes


def requests() -> list[Request]:
    """Return requests whose answers have many parts."""
    ranges = [(encode((color,)), encode((color + 1,))) for color in (2, 0, 1)]
    overlapping = (*ranges, (b"", LAST), ranges[0])
    found: list[Request] = []
    for reverse in (False, True):
        for limit in (None, 7, 14, 30):
            found.append(Range(ROWS, b"", LAST, limit, reverse))
            found.append(Range(ROWS, KEYS[5], KEYS[50], limit, reverse))
            found.append(Lookup(INDEX, ROWS, tuple(ranges), limit, reverse))
            found.append(Lookup(INDEX, ROWS, overlapping, limit, reverse))
    return found


@pytest.mark.parametrize("bounds", [{"MOST_ROWS": 7}, {"MOST_ROWS": 50, "PIECE": 3, "MOST_BYTES": 10}])
def test_writes_between_the_parts(
    store: RedisStore, url: str, monkeypatch: pytest.MonkeyPatch, bounds: dict[str, int]
) -> None:
    """Others commit after each round; the answers are compared with those of the memory store."""
    bound_parts(monkeypatch, **bounds)
    chance = random.Random(7)
    model, other = MemoryStore(uuid.uuid4().hex), open_store(parse_url(url))
    exchange = store._server.exchange

    def commit_to_both() -> None:
        batch = Batch(uuid.uuid4().bytes, (), random_writes(chance))
        assert other.commit(batch) == model.commit(batch)

    def exchange_and_commit(*arguments: Any) -> Any:
        found = exchange(*arguments)
        commit_to_both()
        return found

    for _ in range(12):
        commit_to_both()
    monkeypatch.setattr(store._server, "exchange", exchange_and_commit)
    at = model.version()
    extra: list[Request] = [Scan(ROWS), Count(ROWS, ((KEYS[3], KEYS[40]),)), Get(ROWS, tuple(KEYS[:9]))]
    for request in requests():
        for asked in ([request], [*extra, request, *extra]):
            for fetched in (store.fetch(asked), store.fetch(asked, at)):
                assert plain(fetched.answers) == plain(model.fetch(asked, fetched.version).answers)
    assert store.fetch(requests(), at).version == at
    other.close()


def plain(answers: list[Any]) -> list[Any]:
    """Return answers with columns as pairs; those of a Scan come in any order."""
    pairs = [list(zip(*answer, strict=True)) if isinstance(answer, tuple) else answer for answer in answers]
    return [sorted(pair) if place in (0, 4) and len(answers) > 1 else pair for place, pair in enumerate(pairs)]


def test_the_work_of_a_script_is_bounded(store: RedisStore) -> None:
    keys = [encode((number,)) for number in range(12_000)]
    commit(store, *(put(key) for key in keys))
    commit(store, *(put_entry(number % 7, key) for number, key in enumerate(keys)))
    whole = ((b"", LAST),)
    assert rounds(store, Range(ROWS, limit=5000)) == (1, 5000)
    assert rounds(store, Range(ROWS, limit=5001)) == (2, 5001)
    assert rounds(store, Range(ROWS, reverse=True)) == (3, 12_000)
    assert rounds(store, Lookup(INDEX, ROWS, whole)) == (3, 12_000)
    points = tuple((put_entry(number % 7, key).key, LAST) for number, key in enumerate(keys[: MOST_RANGES + 1]))
    assert rounds(store, Lookup(INDEX, ROWS, tuple((begin, begin + b"\0") for begin, _ in points))) == (2, 5001)


def test_a_part_has_a_bound_in_bytes(store: RedisStore) -> None:
    keys = [encode((number,)) for number in range(3000)]
    for number in range(0, 3000, 500):
        commit(store, *(put(key, b"x" * 10_000) for key in keys[number : number + 500]))
    assert rounds(store, Range(ROWS)) == (3, 3000)
    assert rounds(store, Range(ROWS, limit=1000)) == (1, 1000)


def rounds(store: RedisStore, request: Request) -> tuple[int, int]:
    """Return how many round trips a request takes, and how many rows it finds."""
    before = store.stats.rounds
    (answer,) = store.fetch([request]).answers
    return store.stats.rounds - before, len(answer[0] if isinstance(request, Lookup) else answer)
