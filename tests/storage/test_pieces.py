"""Large commits in pieces: whoever is stopped at whatever step, all of a commit is applied, once, or nothing."""

import contextlib
import multiprocessing
import os
import signal
import threading
import uuid

import pytest
from redis import Redis

from rome.errors import Conflict, HistoryLost, KeysLocked, OperationalError, StoreUnavailable
from rome.storage.keys import encode, entry
from rome.storage.redis import writes
from rome.storage.redis.connection import Connection
from rome.storage.registry import open_store
from rome.storage.store import (
    LAST,
    Batch,
    Change,
    Check,
    Count,
    Demand,
    Get,
    Lookup,
    Range,
    Scan,
    index_space,
    row_lock_name,
)
from rome.testing.servers import own_valkey_server
from rome.testing.store_suite.committing import Committing
from rome.testing.store_suite.digests import Digests
from rome.testing.store_suite.harness import INDEX, ROWS, ask, commit, delete, put, put_entry
from rome.testing.store_suite.likeness import Likeness
from rome.testing.store_suite.past import ThePast
from rome.url import parse_url

pytestmark = pytest.mark.server

ALL = ((b"", LAST),)
KEYS = [encode((number,)) for number in range(12)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(writes, "MOST_KEYS", 3)
    monkeypatch.setattr(writes, "LARGE", 2)


@pytest.mark.slow
class TestEveryCommitInPieces(Committing, ThePast, Digests, Likeness):
    test_a_commit_is_one_round = None

    @pytest.fixture(autouse=True)
    def all_are_large(self, small_pieces, monkeypatch):
        monkeypatch.setattr(writes, "LARGE", 0)

    @pytest.fixture
    def store_url(self, redis_server):
        return redis_server.url


@pytest.fixture
def url(redis_server):
    return redis_server.url(f"pieces {uuid.uuid4().hex}")


@pytest.fixture
def opened():
    stores = []

    def open_(url):
        stores.append(open_store(parse_url(url)))
        return stores[-1]

    yield open_
    stores[0].clear()
    for store in stores:
        store.close()


@pytest.fixture
def store(opened, url):
    store = opened(url)
    commit(store, *(put(key, b"old" + key) for key in KEYS[:8]), *(put_entry(1, key) for key in KEYS[:8]))
    return store


def large(store, token=b"large"):
    """Return a batch of changes, additions and deletions, with checks, that is committed in pieces."""
    fetched = store.fetch([])
    changes = [put(key, b"new" * (1000 if key == KEYS[3] else 1) + key) for key in KEYS[2:]]
    changes += [delete(put_entry(1, key).key, INDEX) for key in KEYS[:8]]
    changes += [put_entry(2, key) for key in KEYS[2:]]
    changes += [delete(key) for key in KEYS[:2]]
    checks = [Check(ROWS, key, key + b"\0", fetched.version) for key in KEYS[:8]]
    checks += [Check(ROWS, key, key + b"\0", 0, Demand.NO_KEYS) for key in KEYS[8:]]
    checks += [Check(INDEX, encode((2,)), encode((3,)), fetched.version, Demand.SAME_KEYS)]
    return Batch(token, checks, changes, {b"ids": 70}, (), {fetched.version: fetched.digest})


REQUESTS = [
    Scan(ROWS),
    Lookup(INDEX, ROWS, ALL),
    Range(ROWS, limit=2, reverse=True),
    Count(ROWS, ALL),
    Get(ROWS, tuple(KEYS)),
]


def contents(store, at=None):
    fetched = store.fetch(REQUESTS, at)
    scan, lookup, *rest = fetched.answers
    return [fetched.version, fetched.digest, dict(zip(*scan, strict=True)), list(zip(*lookup, strict=True)), *rest]


@pytest.fixture
def after(opened, redis_server, store):
    """Return the contents after the large commit, as one script makes them."""
    writes.LARGE = 1000
    other = opened(redis_server.url(f"whole {uuid.uuid4().hex}"))
    commit(other, *(put(key, b"old" + key) for key in KEYS[:8]), *(put_entry(1, key) for key in KEYS[:8]))
    assert other.commit(large(other)) == 2
    expected = contents(other)
    other.clear()
    writes.LARGE = 2
    return expected


def same(found, expected):
    """Compare contents without digests, which differ with the tokens of the first commits."""
    return found[:1] + found[2:] == expected[:1] + expected[2:]


def count_rounds(monkeypatch, act, at=None):
    """Call `act` before and after each exchange with the server of the Connection class: `act(number, is_after)`."""
    exchange = Connection.exchange
    number = iter(range(10_000))

    def counted(self, data, count):
        mine = next(number)
        act(mine, False)
        replies = exchange(self, data, count)
        act(mine, True)
        return replies

    monkeypatch.setattr(Connection, "exchange", counted)


def test_is_one_commit(store, after):
    before = contents(store)
    assert store.commit(large(store)) == 2
    assert same(contents(store), after)
    assert contents(store, 1) == before
    assert store.commit(large(store)) == 2
    (committed,) = store.changes(1)
    changes = {(change.space, change.key): change for change in committed.changes}
    assert len(changes) == len(committed.changes) == len(large(store).writes)
    assert changes[ROWS, KEYS[0]] == Change(ROWS, KEYS[0], b"old" + KEYS[0], None)
    assert changes[ROWS, KEYS[3]] == Change(ROWS, KEYS[3], b"old" + KEYS[3], b"new" * 1000 + KEYS[3])
    assert changes[ROWS, KEYS[9]] == Change(ROWS, KEYS[9], None, b"new" + KEYS[9])
    assert store.allocate(b"ids", 1) == 71


def test_readers_see_all_or_nothing_at_every_step(store, opened, url, after, monkeypatch):
    reader = opened(url)
    before = contents(reader)
    seen = []

    def read(number, is_after):
        if is_after and threading.current_thread() is main and not reading:
            reading.append(1)
            seen.append(contents(reader))
            assert contents(reader, 1) == before
            reading.clear()

    main, reading = threading.current_thread(), []
    count_rounds(monkeypatch, read)
    assert store.commit(large(store)) == 2
    monkeypatch.undo()
    states = [before[2] if found == before else "after" if same(found, after) else "half" for found in seen]
    assert states == [before[2]] * (len(states) - 1) + ["after"]
    assert len(states) > 12


def test_a_client_that_is_killed_at_any_step(store, opened, url, after):
    before = contents(store)
    fork = multiprocessing.get_context("fork")

    def work(steps, is_after):
        child = open_store(parse_url(url))
        with pytest.MonkeyPatch.context() as patch:
            count_rounds(patch, lambda number, after: (number, after) == (steps, is_after) and os.kill(os.getpid(), 9))
            child.commit(large(child, b"killed %d %d" % (steps, is_after)))
        os._exit(0)

    outcomes = []
    for steps in range(100):
        for is_after in (False, True):
            child = fork.Process(target=work, args=(steps, is_after))
            child.start()
            child.join()
            if child.exitcode == 0:
                break
            assert child.exitcode == -signal.SIGKILL
            other = opened(url)
            found = contents(other)
            version = commit(other, put(b"x", space=b"r2"))
            if version == found[0] + 1:
                assert contents(other)[2:] == found[2:]
            else:
                assert version == found[0] + 2  # it finished the other one's
            outcomes.append(contents(other)[2:] == after[2:])
            assert outcomes[-1] or contents(other)[2:] == before[2:]
            if outcomes[-1]:
                restore(other)
        if child.exitcode == 0:
            break
    assert outcomes.count(True) > 10
    assert outcomes.count(False) > 3
    assert outcomes == sorted(outcomes)


def restore(store):
    """Write the contents that `store` began with."""
    pieces_limit, writes.LARGE = writes.LARGE, 1000
    changes = [*(put(key, b"old" + key) for key in KEYS[:8]), *(put_entry(1, key) for key in KEYS[:8])]
    changes += [delete(key) for key in KEYS[8:]] + [delete(put_entry(2, key).key, INDEX) for key in KEYS[2:]]
    commit(store, *changes)
    writes.LARGE = pieces_limit


def test_a_connection_that_breaks_at_any_step(store, after):
    before = store.version()
    for steps in range(100):
        for is_after in (False, True):
            reached = []

            def cut(number, is_now_after, steps=steps, is_after=is_after, reached=reached):
                if (number, is_now_after) == (steps, is_after):
                    reached.append(number)
                    raise ConnectionError("the cable was pulled")

            batch = large(store, b"cut %d %d" % (steps, is_after))
            with pytest.MonkeyPatch.context() as patch:
                count_rounds(patch, cut)
                version = store.commit(batch)
            assert version == before + 1
            assert contents(store)[2:] == after[2:]
            assert store.commit(batch) == version
            restore(store)
            before = store.version()
        if not reached:
            break
    assert steps > 12


def test_writers_finish_it_together(store, opened, url, after, monkeypatch):
    """Another one steps in after each step of the first one."""
    others = [opened(url) for _ in range(3)]
    depth = []

    def step_in(number, is_after):
        if is_after and not depth:
            depth.append(1)
            commit(others[number % 3], put(b"%d" % number, space=b"r2"))
            depth.clear()

    count_rounds(monkeypatch, step_in)
    version = store.commit(large(store))
    monkeypatch.undo()
    assert contents(store)[2:] == after[2:]
    assert ({change.space for change in next(iter(store.changes(version - 1))).changes}) == {ROWS, INDEX}


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (lambda store: commit(store, put(KEYS[5])), Conflict),
        (lambda store: commit(store, put(KEYS[10])), Conflict),
        (lambda store: commit(store, put(b"z"), put_entry(2, b"z")), Conflict),
        (lambda store: store.clear(), HistoryLost),
    ],
)
@pytest.mark.parametrize("steps", [0, 2, 4])
def test_a_check_that_fails(store, opened, url, monkeypatch, other, error, steps):
    """Another transaction commits before the first piece is sent, or between two."""
    rival = opened(url)
    batch = large(store)
    expected = []

    def interfere(number, is_after):
        if not is_after and not expected and number == steps:
            expected.append(None)
            other(rival)
            expected[0] = contents(rival)

    count_rounds(monkeypatch, interfere)
    with pytest.raises(error):
        store.commit(batch)
    monkeypatch.undo()
    assert contents(rival) == expected[0]
    assert commit(rival, put(b"x", space=b"r2")) == expected[0][0] + 1


def of_all_keys(store, keys, demand):
    """Return a batch that checks and writes the same keys: the pieces that check name those that write."""
    fetched = store.fetch([])
    checks = [Check(ROWS, key, key + b"\0", fetched.version, demand) for key in keys]
    return Batch(b"all", checks, [put(key, b"all") for key in keys], seen={fetched.version: fetched.digest})


@pytest.mark.parametrize(
    ("keys", "demand", "written", "is_refused"),
    [
        (KEYS[:8], Demand.UNWRITTEN, put(KEYS[5]), True),
        (KEYS[:8], Demand.UNWRITTEN, put(KEYS[8]), False),
        (KEYS[:8], Demand.SAME_KEYS, delete(KEYS[5]), True),
        (KEYS[:8], Demand.SAME_KEYS, put(KEYS[5]), False),
        (KEYS[8:], Demand.NO_KEYS, put(KEYS[10]), True),
        (KEYS[8:], Demand.NO_KEYS, put(KEYS[5]), False),
    ],
)
def test_checks_of_the_keys_that_are_written(store, opened, url, monkeypatch, keys, demand, written, is_refused):
    """Somebody writes after the client has validated the checks itself."""
    batch, other = of_all_keys(store, keys, demand), opened(url)
    catch_up = store._commits._catch_up

    def then_write(batch):
        found = catch_up(batch)
        commit(other, written)
        return found

    monkeypatch.setattr(store._commits, "_catch_up", then_write)
    if is_refused:
        with pytest.raises(Conflict):
            store.commit(batch)
        assert b"all" not in ask(store, Get(ROWS, tuple(keys)))
    else:
        store.commit(batch)
        assert ask(store, Get(ROWS, tuple(keys))) == [b"all"] * len(keys)


def test_locks_of_the_keys_that_are_written(store):
    batch = of_all_keys(store, KEYS[:8], Demand.UNWRITTEN)
    store.lock_table().acquire([row_lock_name(ROWS, KEYS[6])], b"other", 60, False)
    with pytest.raises(KeysLocked) as caught:
        store.commit(batch)
    assert caught.value.names == [row_lock_name(ROWS, KEYS[6])]
    assert b"all" not in ask(store, Get(ROWS, tuple(KEYS)))


def test_a_piece_that_somebody_removes(store, url, redis_server, monkeypatch):
    """It was to be read for a check: the commit is refused, and others can go on."""
    batch = of_all_keys(store, KEYS[8:], Demand.NO_KEYS)
    finish = store._commits._finish
    with redis_server.admin() as admin:

        def remove_and_finish(token):
            admin.hdel(store._layout.staged(token), "1")
            return finish(token)

        monkeypatch.setattr(store._commits, "_finish", remove_and_finish)
        with pytest.raises(OperationalError, match="were removed before it was applied"):
            store.commit(batch)
    assert commit(store, put(b"x", space=b"r2")) == 2


def test_a_refusal_that_another_writer_got(store, opened, url, monkeypatch):
    """Its own client learns it."""
    other = opened(url)
    batch = large(store)
    monkeypatch.setattr(store._commits, "_catch_up", lambda batch: batch)
    commit(other, put(KEYS[5]))
    depth = []

    def finish(number, is_after):
        if is_after and not depth:
            depth.append(1)
            commit(other, put(b"x", b"%d" % number, b"r2"))
            depth.clear()

    count_rounds(monkeypatch, finish)
    with pytest.raises(Conflict, match="space r1 after version 1"):
        store.commit(batch)


def test_an_old_reader_commits_much(store, opened, url):
    """Writes since then do not matter, unless the batch depends on them."""
    other = opened(url)
    batch = large(store)
    for number in range(30):
        commit(other, put(b"%d" % number), put(b"%d" % number, space=b"r2"), delete(KEYS[11]))
        commit(other, put_entry(3, b"%d" % number))
    assert store.commit(batch) == 62
    assert ask(store, Get(ROWS, (KEYS[2], b"7"))) == [b"new" + KEYS[2], b"value"]


def test_pieces_that_somebody_removes(store, opened, url, redis_server, monkeypatch):
    batch = large(store)
    with redis_server.admin() as admin:
        staged = store._layout.staged(batch.token)

        def remove(number, is_after):
            if not is_after and admin.exists(staged) and admin.ttl(staged) != -1 and number == 4:
                admin.delete(staged)

        before = contents(store)
        count_rounds(monkeypatch, remove)
        with pytest.raises(OperationalError, match=r"pieces of a large commit .* were removed"):
            store.commit(batch)
        monkeypatch.undo()
        assert contents(store) == before
        assert commit(store, put(b"x", space=b"r2")) == 2
        assert not admin.exists(staged)


@pytest.mark.parametrize("command", ["hset", "xadd", "zadd", "zrem", "hdel"])
def test_a_step_that_is_stopped_halfway(after, command):
    """Its user loses a permission. Readers see nothing of the commit, and the next writer does the step again."""
    with own_valkey_server() as server, Redis(server.host, server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all")
        url = f"rome+redis://app:pw@{server.host}:{server.port}/app"
        store, other = open_store(parse_url(url)), open_store(parse_url(server.url("app")))
        commit(store, *(put(key, b"old" + key) for key in KEYS[:8]), *(put_entry(1, key) for key in KEYS[:8]))
        before = contents(other)

        def forbid(number, is_after):
            if not is_after and number == forbidden:
                admin.execute_command("ACL", "SETUSER", "app", f"-{command}")

        for forbidden in range(3, 14):
            batch = large(store, b"stopped %d" % forbidden)
            with pytest.MonkeyPatch.context() as patch:
                count_rounds(patch, forbid)
                with contextlib.suppress(StoreUnavailable):
                    store.commit(batch)
            admin.execute_command("ACL", "SETUSER", "app", f"+{command}")
            found = contents(other)
            assert found[2:] in (before[2:], after[2:])
            commit(other, put(b"x", space=b"r2"))
            found = contents(other)
            assert found[2:] in (before[2:], after[2:])
            if found[2:] == after[2:]:
                restore(other)
        store.close()
        other.close()


def test_administration_finishes_it_first(store, opened, url, after, redis_server):
    fork = multiprocessing.get_context("fork")

    def work():
        child = open_store(parse_url(url))
        count_rounds(pytest.MonkeyPatch(), lambda number, after: number == 12 and os.kill(os.getpid(), 9))
        child.commit(large(child))

    child = fork.Process(target=work)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    copy = opened(redis_server.url(f"copy {uuid.uuid4().hex}"))
    copy.copy_from(store)
    assert contents(copy)[2:] == contents(store)[2:] == after[2:]
    copy.clear()


def test_a_new_space_and_a_dropped_one(store):
    """Large commits make and drop spaces as others do."""
    space, index = b"r77", index_space(77)
    changes = [put(key, space=space) for key in KEYS] + [put(entry(b"a", key), b"", index) for key in KEYS]
    assert commit(store, *changes) == 2
    assert ask(store, Count(index, ALL)) == 12
    assert commit(store, *(delete(key, space) for key in KEYS), drops=[index]) == 3
    assert store.fetch([Count(space, ALL), Count(index, ALL)], 2).answers == [12, 12]
