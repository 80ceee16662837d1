"""How a cache follows its store: what wakes it, and when it ends."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from rome.cache import follower
from rome.cache.follower import Follower
from rome.errors import StoreUnavailable
from rome.storage.registry import open_store
from rome.storage.store import AwaitsCommits, Batch, Write
from rome.testing.servers import RedisServer
from rome.url import parse_url

LONG = 60.0


def test_a_commit_to_a_space_ends_the_wait_for_it(redis_server: RedisServer) -> None:
    store = open_store(parse_url(redis_server.url(f"await-{uuid.uuid4().hex}") + "?socket_timeout=300"))
    assert isinstance(store, AwaitsCommits)
    first = store.commit(Batch(b"1", writes=[Write(b"r1", b"a", b"1"), Write(b"r2", b"a", b"1")]))
    waiting = threading.Thread(target=store.await_commit, args=(first, [b"r1", b"r2", b"r3"], LONG))
    began = time.monotonic()
    waiting.start()
    store.commit(Batch(b"2", writes=[Write(b"r4", b"a", b"2")]))
    store.commit(Batch(b"3", writes=[Write(b"r2", b"a", b"2")]))
    waiting.join()
    store.await_commit(first, [b"r2"], LONG)  # it has been there already
    assert time.monotonic() - began < LONG / 2
    store.clear()
    store.close()


class Reads:
    """A cache that counts."""

    staleness = 0.02

    def __init__(self) -> None:
        self.rounds = 0
        self.releases = threading.Semaphore(0)
        self.fails = False

    def follow(self) -> None:
        self.rounds += 1
        if self.fails:
            raise StoreUnavailable("no server")

    def await_commit(self, seconds: float) -> bool:
        return False

    def release(self) -> None:
        self.releases.release()


def wait_for_rounds(reads: Reads, more: int) -> None:
    end = time.monotonic() + LONG
    wanted = reads.rounds + more
    while reads.rounds < wanted:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_it_goes_on_when_the_store_is_back() -> None:
    reads = Reads()
    following = Follower(reads)
    following.start()
    wait_for_rounds(reads, 2)
    reads.fails = True
    wait_for_rounds(reads, 2)
    reads.fails = False
    wait_for_rounds(reads, 2)
    following.stop()
    assert reads.releases.acquire(timeout=LONG)


def test_it_ends_when_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_IDLE", 0.05)
    reads = Reads()
    following = Follower(reads)
    following.start()
    assert reads.releases.acquire(timeout=LONG)
    following.start()
    assert reads.releases.acquire(timeout=LONG)


def test_it_begins_again_after_it_was_stopped() -> None:
    reads = Reads()
    following = Follower(reads)
    for _ in range(3):
        following.start()
        wait_for_rounds(reads, 1)
        following.stop()
        assert reads.releases.acquire(timeout=LONG)
