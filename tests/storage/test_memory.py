"""The memory store: the conformance suite, and what is its own."""

import itertools
import re
import subprocess
import sys
import uuid

import pytest

from rome.errors import InterfaceError, SnapshotTooOld
from rome.storage.memory import MemoryStore
from rome.storage.registry import open_store
from rome.storage.store import Batch, Count, Range
from rome.testing.store_suite import StoreSuite
from rome.testing.store_suite.harness import ROWS, ask, commit, delete, put
from rome.url import parse_url


class TestMemoryStore(StoreSuite):
    shared = False

    @pytest.fixture
    def store_url(self):
        return lambda database: f"rome+memory:///{database}"


@pytest.fixture
def small():
    store = MemoryStore(f"small-{uuid.uuid4().hex}", log_bytes=1000)
    yield store
    store.clear()


def test_the_log_is_trimmed_by_bytes(small):
    for number in range(20):
        commit(small, put(b"%03d" % number, b"x" * 95))
    assert ask(small, Count(ROWS, ((b"", b"\xff"),)), at=10) == 10
    for _ in range(20):
        commit(small, put(b"000", b"x" * 95))
    with pytest.raises(SnapshotTooOld, match="version 10 is gone"):
        small.fetch([], 10)


def test_a_large_dropped_space_is_soon_freed(small):
    commit(small, put(b"a", b"x" * 2000, b"r9"))
    commit(small, drops=[b"r9"])
    assert ask(small, Range(b"r9")) != []
    commit(small, put(b"a"))
    assert ask(small, Range(b"r9")) == []


def test_the_newest_commit_stays_in_the_log(small):
    commit(small, put(b"a", b"x" * 2000))
    commit(small, put(b"a", b"y"), token=b"token")
    assert commit(small, put(b"a", b"y"), token=b"token") == 2
    assert ask(small, Range(ROWS), at=1) == [(b"a", b"x" * 2000)]


class _Signal(BaseException):
    """The exception that a signal handler raises."""


def _interrupted(work, step):
    """Do work, which is interrupted at a line of the store or of its dictionaries. Return False if it has fewer."""
    left = step

    def trace(frame, event, _):
        nonlocal left
        if event == "call":
            return trace if re.search(r"storage.memory\.py|sortedcontainers", frame.f_code.co_filename) else None
        left -= event == "line"
        if not left:
            sys.settrace(None)
            raise _Signal
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except _Signal:
        return True
    finally:
        sys.settrace(former)
    return False


@pytest.mark.parametrize("kind", ["empty", "few", "many"])
def test_an_interrupted_commit_is_applied_or_not(kind):
    old = [(b"%02d" % each, b"old") for each in range(0, 60, 2)]
    many = [put(b"%02d" % (60 - each), b"new") for each in range(40)]
    few = [delete(b"10"), put(b"11", b"new"), put(b"12", b"new")]
    writes = {"empty": [], "few": few, "many": [delete(b"10"), *many]}[kind]
    batch = Batch(b"t" * 16, writes=writes, empties=[] if writes else [ROWS])
    new = {**dict(old), **{each.key: each.value for each in writes}} if writes else {}
    new = sorted(pair for pair in new.items() if pair[1] is not None)
    outcomes = set()
    for step in itertools.count(1):
        store = MemoryStore(f"interrupted-{uuid.uuid4().hex}")
        commit(store, *[put(*row) for row in old])
        is_interrupted = _interrupted(lambda store=store: store.commit(batch), step)
        found = ask(store, Range(ROWS))
        outcomes.add(found == new)
        assert found in (old, new)
        assert store.commit(batch) == 2
        assert ask(store, Range(ROWS)) == new
        assert ask(store, Count(ROWS, ((b"", b"\xff"),))) == len(new)
        assert ask(store, Range(ROWS), at=1) == old
        store.clear()
        if not is_interrupted:
            break
    assert outcomes == {True, False}


def test_a_future_version_is_refused(small):
    with pytest.raises(SnapshotTooOld, match="cleared"):
        small.fetch([], 1)


def test_stores_of_one_name_share_a_database_until_it_is_cleared(small):
    name = uuid.uuid4().hex
    commit(MemoryStore(name), put(b"a"))
    assert ask(MemoryStore(name), Range(ROWS)) == [(b"a", b"value")]
    assert ask(small, Range(ROWS)) == []
    MemoryStore(name).clear()
    assert ask(MemoryStore(name), Range(ROWS)) == []


def test_a_copy_into_a_database_that_is_not_empty_is_refused(small):
    other = MemoryStore(uuid.uuid4().hex)
    commit(other, put(b"a"))
    commit(small, put(b"b"))
    with pytest.raises(InterfaceError, match="not empty"):
        small.copy_from(other)
    assert ask(small, Range(ROWS)) == [(b"b", b"value")]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("rome+memory://name", "has no server"),
        ("rome+memory:///x?log_bytes=many", "'log_bytes'.*'many'"),
        ("rome+memory:///x?log_commits=0", "'log_commits'.*'0'"),
    ],
)
def test_urls_that_a_memory_store_refuses(url, message):
    with pytest.raises(InterfaceError, match=message):
        open_store(parse_url(url))


@pytest.mark.slow
def test_the_suite_as_a_command():
    command = [sys.executable, "-m", "rome.testing.store_suite", "rome+memory:///suite"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    assert re.search(r"(\d+) of (?!\1)\d+ tests pass, 1 do not apply: rome\+memory:///suite$", ran.stdout.strip())
