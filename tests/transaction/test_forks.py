"""A child that is forked while other threads do something works at once."""

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import rome
from rome import forks, waits
from rome.database.registry import open_database
from rome.dbapi import Connection
from rome.locks import LockManager
from rome.storage.file.store import FileStore
from rome.storage.file.writer import Writer
from rome.testing import clone_database
from rome.url import parse_url

HANGS = 60.0
"""Seconds: a child that waits for a lock of its parent waits for ever."""
IN_SQLITE = (
    "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 200) SELECT hex(randomblob(9)) FROM x"
)

Work = Callable[[str, int], None]
"""The work that a thread repeats; the number is another one each time."""

_of_thread = threading.local()


def own(url: str) -> Connection:
    """Return the connection of this thread."""
    if not hasattr(_of_thread, "connection"):
        _of_thread.connection = rome.connect(url)
    connection: Connection = _of_thread.connection
    return connection


def connect(url: str, _number: int) -> None:
    rome.connect(url).close()


def compiled_statement(url: str, number: int) -> None:
    own(url).execute("SELECT n FROM t WHERE id < ?", (number % 10,)).fetchall()
    own(url).rollback()


def statement_in_sqlite(url: str, _number: int) -> None:
    own(url).execute(IN_SQLITE).fetchall()
    own(url).rollback()


def commit(url: str, number: int) -> None:
    with suppress(rome.dbapi.OperationalError):  # a conflict with another thread
        own(url).execute("UPDATE t SET n = ? WHERE id = 1", (number,))
        own(url).commit()


def draw_of_a_counter(url: str, number: int) -> None:
    own(url).execute("INSERT INTO t (n) VALUES (?)", (number,))
    own(url).rollback()


def lock(url: str, number: int) -> None:
    manager = LockManager(url)
    with manager.lock(f"lock {number % 2}"):
        pass
    manager.close()


def row_lock(url: str, _number: int) -> None:
    own(url).execute("SELECT n FROM t WHERE id = 2 FOR UPDATE").fetchall()
    own(url).rollback()


def schema_change(url: str, number: int) -> None:
    name = f"t{threading.get_ident()}_{number}"
    own(url).execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    own(url).rollback()


WORKS: list[Work] = [
    connect,
    compiled_statement,
    statement_in_sqlite,
    commit,
    draw_of_a_counter,
    lock,
    row_lock,
    schema_change,
]


@contextmanager
def threads(url: str, work: Work) -> Iterator[list[BaseException]]:
    """Let two threads work. Yield the exceptions that they had."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def run(seed: int) -> None:
        number = seed
        try:
            while not stop.is_set():
                number += 2
                work(url, number)
        except BaseException as error:  # for the main thread
            failures.append(error)
        finally:
            if hasattr(_of_thread, "connection"):
                _of_thread.connection.close()

    running = [threading.Thread(target=run, args=(seed,)) for seed in range(2)]
    for thread in running:
        thread.start()
    try:
        yield failures
    finally:
        stop.set()
        for thread in running:
            thread.join()


def in_child(url: str) -> None:
    """Use everything once."""
    with closing(rome.connect(url)) as connection:
        for statement in (IN_SQLITE, "SELECT n FROM t WHERE id = 1", "SELECT n FROM t WHERE id = 3 FOR UPDATE"):
            connection.execute(statement).fetchall()
        (count,) = connection.execute("SELECT count(*) FROM t").fetchone()
        connection.execute("INSERT INTO t (n) VALUES (0), (1)")
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (count + 2,)
        connection.commit()
    manager = LockManager(url)
    with manager.lock("a lock of the child"):
        pass
    manager.close()


def fork_and_wait(url: str) -> int | None:
    """Return the exit status of a child that uses the database; None if it hangs."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            in_child(url)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    deadline = time.monotonic() + HANGS
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGABRT)  # pytest lets faulthandler print where it hangs
            os.waitpid(child, 0)
            return None
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_a_child_works_whatever_other_threads_do(url: str, work: Work) -> None:
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n INT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(number, number) for number in range(10)])
        connection.commit()
    pauses = random.Random(work.__name__)
    with threads(url, work) as failures:
        for _ in range(5):
            time.sleep(pauses.uniform(0.0, 0.02))
            assert fork_and_wait(url) == 0
            assert not failures


IMPORTING = """
import os, signal, sys, threading, time
import rome

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "rome.storage.memory_locks":
            begun.set()
            time.sleep(0.5)

begun = threading.Event()
sys.meta_path.insert(0, Slow())
threading.Thread(target=rome.connect, args=("rome+memory:///a",)).start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    rome.connect("rome+memory:///b").close()
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.slow
def test_threads_are_listed_without_collecting_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpreters have waited for ever in a fork, because a finalizer ran while they listed their threads."""
    current_frames = sys._current_frames

    def list_frames() -> dict[int, FrameType]:
        assert not gc.isenabled()
        return current_frames()

    monkeypatch.setattr(sys, "_current_frames", list_frames)
    assert waits.thread_frames()[threading.get_ident()].f_code.co_name == "list_frames"
    assert gc.isenabled()


def test_a_child_works_whose_parent_imports_a_store() -> None:
    subprocess.run([sys.executable, "-c", IMPORTING], check=True)


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Two files, the first with a table of ten rows, to which no connection is open."""
    urls = f"rome+file://{tmp_path}/source.rome", f"rome+file://{tmp_path}/target.rome"
    with closing(rome.connect(urls[0])) as connection, closing(rome.connect(urls[1])):
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n INT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(number, number) for number in range(10)])
        connection.commit()
    for url in urls:
        open_database(parse_url(url)).store.close()
    return urls


@pytest.mark.parametrize("forward", [True, False], ids=["the source was opened first", "the target was opened first"])
def test_a_child_works_whose_parent_copies_a_file(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch, forward: bool
) -> None:
    """The fork comes when the copy has opened one of the files, and is about to open the other one."""
    source, target = files if forward else (files[1], files[0])
    if not forward:
        clone_database(files[0], source)
        rome.drop_database(target)
        for url in files:
            open_database(parse_url(url)).store.close()
    connect, opened = Writer.connect, threading.Event()

    def connect_and_wait(writer: Writer) -> Any:
        connection = connect(writer)
        if not opened.is_set():
            opened.set()
            while not forks.fork_is_under_way:
                time.sleep(0.001)
            time.sleep(0.01)
        return connection

    monkeypatch.setattr(Writer, "connect", connect_and_wait)
    copying = threading.Thread(target=clone_database, args=(source, target))
    copying.start()
    opened.wait()
    assert fork_and_wait(source) == 0
    copying.join()
    assert fork_and_wait(target) == 0


def test_a_fork_during_a_read_that_takes_too_long(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The child does not use the file: it would take its parent's locks for its own."""
    monkeypatch.setattr(forks, "_LONGEST_WAIT", 0.05)
    store = open_database(parse_url(files[0])).store
    assert isinstance(store, FileStore)
    is_reading, may_end = threading.Event(), threading.Event()

    def read(_connection: object) -> None:
        is_reading.set()
        may_end.wait()

    reading = threading.Thread(target=store._read, args=(read,))
    reading.start()
    is_reading.wait()
    assert fork_and_wait(files[0]) != 0
    assert "source.rome can't be used in this process, which was forked while" in capfd.readouterr().err
    may_end.set()
    reading.join()
    assert fork_and_wait(files[0]) == 0


FORK_HANDLERS = """
import os, sys
register, modules = os.register_at_fork, []

def note(**handlers):
    if "before" in handlers:
        modules.append(sys._getframe(1).f_globals["__name__"])
    return register(**handlers)

os.register_at_fork = note
import rome
from rome.errors import StoreUnavailable
try:
    rome.connect(sys.argv[1]).execute("SELECT 1")
except StoreUnavailable:
    pass
print(modules[-1])
"""


@pytest.mark.parametrize("address", ["rome+memory:///handlers", "rome+redis://127.0.0.1:1/nobody"])
def test_no_module_that_a_connection_imports_has_a_handler_before_forks(address: str) -> None:
    """If another thread imported it while a fork waits, its handler would release a lock that it has not taken."""
    found = subprocess.run([sys.executable, "-c", FORK_HANDLERS, address], check=True, capture_output=True, text=True)
    assert found.stdout == "rome.forks\n"
