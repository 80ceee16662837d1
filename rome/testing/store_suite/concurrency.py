"""Tests of threads and processes: no update is lost, and a fetch sees whole commits."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from rome.errors import Conflict
from rome.storage.registry import open_store
from rome.storage.store import Check, Count, Get, Range, Store
from rome.testing.child_processes import exit_with_parent
from rome.testing.store_suite.harness import ROWS, Harness, ask, commit, key_of, put
from rome.url import parse_url

THREADS = 4
TIMES = 40


class Concurrency(Harness):
    """Tests of one store in many threads, and of one database in two processes."""

    def test_threads_that_increment_lose_nothing(self, store: Store) -> None:
        """Of two threads that read the same version, one gets a conflict and reads again."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda _: increment(store, TIMES), range(THREADS)))
        assert ask(store, Get(ROWS, (b"sum",))) == [b"%d" % (THREADS * TIMES)]
        assert store.version() == THREADS * TIMES

    def test_threads_allocate_numbers_of_their_own(self, store: Store) -> None:
        """Blocks of numbers do not overlap."""
        with ThreadPoolExecutor(THREADS) as pool:
            firsts = list(pool.map(lambda _: store.allocate(b"ids", 3), range(THREADS * TIMES)))
        assert sorted(firsts) == list(range(1, 3 * THREADS * TIMES, 3))

    def test_a_fetch_sees_one_version(self, store: Store) -> None:
        """Its answers agree with each other and with its version while others commit."""

        def write(numbers: Sequence[int]) -> None:
            for number in numbers:
                commit(store, put(b"a", b"%d" % number), put(b"b", b"%d" % number), put(key_of(number), space=b"r2"))

        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(write, range(1, 101))
            reads = 0
            while not writing.done() or not reads:
                version, _, (one, rows, count), *_ = store.fetch(
                    [Get(ROWS, (b"b", b"a")), Range(ROWS), Count(b"r2", ((b"", b"\xff"),))]
                )
                expected = b"%d" % version if version else None
                assert one == [expected, expected]
                assert rows == ([(b"a", expected), (b"b", expected)] if version else [])
                assert count == version
                older = store.fetch([Count(b"r2", ((b"", b"\xff"),)), Range(b"r2", limit=50)], version // 2)
                assert older[2] == [version // 2, [(key_of(n + 1), b"value") for n in range(min(50, version // 2))]]
                reads += 1
            writing.result()

    def test_two_processes_lose_nothing(self, store: Store, database_url: str) -> None:
        """No increment is lost, and numbers of a counter are unique."""
        if not self.shared:
            pytest.skip("the store's databases are in one process")
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, mp_context=spawn, initializer=exit_with_parent) as pool:
            numbers = list(pool.map(work_in_process, [database_url] * 2))
        assert ask(store, Get(ROWS, (b"sum",))) == [b"%d" % (2 * TIMES)]
        assert sorted(numbers[0] + numbers[1]) == list(range(1, 2 * TIMES + 1))
        assert [number for committed in store.changes(0) for number in [committed.version]] == list(
            range(1, 2 * TIMES + 1)
        )


def increment(store: Store, times: int) -> None:
    """Add 1 to a row a number of times; after a conflict, read it again."""
    done = 0
    while done < times:
        version, _, ((value,),), *_ = store.fetch([Get(ROWS, (b"sum",))])
        try:
            commit(store, put(b"sum", b"%d" % (int(value or 0) + 1)), checks=[Check(ROWS, b"sum", b"sum\0", version)])
        except Conflict:
            continue
        done += 1


def work_in_process(url: str) -> list[int]:
    """Increment a row and allocate numbers, in one of two processes; return the numbers."""
    store = open_store(parse_url(url))
    increment(store, TIMES)
    numbers = [store.allocate(b"ids", 1) for _ in range(TIMES)]
    store.close()
    return numbers
