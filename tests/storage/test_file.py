"""The file store: the conformance suite, and what is its own."""

import errno
import fcntl
import multiprocessing
import os
import resource
import signal
import sqlite3
import threading
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path

import pytest

import rome
from rome.errors import FormatError, HistoryLost, InterfaceError, OperationalError, SnapshotTooOld, StoreUnavailable
from rome.storage.file import place
from rome.storage.file.writer import Writer
from rome.storage.registry import open_store
from rome.storage.store import FORMAT, LAST, Batch, Check, Get, Range
from rome.testing.store_suite import StoreSuite
from rome.testing.store_suite.concurrency import increment
from rome.testing.store_suite.harness import ROWS, ask, commit, put
from rome.url import parse_url


class TestFileStore(StoreSuite):
    @pytest.fixture
    def store_url(self, tmp_path):
        return lambda database: f"rome+file://{tmp_path}/{database}?durability=normal"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.rome"


@pytest.fixture
def store(path):
    opened = open_file(path)
    yield opened
    opened.close()


def open_file(path, options=""):
    return open_store(parse_url(f"rome+file://{path}{options}"))


def test_data_are_there_in_the_next_process(path):
    connection = rome.connect(f"rome+file://{path}")
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    connection.close()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(read_table, [f"rome+file://{path}"]) == [(1,)]


def read_table(url):
    connection = rome.connect(url)
    try:
        return connection.execute("SELECT a FROM t").fetchall()
    finally:
        connection.close()


def test_the_short_url_and_the_relative_one(path, monkeypatch):
    store = open_file(path)
    commit(store, put(b"a"))
    monkeypatch.chdir(path.parent)
    for url in (f"rome://{path}", f"rome+file:///{path}", "rome+file://./app.rome", "rome://./app.rome"):
        assert ask(open_store(parse_url(url)), Range(ROWS)) == [(b"a", b"value")]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("rome+file://localhost/app.rome", "a file has no server"),
        ("rome+file://", "names no file"),
        ("rome+file://{}", "is a directory"),
        ("rome+file://{}/missing/app.rome", "does not exist; create it first"),
        ("rome+file://{}/app.rome?durability=some", "not one of full, normal"),
        ("rome+file://{}/app.rome?log_commits=0", "not a positive number"),
        ("rome+file://{}/app.rome?db=1", "unknown option 'db'.*it takes durability, log_bytes, log_commits"),
        ("rome+file:///proc/app.rome", "can't be (written|opened)"),
    ],
)
def test_a_url_that_names_no_database_file(url, sentence, tmp_path):
    with pytest.raises((InterfaceError, StoreUnavailable), match=sentence):
        rome.connect(url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_network_file_system_is_refused(path, tmp_path, monkeypatch):
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mounts"
    mounts.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw shared:1 - nfs4 server:/export rw\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    with pytest.raises(InterfaceError, match=r"network file system \(nfs4\)"):
        open_file(path)


def test_a_read_only_place_is_refused(path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InterfaceError, match="read-only for this process"):
        open_file(path)


@pytest.mark.parametrize("content", [b"name,value\n" * 500, b"x"])
def test_a_file_of_another_program_is_refused_and_not_changed(path, content):
    path.write_bytes(content)
    with pytest.raises(FormatError, match=f"{path} is not a ROME database"):
        open_file(path)
    assert path.read_bytes() == content


def test_an_sqlite_database_of_another_program_is_refused_and_not_changed(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    content = path.read_bytes()
    with pytest.raises(FormatError, match="is not a ROME database"):
        open_file(path)
    assert path.read_bytes() == content


def test_another_format_is_refused(path):
    open_file(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(FormatError, match=f"has format {FORMAT + 1}"):
        open_file(path)


def test_a_file_that_is_too_large_refuses_commits_and_can_be_read(path, store):
    commit(store, put(b"a"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match=str(path)):
            commit(store, put(b"b", b"x" * 1_000_000))
        assert ask(store, Range(ROWS)) == [(b"a", b"value")]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert commit(store, put(b"b")) == 2


def test_a_counter_is_used_up(store):
    store.advance(b"ids", 2**63 - 3)
    assert store.allocate(b"ids", 2) == 2**63 - 2
    with pytest.raises(OperationalError, match="has given its last number"):
        store.allocate(b"ids", 1)


def test_threads_that_commit_at_once_share_a_transaction(path):
    store = open_file(path)
    transactions = []
    run_jobs = Writer._run_jobs

    def slow_run_jobs(self, jobs):
        transactions.append(len(jobs))
        time.sleep(0.05)
        run_jobs(self, jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "_run_jobs", slow_run_jobs)
        threads = [threading.Thread(target=commit, args=(store, put(b"%d" % number))) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(transactions) == 8
    assert len(transactions) < 5
    assert store.version() == len(ask(store, Range(ROWS))) == 8


def test_a_commit_is_synced_before_it_returns(path, monkeypatch):
    synced = count_syncs(monkeypatch)
    for durability, expected in (("full", 2), ("normal", 0)):
        store = open_file(path, f"?durability={durability}")
        synced.clear()
        assert commit(store, put(b"a"))
        assert commit(store, put(b"b"))
        store.allocate(b"ids", 1)
        assert len(synced) == expected
        store.close()


def count_syncs(monkeypatch):
    """Return a list that gets an item for each sync that is over."""
    synced = []
    fdatasync = os.fdatasync

    def count(file):
        fdatasync(file)
        synced.append(file)

    monkeypatch.setattr(os, "fdatasync", count)
    return synced


def test_nobody_waits_for_the_sync_of_another_process(path, store, monkeypatch):
    commit(store, put(b"a"))
    context = multiprocessing.get_context("spawn")
    begun, over = threading.Event(), threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda _: (begun.set(), over.wait(60)))
    thread = threading.Thread(target=commit, args=(store, put(b"b")))
    thread.start()
    assert begun.wait(60)
    try:
        with context.Pool(1) as pool:
            assert pool.apply(commit_in_process, [path]) == 3
        assert store.version() == 3
        assert thread.is_alive()
    finally:
        over.set()
        thread.join()


def commit_in_process(path):
    with closing(open_file(path)) as store:
        return commit(store, put(b"c"))


def test_threads_that_have_written_share_the_next_sync(store, monkeypatch):
    commit(store, put(b"a"))
    synced = []
    is_first_over = threading.Event()

    def sync(file):
        synced.append(file)
        if len(synced) == 1:
            assert is_first_over.wait(60)

    monkeypatch.setattr(os, "fdatasync", sync)
    threads = [threading.Thread(target=commit, args=(store, put(b"%d" % number))) for number in range(8)]
    for thread in threads:
        thread.start()
    while store.version() < 9:
        time.sleep(0.001)
    is_first_over.set()
    for thread in threads:
        thread.join()
    assert len(synced) == 2


def test_a_disk_that_fails_to_sync(path, store, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreUnavailable, match=f"the commit was written, but {path}-wal can't be synced"):
            commit(store, put(b"a"))
    assert commit(store, put(b"b")) == 2


_READ_LOCKS = 123, 5
"""The first byte, and the number of bytes, that SQLite's readers lock in the file of its WAL index."""


def _hold_read_locks(path, held, release):
    with path.with_name(f"{path.name}-shm").open("r+b") as file:
        first, number = _READ_LOCKS
        fcntl.lockf(file, fcntl.LOCK_EX, number, first)
        held.set()
        release.wait()


@pytest.mark.slow
def test_a_process_that_stops_while_it_opens_the_file(path, store):
    """SQLite gives up after ten seconds; the next try succeeds once the process goes on, or is gone."""
    processes = multiprocessing.get_context("spawn")
    held, release = processes.Event(), processes.Event()
    process = processes.Process(target=_hold_read_locks, args=(path, held, release))
    process.start()
    assert held.wait(60)
    try:
        with pytest.raises(StoreUnavailable, match="another process was stopped"):
            store.fetch([])
    finally:
        release.set()
        process.join()
    store.fetch([])


def test_a_write_that_fails_does_not_disturb_those_of_other_threads(store):
    barrier = threading.Barrier(8)
    failures = []

    def work(number):
        barrier.wait()
        try:
            commit(store, put(object() if number % 2 else b"%d" % number))
        except TypeError:
            failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(failures) == [1, 3, 5, 7]
    assert [key for key, _ in ask(store, Range(ROWS))] == [b"0", b"2", b"4", b"6"]


def test_a_fork_while_threads_read_and_write(path):
    store = open_file(path, "?durability=normal")
    ended = threading.Event()

    def work():
        while not ended.is_set():
            increment(store, 1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        children = [context.Process(target=increment, args=(store, 10)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == 0
    ended.set()
    for thread in threads:
        thread.join()
    assert ask(store, Get(ROWS, (b"sum",))) == [b"%d" % store.version()]


def test_a_reader_does_not_wait_for_a_writer(path, store):
    commit(store, put(b"a"))
    found = store._writer._lock.hold(lambda _: ask(open_file(path), Range(ROWS)))
    assert found == [(b"a", b"value")]


def test_a_file_that_was_removed_is_created_again(path, store):
    commit(store, put(b"a"))
    store.close()
    path.unlink()
    assert store.version() == 0
    assert commit(store, put(b"a")) == 1


def test_a_killed_writer_leaves_whole_commits(path):
    store = open_file(path)
    context = multiprocessing.get_context("fork")
    for _ in range(10):
        child = context.Process(target=write_pairs, args=(store,))
        child.start()
        time.sleep(0.05)
        child.kill()
        child.join()
        version, _, (rows, other), *_ = store.fetch([Range(ROWS), Range(b"r2")])
        assert len(rows) == len(other) == version
        assert [committed.version for committed in store.changes(0)] == list(range(1, version + 1))


def write_pairs(store):
    while True:
        key = uuid.uuid4().bytes[:8].hex().encode()
        commit(store, put(key), put(key, space=b"r2"))


def test_a_cleared_database_takes_little_space(path, store):
    commit(store, *(put(b"%06d" % number, b"x" * 200) for number in range(5000)))
    store.clear()
    store.close()
    assert path.stat().st_size < 100_000
    with suppress(FileNotFoundError):
        assert Path(f"{path}-wal").stat().st_size == 0


@pytest.mark.parametrize(
    ("bounds", "value", "shortest", "longest"),
    [("log_commits=1000", b"", 1000, 1010), ("log_bytes=100000", b"x" * 1000, 90, 99)],
)
def test_the_log_is_bounded(path, bounds, value, shortest, longest):
    store = open_file(path, f"?{bounds}&durability=normal")
    for number in range(1100):
        newest = commit(store, put(b"%d" % number, value))
        if newest > longest:
            with pytest.raises(SnapshotTooOld):
                store.fetch([], newest - longest - 1)
    assert store.fetch([], newest - shortest).version == newest - shortest


def test_a_transaction_that_is_older_than_the_log(path):
    store = open_file(path, "?log_commits=5&durability=normal")
    commit(store, put(b"a", space=b"r2"))
    seen = {}
    for number in range(200):
        commit(store, put(b"%d" % number))
        fetched = store.fetch([])
        seen[fetched.version] = fetched.digest
    with pytest.raises(SnapshotTooOld):
        store.fetch([], 100)
    unwritten, written = Check(b"r2", b"", LAST, 100), Check(ROWS, b"", b"0", 100)
    assert store.commit(Batch(b"unwritten", [unwritten], [put(b"b", space=b"r3")], seen=seen)) == 202
    for check in (written, Check(b"r2", b"", LAST, 0), Check(b"r3", b"", LAST, 100)):
        with pytest.raises(SnapshotTooOld):
            store.commit(Batch(uuid.uuid4().bytes, [check], [put(b"c")]))
    with pytest.raises(HistoryLost):
        store.commit(Batch(b"lost", writes=[put(b"c")], seen={100: seen[101]}))


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


IDS = [(b"ids", 1)]


def draw(store):
    return store.fetch([], draws=IDS).drawn[0]


def test_a_draw_writes_no_transaction(path, store):
    """But the first one, and one of a hundred."""
    draw(store)
    wal = Path(f"{path}-wal")
    before = wal.stat().st_size
    assert [draw(store) for _ in range(90)] == list(range(2, 92))
    assert wal.stat().st_size == before
    assert [draw(store) for _ in range(20)] == list(range(92, 112))
    assert wal.stat().st_size > before
    assert store.peek(b"ids") == 112


def test_numbers_go_on_in_another_store(path, store):
    assert [draw(store), draw(store)] == [1, 2]
    other = open_file(path)
    assert [draw(other), draw(store), draw(other)] == [3, 4, 5]
    store.close()
    other.close()
    assert draw(store) == 6
    other.close()


def test_numbers_of_processes_are_in_order(path, store):
    draw(store)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(draw_many, [str(path)] * 8)
    assert all(each == sorted(each) for each in found)
    assert sorted(number for each in found for number in each) == list(range(2, 8 * 200 + 2))
    assert draw(store) == 8 * 200 + 2


def draw_many(path):
    store = open_file(path)
    try:
        return [draw(store) for _ in range(200)]
    finally:
        store.close()


@pytest.mark.parametrize("content", [b"", b"garbage of another program", None])
def test_numbers_after_a_crash_of_the_machine(path, store, content, monkeypatch):
    """Some are skipped, and none comes twice."""
    used = [draw(store) for _ in range(3)]
    store.close()
    ids = Path(f"{path}-ids")
    if content is None:
        monkeypatch.setattr("rome.storage.file.numbers._boot", lambda: "another boot")
        store = open_file(path)
    else:
        ids.write_bytes(content)
    found = draw(store)
    assert max(used) < found <= 101
    assert draw(store) == found + 1
    store.close()


def test_numbers_where_the_system_does_not_tell_its_boot(path, monkeypatch):
    """Each draw is written to the database."""
    monkeypatch.setattr("rome.storage.file.numbers._boot", lambda: "")
    store = open_file(path)
    assert [draw(store) for _ in range(3)] == [1, 2, 3]
    store.close()
    Path(f"{path}-ids").unlink()
    store = open_file(path)
    assert draw(store) == 4
    store.close()


def test_numbers_of_a_database_that_was_restored(path, store, tmp_path):
    """Its limits are others than those of the small file beside it."""
    draw(store)
    backup = tmp_path / "backup.rome"
    newer = open_file(backup)
    newer.advance(b"ids", 1000)
    store.close()
    newer.close()
    path.write_bytes(backup.read_bytes())
    assert draw(store) == 1001
    store.close()


def test_numbers_of_very_many_counters(path, store):
    counters = [b"counter %d" % number for number in range(1000)]
    other = open_file(path)
    for start, each in enumerate((store, other, store, other), start=1):
        assert each.fetch([], None, [(counter, 1) for counter in counters]).drawn == [start] * 1000


def test_numbers_of_a_copy(path, store, tmp_path):
    """They go on where those of the source are."""
    draw(store)
    copy = open_file(tmp_path / "copy.rome")
    copy.copy_from(store)
    assert (copy.peek(b"ids"), draw(copy), draw(store)) == (2, 2, 2)
    copy.close()


def test_numbers_of_a_cleared_database(path, store):
    draw(store)
    store.clear()
    assert draw(store) == 1


def test_a_token_that_is_old(path, store):
    """There is no index of the tokens: it is looked for after the versions that the batch depends on."""
    batch = Batch(b"token", [Check(ROWS, b"a", b"b", 0)], [put(b"a", b"1")])
    first = store.commit(batch)
    for number in range(20):
        commit(store, put(b"%d" % number, b""))
    assert store.commit(batch) == first
    assert store.commit(Batch(b"token")) == first
