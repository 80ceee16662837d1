"""Exceptions that a signal handler raises at any point of a statement or commit.

CPython runs signal handlers when a Python function begins, among other points. A profile function sees the same points,
so each of them can be tried, one after the other. It must not raise when a C function returns: CPython 3.11 may crash
then. Real signals, at random moments, meet those points.
"""

import gc
import random
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import FrameType
from typing import Any, Self

import pytest

import rome
from rome.errors import OperationalError, ProgrammingError
from rome.storage.redis.connection import pack_one
from rome.testing import check_database

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

ROWS = [(number, 0, f"name {number}") for number in range(5)]


class Interrupted(BaseException):
    """Raised at some point, as KeyboardInterrupt is."""


class Injection:
    """Raises Interrupted at the point of a number within the block.

    The garbage collector does not run there: the point might be in a finalizer of an object that another test has left.
    """

    def __init__(self, point: int) -> None:
        self._left = point
        self.was_raised = False
        """True if the block was left by the exception. Python drops those that are raised in a finalizer."""

    @property
    def was_reached(self) -> bool:
        return self._left <= 0

    def __enter__(self) -> Self:
        gc.disable()
        sys.setprofile(self._profile)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        sys.setprofile(None)
        gc.enable()
        self.was_raised = kind is Interrupted
        return self.was_raised

    def _profile(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code is not Injection.__exit__.__code__:
            self._left -= 1
            if self._left == 0:
                raise Interrupted


@pytest.fixture
def url(store_url: str) -> Iterator[str]:
    rome.drop_database(store_url)
    with closing(rome.connect(store_url)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, name TEXT UNIQUE)")
        connection.execute("CREATE INDEX t_n ON t (n)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
        connection.commit()
    yield store_url
    rome.drop_database(store_url)


@pytest.fixture(params=["memory", "file", pytest.param("redis", marks=pytest.mark.server)])
def store_url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "rome+memory:///interruptions"
    if request.param == "file":
        return f"rome+file://{request.getfixturevalue('tmp_path')}/interruptions.rome?durability=normal"
    url: str = request.getfixturevalue("redis_server").url("interruptions")
    return url


def rows_of(url: str) -> list[Any]:
    with closing(rome.connect(url)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (5,)
        return connection.execute("SELECT * FROM t ORDER BY id").fetchall()


def seen_by(connection: rome.Connection) -> Any:
    try:
        return connection.execute("SELECT count(*), sum(n) FROM t").fetchall()
    except OperationalError as error:
        return "doomed" if "interrupted in the middle" in str(error) else error


def points(limit: int = 400) -> Iterator[int]:
    """Return points to interrupt: the first ones each, later ones with growing steps."""
    point, step = 1, 1
    while step < limit:
        yield point
        step = 1 + point // 60
        point += step


STATEMENTS = [
    "UPDATE t SET n = n + 1",  # in the workspace
    "UPDATE t SET n = 1 WHERE id = 3",  # without it
    "DELETE FROM t WHERE n = 0 AND id > 2",
    "INSERT INTO t (n, name) VALUES (7, 'new')",
    "INSERT INTO t (n, name) SELECT n, name || 'x' FROM t",
    "SELECT * FROM t WHERE n >= 0 ORDER BY name",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_leaves_the_transaction_as_before_or_dooms_it(url: str, statement: str) -> None:
    with closing(rome.connect(url)) as connection:
        for point in points():
            connection.execute("UPDATE t SET n = 5 WHERE id = 0")
            with Injection(point) as injection:
                connection.execute(statement)
            if not injection.was_raised:
                connection.rollback()
                if injection.was_reached:
                    continue
                break
            if seen_by(connection) == "doomed":
                with pytest.raises(OperationalError, match="interrupted in the middle"):
                    connection.commit()
            else:
                assert seen_by(connection) == [(5, 5)]
                connection.rollback()
            assert rows_of(url) == ROWS
            assert connection.execute("SELECT * FROM t ORDER BY id").fetchall() == ROWS
            connection.rollback()
        else:
            pytest.fail("the statement has more points than were tried")
    assert check_database(url) == []


def test_a_commit_is_applied_or_not(url: str) -> None:
    before = ROWS
    with closing(rome.connect(url)) as connection:
        for point in points():
            connection.execute("UPDATE t SET n = n + 1")
            with Injection(point) as injection:
                connection.commit()
            after = [(number, n + 1, name) for number, n, name in before]
            now = rows_of(url)
            assert now in ([before, after] if injection.was_raised else [after])
            connection.rollback()
            assert connection.execute("SELECT * FROM t ORDER BY id").fetchall() == now
            connection.rollback()
            before = now
            if not injection.was_reached:
                break
    assert check_database(url) == []


def test_a_rollback_can_be_repeated(url: str) -> None:
    with closing(rome.connect(url)) as connection:
        for point in points():
            connection.execute("UPDATE t SET n = n + 1")
            connection.execute("SAVEPOINT s")
            with Injection(point) as injection:
                connection.rollback()
            connection.rollback()
            assert connection.execute("SELECT * FROM t ORDER BY id").fetchall() == ROWS
            connection.rollback()
            if not injection.was_reached:
                break


def test_a_new_workspace_has_the_functions_of_the_connection(url: str) -> None:
    with closing(rome.connect(url)) as connection:
        connection.create_function("twice", 1, lambda value: 2 * value, deterministic=True)
        connection.create_collation("backwards", lambda one, other: (one < other) - (one > other))
        with Injection(10):
            connection.execute("UPDATE t SET n = n + 1")
        connection.rollback()
        assert connection.execute("SELECT twice(id) FROM t WHERE id = 2").fetchone() == (4,)
        assert connection.execute("SELECT name FROM t ORDER BY name COLLATE backwards").fetchone() == ("name 4",)


def test_under_autocommit_the_next_statement_runs(url: str) -> None:
    with closing(rome.connect(url, isolation_level="AUTOCOMMIT")) as connection:
        with Injection(20) as injection:
            connection.execute("SELECT * FROM t WHERE n >= 0 ORDER BY name")
        assert injection.was_raised
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (5,)
        connection.execute("BEGIN")
        with Injection(20) as injection:
            connection.execute("SELECT * FROM t WHERE n >= 0 ORDER BY name")
        assert injection.was_raised
        with pytest.raises(OperationalError, match="interrupted in the middle"):
            connection.execute("SELECT count(*) FROM t")


def test_a_connection_that_another_thread_uses(url: str) -> None:
    """Python functions in SQL show the connection in the middle of a statement."""
    begun, ended = threading.Event(), threading.Event()

    def wait() -> int:
        begun.set()
        ended.wait(30)
        return 1

    with closing(rome.connect(url)) as connection:
        connection.create_function("wait", 0, wait)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(connection.execute, "SELECT wait(), row_number() OVER () FROM t")
            assert begun.wait(30)
            for work in (lambda: connection.execute("SELECT 1"), connection.commit, connection.rollback):
                with pytest.raises(ProgrammingError, match="used by another thread"):
                    work()
            ended.set()
            assert len(running.result().fetchall()) == 5
            with Injection(15) as injection:
                connection.execute("SELECT * FROM t WHERE n >= 0 ORDER BY name")
            assert injection.was_raised
            pool.submit(connection.rollback).result()
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (5,)


def test_only_bytes_are_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """hiredis crashes if a signal handler raises while it formats an int."""
    from rome.storage.redis import connection as connections

    def pack_command(command: tuple[Any, ...]) -> bytes:
        assert set(map(type, command)) == {bytes}
        return original(command)

    original = connections.pack_command
    monkeypatch.setattr(connections, "pack_command", pack_command)
    assert pack_one((b"PING",)) == b"*1\r\n$4\r\nPING\r\n"
    with closing(rome.connect(url)) as connection:
        connection.execute("INSERT INTO t VALUES (100, 1, 'x')")
        connection.execute("SELECT * FROM t WHERE n IN (1, 2) FOR UPDATE").fetchall()
        connection.commit()
        connection.execute("SELECT count(*) FROM t WHERE n = 1 OR n = 2").fetchall()
        assert len(list(connection.database.store.changes(0))) == 2


@pytest.mark.parametrize("seed", range(3))
def test_timers(url: str, seed: int) -> None:
    """Real signals at random moments."""

    def handler(*_: Any) -> None:
        raise Interrupted

    chance = random.Random(seed)
    former = signal.signal(signal.SIGALRM, handler)
    try:
        with closing(rome.connect(url)) as connection:
            for _ in range(150):
                try:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00005, 0.003))
                        connection.execute("UPDATE t SET n = n + 1 WHERE id = ?", (chance.randrange(5),))
                        connection.execute("UPDATE t SET n = n - 1 WHERE id > 3 OR id = ?", (chance.randrange(4),))
                        connection.execute("UPDATE t SET n = n + 1 WHERE id = 4")
                        connection.commit()
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                except Interrupted:
                    connection.rollback()
                assert connection.execute("SELECT sum(n) FROM t").fetchone() == (0,)
                connection.rollback()
    finally:
        signal.signal(signal.SIGALRM, former)
    assert sum(n for _, n, _ in rows_of(url)) == 0
    assert check_database(url) == []
