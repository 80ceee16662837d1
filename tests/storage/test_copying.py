"""Copies of databases on Redis: of one version, whatever is committed meanwhile, and visible at once or not at all."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

import rome
from rome.errors import HistoryLost, InterfaceError, OperationalError, SnapshotTooOld
from rome.storage.redis import copying, writes
from rome.storage.redis.store import RedisStore
from rome.storage.registry import open_store
from rome.storage.store import CATALOG, Count, Lookup, Range, Request, index_space, rows_space
from rome.testing import check_database, clone_database
from rome.testing.servers import RedisServer
from rome.testing.store_suite.harness import INDEX, ROWS, commit, delete, put, put_entry
from rome.url import parse_url
from tests.storage.test_parts import KEYS, random_writes
from tests.storage.test_pieces import count_rounds

pytestmark = pytest.mark.server

ALL = ((b"", b"\xff"),)
NEW, DROPPED = rows_space(8), index_space(9)
REQUESTS: list[Request] = [
    Range(ROWS),
    Range(INDEX),
    Lookup(INDEX, ROWS, ALL),
    Count(ROWS, ALL),
    Range(CATALOG),
    Range(NEW),
]

OpenStore = Callable[..., RedisStore]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MOST_ROWS", 8)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def opened(redis_server: RedisServer, name: str) -> Iterator[OpenStore]:
    stores = []

    def open_(database: str, options: str = "") -> RedisStore:
        store = open_store(parse_url(redis_server.url(f"copying {name} {database}") + options))
        assert isinstance(store, RedisStore)
        stores.append(store)
        return store

    yield open_
    for store in stores:
        store.clear()
        store.close()


@pytest.fixture
def source(opened: OpenStore) -> RedisStore:
    store = opened("source")
    commit(store, put(b"table", space=CATALOG))
    commit(store, *(put(key, b"first" + key) for key in KEYS), *(put_entry(1, key) for key in KEYS))
    commit(store, *(put(key + b"\0\0", b"", DROPPED) for key in KEYS[:5]))
    commit(store, put(KEYS[0], b"second"), advances={b"ids": 60})
    return store


def keys_of(server: RedisServer, store: RedisStore) -> list[bytes]:
    """Return the names of a database's keys."""
    with server.admin() as admin:
        return sorted(admin.scan_iter(store._layout.pattern, 1000))


def contents(store: RedisStore, at: int | None = None) -> Any:
    fetched = store.fetch(REQUESTS, at)
    return fetched.version, fetched.catalog_version, fetched.digest, fetched.answers


def test_what_is_committed_meanwhile(source: RedisStore, opened: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each round of the copy: changes, a new space, a dropped one, and commits in pieces."""
    target, reader, writer = opened("target"), opened("target"), opened("source")
    monkeypatch.setattr(copying, "MOST_ROWS", 30)
    monkeypatch.setattr(writes, "MOST_KEYS", 12)
    monkeypatch.setattr(writes, "LARGE", 3)
    chance = random.Random(5)
    busy: list[int] = []
    turns = iter(range(1000))

    def work(number: int, is_after: bool) -> None:
        if busy or not is_after:
            return
        busy.append(number)
        turn = next(turns)
        assert reader.fetch([Range(ROWS)])[:3] == (0, 0, [[]])
        commit(writer, *random_writes(chance), put(b"%d" % turn, b"new", NEW), advances={b"ids": 100 + turn})
        if turn == 3:
            commit(writer, *(delete(key + b"\0\0", DROPPED) for key in KEYS[:5]), drops=[DROPPED])
            commit(writer, put(b"table", b"changed", CATALOG))
        busy.clear()

    count_rounds(monkeypatch, work)
    before_publishing(target, monkeypatch, lambda: busy.append(-1))
    target.copy_from(source)
    monkeypatch.undo()
    version = target.version()
    assert version > 20
    assert contents(target) == contents(source, version)
    assert target.fetch([Count(DROPPED, ALL)]).answers == [0]
    assert target.allocate(b"ids", 1) > 101
    assert commit(target, put(b"x")) == version + 1


def test_a_client_that_is_killed_at_any_round(
    source: RedisStore, opened: OpenStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MOST_ROWS", 50)
    fork = multiprocessing.get_context("fork")
    expected = contents(source)
    outcomes = []
    for rounds in range(100):
        for is_after in (False, True):
            target = opened(f"target {rounds} {is_after}")

            def work(target: RedisStore = target, rounds: int = rounds, is_after: bool = is_after) -> None:
                count_rounds(
                    pytest.MonkeyPatch(),
                    lambda number, after: (number, after) == (rounds, is_after) and os.kill(os.getpid(), 9),
                )
                target.copy_from(source)
                os._exit(0)

            child = fork.Process(target=work)
            child.start()
            child.join()
            if child.exitcode == 0:
                assert contents(target) == expected
                assert outcomes == sorted(outcomes)
                assert outcomes.count(False) > 15
                return
            assert child.exitcode == -signal.SIGKILL
            is_there = target.version() > 0
            outcomes.append(is_there)
            if not is_there:
                with redis_server.admin() as admin:
                    left = [admin.pttl(key) for key in keys_of(redis_server, target)]
                assert all(0 < milliseconds <= 600_000 for milliseconds in left)
                target.copy_from(source)
            assert contents(target) == expected
    pytest.fail("it never ended")


def test_an_exception_at_any_round_leaves_nothing(
    source: RedisStore, opened: OpenStore, redis_server: RedisServer
) -> None:
    for rounds in range(2, 12):
        target = opened("target")

        def interrupt(number: int, is_after: bool, rounds: int = rounds) -> None:
            if (number, is_after) == (rounds, True):
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            count_rounds(patch, interrupt)
            with pytest.raises(KeyboardInterrupt):
                target.copy_from(source)
        assert keys_of(redis_server, target) == []


def test_a_connection_that_breaks_at_any_round(source: RedisStore, opened: OpenStore) -> None:
    for rounds in range(100):
        target = opened(f"target {rounds}")
        reached: list[int] = []

        def cut(number: int, is_after: bool, rounds: int = rounds, reached: list[int] = reached) -> None:
            if (number, is_after) == (rounds, True):
                reached.append(number)
                raise ConnectionError("the cable was pulled")

        with pytest.MonkeyPatch.context() as patch:
            count_rounds(patch, cut)
            target.copy_from(source)
        assert contents(target) == contents(source)
        if not reached:
            break
    assert rounds > 20


def before_publishing(target: RedisStore, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Call `act` when all pages are staged."""
    run = target._run

    def act_and_run(*arguments: Any) -> Any:
        monkeypatch.setattr(target, "_run", run)
        act()
        return run(*arguments)

    monkeypatch.setattr(target, "_run", act_and_run)


def test_another_client_writes_to_the_target(
    source: RedisStore, opened: OpenStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, other = opened("target"), opened("target")
    before_publishing(target, monkeypatch, lambda: commit(other, put(b"a", b"theirs")))
    with pytest.raises(InterfaceError, match="not empty"):
        target.copy_from(source)
    assert target.fetch([Range(ROWS)])[:3] == (1, 0, [[(b"a", b"theirs")]])
    assert not any(b"staged" in key for key in keys_of(redis_server, target))


def test_staged_keys_that_somebody_removes(
    source: RedisStore, opened: OpenStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = opened("target")

    def remove() -> None:
        with redis_server.admin() as admin:
            admin.delete(next(key for key in keys_of(redis_server, target) if key.endswith(b"o:r1")))

    before_publishing(target, monkeypatch, remove)
    with pytest.raises(OperationalError, match=r"copy to database 'copying .*' .* were removed before it was applied"):
        target.copy_from(source)
    assert keys_of(redis_server, target) == []


def test_a_log_that_is_too_short(source: RedisStore, opened: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    target, writer = opened("target"), opened("source", "?log_commits=1")
    busy: list[int] = []

    def work(number: int, is_after: bool) -> None:
        if is_after and not busy:
            busy.append(number)
            for _ in range(3):
                commit(writer, put(b"a"))
            busy.clear()

    with pytest.MonkeyPatch.context() as patch:
        count_rounds(patch, work)
        with pytest.raises(SnapshotTooOld):
            target.copy_from(source)
    assert target.version() == 0


@pytest.mark.parametrize("again", [False, True])
def test_a_source_that_is_dropped_meanwhile(source: RedisStore, opened: OpenStore, again: bool) -> None:
    target, other = opened("target"), opened("source")
    busy: list[int] = []

    def drop(number: int, is_after: bool) -> None:
        if number == 6 and is_after and not busy:
            busy.append(number)
            other.clear()
            for turn in range(8 if again else 0):
                commit(other, put(KEYS[turn], b"another database"))

    with pytest.MonkeyPatch.context() as patch:
        count_rounds(patch, drop)
        with pytest.raises(HistoryLost):
            target.copy_from(source)
    assert target.version() == 0


def test_a_commit_in_pieces_is_finished_first(
    source: RedisStore, opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "MOST_KEYS", 4)
    monkeypatch.setattr(writes, "LARGE", 2)
    writer, target = opened("source"), opened("target")

    class Stopped(BaseException):
        pass

    def stop(number: int, is_after: bool) -> None:
        if number == 12:
            raise Stopped

    writes_of_all = [put(key, b"large") for key in KEYS]
    with pytest.MonkeyPatch.context() as patch:
        count_rounds(patch, stop)
        with pytest.raises(Stopped):
            commit(writer, *writes_of_all)
    target.copy_from(source)
    assert target.version() == 5
    assert contents(target) == contents(source)
    assert target.fetch([Range(ROWS, limit=1)]).answers == [[(KEYS[0], b"large")]]


def test_staged_keys_are_renewed(
    source: RedisStore, opened: OpenStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those whose last page was written long ago."""
    monkeypatch.setattr(copying, "_RENEWAL", -1.0)
    target = opened("target")
    rest_of = copying.rest_of

    def age_and_rest_of(*arguments: Any) -> Any:
        with redis_server.admin() as admin:
            for key in keys_of(redis_server, target):
                admin.pexpire(key, 300_000)
        return rest_of(*arguments)

    def look() -> None:
        with redis_server.admin() as admin:
            assert all(admin.pttl(key) > 500_000 for key in keys_of(redis_server, target))

    monkeypatch.setattr(copying, "rest_of", age_and_rest_of)
    before_publishing(target, monkeypatch, look)
    target.copy_from(source)


def test_a_database_with_tables(redis_server: RedisServer, name: str) -> None:
    first, second = (redis_server.url(f"copying {name} {which}") for which in ("a", "b"))
    with closing(rome.connect(first)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n INT UNIQUE, s TEXT)")
        connection.execute("CREATE TABLE empty (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE gone (id INTEGER PRIMARY KEY, n INT UNIQUE)")
        connection.executemany("INSERT INTO t (n, s) VALUES (?, ?)", [(n, "x" * n) for n in range(100)])
        connection.execute("INSERT INTO gone VALUES (1, 1)")
        connection.commit()
        connection.execute("DROP TABLE gone")
        connection.execute("DELETE FROM t WHERE n > 90")
        connection.commit()
    clone_database(first, second)
    assert check_database(second) == []
    with closing(rome.connect(second)) as connection:
        assert connection.execute("SELECT count(*), sum(n), sum(length(s)) FROM t").fetchall() == [(91, 4095, 4095)]
        assert connection.execute("INSERT INTO t (n) VALUES (-1) RETURNING id").fetchall() == [(101,)]
        assert connection.execute("SELECT * FROM empty").fetchall() == []
        connection.commit()
    assert check_database(second) == []
    for url in (first, second):
        rome.drop_database(url)
