"""SELECT … FOR UPDATE on every store."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import rome
from rome.dbapi import Connection
from rome.errors import Conflict, InterfaceError, LockTimeout, NotSupportedError, OperationalError
from rome.testing.servers import RedisServer
from rome.transaction import row_locks

LEVELS = ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"]


@pytest.fixture
def table(url: str) -> str:
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, n INTEGER DEFAULT 0)")
        connection.execute("CREATE TABLE tags (job INTEGER, tag TEXT COLLATE NOCASE, PRIMARY KEY (tag, job))")
        connection.execute("CREATE TABLE loose (a)")
        connection.execute("INSERT INTO jobs (state) VALUES ('new'), ('new'), ('new'), ('old')")
        connection.execute("INSERT INTO tags VALUES (1, 'A'), (1, 'b')")
        connection.execute("INSERT INTO loose VALUES (1), (2)")
    return url


@pytest.fixture
def two(table: str) -> Iterator[tuple[Connection, Connection]]:
    first, second = rome.connect(table), rome.connect(table)
    yield first, second
    first.close()
    second.close()


def _ids(connection: Connection, sql: str, parameters: object = ()) -> list[object]:
    return [row[0] for row in connection.execute(sql, parameters).fetchall()]


def test_a_wait_can_be_interrupted(two: tuple[Connection, Connection]) -> None:
    first, second = two
    first.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
    second.execute("UPDATE jobs SET n = 7 WHERE id = 3")
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            second.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
        except BaseException as error:
            failures.append(error)

    began = time.monotonic()
    # An interruption that comes before the wait ends the statement, too: so once more.
    while not failures or str(failures[-1]) == "interrupted":
        waiting = threading.Thread(target=wait)
        waiting.start()
        while waiting.is_alive():
            waiting.join(0.2)
            second.interrupt()
    assert time.monotonic() - began < row_locks.TTL / 2, "it waits for the TTL of the holder"
    assert isinstance(failures[-1], OperationalError)
    assert str(failures[-1]) == "interrupted while waiting for row locks"
    first.rollback()
    assert _ids(second, "SELECT n FROM jobs WHERE id IN (1, 3) FOR UPDATE") == [0, 7]
    second.commit()


def _is_locked(connection: Connection, sql: str) -> bool:
    try:
        connection.execute(f"{sql} FOR UPDATE NOWAIT")
    except LockTimeout:
        return True
    finally:
        connection.rollback()
    return False


def test_only_the_rows_of_the_result_are_locked(two: tuple[Connection, Connection]) -> None:
    first, second = two
    assert _ids(first, "SELECT n, id FROM jobs WHERE state = 'old' FOR UPDATE") == [0]
    assert _is_locked(second, "SELECT * FROM jobs WHERE id = 4")
    assert not _is_locked(second, "SELECT * FROM jobs WHERE id < 4")
    first.rollback()
    assert not _is_locked(second, "SELECT * FROM jobs WHERE id = 4")


def test_released_with_commit_and_close(two: tuple[Connection, Connection]) -> None:
    first, second = two
    for end in (first.commit, first.rollback, first.close):
        first.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE") if not first._control.is_closed else None
        assert _is_locked(second, "SELECT * FROM jobs WHERE id = 1")
        end()
        assert not _is_locked(second, "SELECT * FROM jobs WHERE id = 1")


def test_the_result_is_that_of_the_select(two: tuple[Connection, Connection]) -> None:
    first, _ = two
    for sql in (
        "SELECT * FROM jobs WHERE id > 1 ORDER BY id DESC LIMIT 2",
        "SELECT ALL j.state AS s, tag FROM jobs AS j LEFT JOIN tags ON job = j.id ORDER BY j.id, tag",
        "SELECT a FROM loose",
        "SELECT count(*), max(n) FROM jobs",
        "SELECT DISTINCT state FROM jobs",
        "SELECT id, n FROM jobs ORDER BY 2, 1 DESC",
        "SELECT id FROM jobs UNION SELECT a FROM loose",
        "WITH j AS (SELECT * FROM jobs) SELECT id FROM j",
    ):
        cursor = first.execute(sql)
        expected = cursor.fetchall(), cursor.description
        cursor = first.execute(f"{sql} FOR UPDATE;")
        assert (cursor.fetchall(), cursor.description) == expected, sql
        first.rollback()


def test_rows_of_every_table_of_a_join_are_locked(two: tuple[Connection, Connection]) -> None:
    first, second = two
    first.execute("SELECT 1 FROM jobs JOIN tags ON job = jobs.id WHERE tag = 'a' FOR UPDATE OF jobs, tags")
    assert _is_locked(second, "SELECT * FROM jobs WHERE id = 1")
    assert _is_locked(second, "SELECT * FROM tags WHERE tag = 'A'")
    assert not _is_locked(second, "SELECT * FROM tags WHERE tag = 'b'")
    first.rollback()
    first.execute("SELECT a FROM loose WHERE a = 2 FOR UPDATE")
    assert _is_locked(second, "SELECT * FROM loose")
    assert not _is_locked(second, "SELECT * FROM loose WHERE a = 1")


@pytest.mark.parametrize("level", LEVELS)
def test_who_waits_reads_the_newest_version(table: str, level: str) -> None:
    """Increments that would conflict, or be lost, run one after the other."""
    threads = []
    errors: list[Exception] = []

    def increment() -> None:
        connection = rome.connect(table, isolation_level=level)
        try:
            for _ in range(5):
                ((n,),) = connection.execute("SELECT n FROM jobs WHERE id = 1 FOR UPDATE").fetchall()
                connection.execute("UPDATE jobs SET n = ? WHERE id = 1", (n + 1,))
                connection.commit()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    for _ in range(4):
        threads.append(threading.Thread(target=increment))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert errors == []
    with rome.connect(table) as connection:
        assert _ids(connection, "SELECT n FROM jobs WHERE id = 1") == [20]


def test_a_row_that_changed_since_the_read_version(two: tuple[Connection, Connection]) -> None:
    first, second = two
    first.execute("SELECT * FROM jobs")
    second.execute("UPDATE jobs SET n = 7 WHERE id = 1")
    second.commit()
    assert _ids(first, "SELECT n FROM jobs WHERE id = 2 FOR UPDATE") == [0]
    with pytest.raises(Conflict, match="changed after this transaction's read version"):
        first.execute("SELECT n FROM jobs WHERE id = 1 FOR UPDATE")
    assert _ids(first, "SELECT n FROM jobs WHERE id = 1 FOR UPDATE") == [7]


def test_read_committed_reads_it_again(table: str) -> None:
    first, second = rome.connect(table, isolation_level="READ COMMITTED"), rome.connect(table)
    first.execute("UPDATE jobs SET n = 1 WHERE id = 4")
    second.execute("UPDATE jobs SET n = 7 WHERE id = 1")
    second.commit()
    assert _ids(first, "SELECT n FROM jobs WHERE id IN (1, 4) ORDER BY id FOR UPDATE") == [7, 1]
    first.commit()
    first.close()
    second.close()


def test_the_timeout_names_the_table(two: tuple[Connection, Connection], table: str) -> None:
    first, second = two[0], rome.connect(f"{table}?lock_timeout=0.1")
    first.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
    with pytest.raises(LockTimeout, match=r"could not lock a row of jobs within 0.1 s"):
        second.execute("SELECT * FROM jobs FOR UPDATE")
    assert _ids(second, "SELECT id FROM jobs WHERE id = 2 FOR UPDATE") == [2]
    second.close()


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan", ""])
def test_a_timeout_is_a_number(table: str, value: str) -> None:
    with pytest.raises(InterfaceError, match="lock_timeout is a number of seconds"):
        rome.connect(f"{table}?lock_timeout={value}")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("change", ["UPDATE jobs SET n = 7 WHERE id = 1", "DELETE FROM jobs WHERE id = 1"])
@pytest.mark.parametrize("writes", [False, True])
def test_a_locked_row_that_another_has_written_is_not_relied_on(
    table: str, level: str, change: str, writes: bool
) -> None:
    """If the lock is lost, others do not wait; then the holder's commit fails, whether it writes or not."""
    holder, other = rome.connect(table, isolation_level=level), rome.connect(table)
    assert holder.execute("SELECT n FROM jobs WHERE id = 1 FOR UPDATE").fetchall() == [(0,)]
    locks = other.database.store.lock_table()
    for lock in locks.holders():
        assert locks.release([lock.name], lock.owner)
    other.execute(change)
    other.commit()
    if writes:
        holder.execute("INSERT INTO loose VALUES (3)")
    with pytest.raises(Conflict, match="conflict on table jobs"):
        holder.commit()
    assert _ids(other, "SELECT count(*) FROM loose") == [2]
    assert not _is_locked(other, "SELECT * FROM jobs")
    for connection in (holder, other):
        connection.close()


def test_locked_rows_without_other_writers_cost_one_more_round_trip(two: tuple[Connection, Connection]) -> None:
    first, second = two
    first.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
    second.execute("UPDATE jobs SET n = 1 WHERE id = 2")
    second.commit()
    before = first.stats.rounds
    first.commit()
    assert first.stats.rounds - before <= 2  # the check, and the release where it is one


def test_what_might_be_a_deadlock_is_refused_at_once(two: tuple[Connection, Connection]) -> None:
    first, second = two
    first.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
    second.execute("SELECT * FROM jobs WHERE id = 2 FOR UPDATE")
    began = time.monotonic()
    with pytest.raises(Conflict, match="might be a deadlock"):
        second.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
    assert time.monotonic() - began < 60
    assert not second.in_transaction
    assert _ids(first, "SELECT id FROM jobs WHERE id = 2 FOR UPDATE") == [2]


def test_skip_locked_is_a_queue(table: str) -> None:
    sql = "SELECT id FROM jobs WHERE state = ? ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED"
    workers = [rome.connect(table) for _ in range(5)]
    assert [_ids(worker, sql, ("new", 1)) for worker in workers] == [[1], [2], [3], [], []]
    workers[0].execute("UPDATE jobs SET state = 'done' WHERE id = 1")
    workers[0].commit()
    for worker in (workers[1], workers[3], workers[4]):  # those that have seen the old state must begin again
        worker.rollback()
    assert _ids(workers[3], sql, ("new", 10)) == [2]
    workers[2].rollback()
    assert _ids(workers[4], sql.replace("LIMIT ?", "LIMIT 5 OFFSET ?"), ("new", 0)) == [3]
    for worker in workers:
        worker.close()


def test_a_queue_served_by_threads(table: str) -> None:
    with rome.connect(table) as connection:
        connection.executemany("INSERT INTO jobs (state) VALUES (?)", [("new",)] * 17)
    served: list[object] = []
    errors: list[Exception] = []

    def serve() -> None:
        connection = rome.connect(table)
        try:
            while ids := _ids(connection, "SELECT id FROM jobs WHERE state = 'new' LIMIT 1 FOR UPDATE SKIP LOCKED"):
                connection.execute("UPDATE jobs SET state = 'done' WHERE id = ?", ids)
                connection.commit()
                served.extend(ids)
        except Exception as error:
            errors.append(error)
        connection.close()

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(served) == len(set(served)) == 20


def test_skip_locked_needs_the_keys_of_rows(two: tuple[Connection, Connection]) -> None:
    with pytest.raises(NotSupportedError, match="SKIP LOCKED"):
        two[0].execute("SELECT count(*) FROM jobs FOR UPDATE SKIP LOCKED")


def test_rows_of_an_aggregate_are_locked(two: tuple[Connection, Connection]) -> None:
    first, second = two
    assert _ids(first, "SELECT count(*) FROM jobs WHERE id < 3 FOR UPDATE") == [2]
    assert _is_locked(second, "SELECT * FROM jobs WHERE id = 2")


def test_locked_rows_are_guarded_though_they_are_not_changed(
    two: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two transactions read one row and write elsewhere. If the locks are lost, the commit check still fails."""
    first, second = two
    monkeypatch.setattr(row_locks.RowLocks, "lock", lambda self, rows, *_: bool(self.rows.update(dict.fromkeys(rows))))
    for connection in two:
        connection.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
        connection.execute("INSERT INTO loose VALUES (3)")
    first.commit()
    with pytest.raises(Conflict, match="conflict on table jobs"):
        second.commit()


def test_the_schema_has_changed(two: tuple[Connection, Connection]) -> None:
    first, second = two
    first.execute("SELECT * FROM loose FOR UPDATE")
    first.rollback()
    second.execute("DROP TABLE loose")
    second.execute("CREATE TABLE loose (b TEXT PRIMARY KEY, a)")
    second.execute("INSERT INTO loose VALUES ('x', 9)")
    second.commit()
    assert _ids(first, "SELECT a FROM loose FOR UPDATE") == [9]
    assert _is_locked(second, "SELECT * FROM loose WHERE b = 'x'")


def test_round_trips(table: str) -> None:
    connection = rome.connect(table)
    connection.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
    connection.rollback()
    before = connection.stats.rounds
    connection.execute("SELECT * FROM jobs WHERE id < 4 FOR UPDATE")
    connection.execute("UPDATE jobs SET n = 1 WHERE id < 4")
    connection.commit()
    assert connection.stats.rounds - before <= 4
    connection.close()


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    n: Mapped[int]


def test_sqlalchemy(table: str) -> None:
    engine = create_engine(table)
    for options, clause in (
        ({}, "FOR UPDATE"),
        ({"nowait": True}, "FOR UPDATE NOWAIT"),
        ({"skip_locked": True, "of": Job}, "FOR UPDATE OF jobs SKIP LOCKED"),
        ({"read": True}, "FOR UPDATE"),
    ):
        assert str(select(Job).with_for_update(**options).compile(engine)).endswith(clause)
    inner = select(Job.id).with_for_update().scalar_subquery()
    assert "FOR UPDATE" not in str(select(func.count()).where(Job.id.in_(inner)).compile(engine))
    with Session(engine) as session, Session(engine) as rival:
        job = session.get(Job, 1, with_for_update=True)
        assert job is not None
        free = select(Job).where(Job.state == "new").order_by(Job.id).limit(1).with_for_update(skip_locked=True)
        assert rival.scalars(free).one().id == 2
        job.n = 5
        session.commit()
        assert session.scalars(select(Job.n).where(Job.id == 1).with_for_update()).one() == 5
    engine.dispose()


def _lock_and_write(url: str, pipe: Pipe) -> None:
    row_locks.TTL = 0.5
    connection = rome.connect(url)
    connection.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
    pipe.send("locked")
    pipe.recv()
    try:
        connection.execute("INSERT INTO loose VALUES (3)")
        connection.commit()
    except Conflict:
        pipe.send("conflict")
    else:
        pipe.send("committed")


def test_a_paused_process_loses_its_locks_and_its_commit(
    redis_server: RedisServer, start_process: Callable[[BaseProcess], None]
) -> None:
    url = redis_server.url("paused-row-locks")
    rome.drop_database(url)
    connection = rome.connect(url)
    connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE loose (a)")
    connection.execute("INSERT INTO jobs VALUES (1)")
    connection.commit()
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_lock_and_write, args=(url, theirs))
    start_process(process)
    assert process.pid is not None
    assert ours.recv() == "locked"
    os.kill(process.pid, signal.SIGSTOP)
    connection.execute("SELECT * FROM jobs WHERE id = 1 FOR UPDATE")
    connection.execute("INSERT INTO loose VALUES (4)")
    connection.commit()
    ours.send("go on")
    os.kill(process.pid, signal.SIGCONT)
    assert ours.recv() == "conflict"
    process.join()
    assert _ids(connection, "SELECT a FROM loose") == [4]
    connection.close()


# ── connections that are dropped, processes that exit ─────────────────────────────────────────────────────────────


@pytest.fixture
def long_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no TTL pass during a test."""
    monkeypatch.setattr(row_locks, "TTL", 10_000.0)


def test_a_dropped_connection_gives_its_locks_back(table: str, long_ttl: None) -> None:
    dropped = rome.connect(table)
    assert _ids(dropped, "SELECT id FROM jobs WHERE id < 3 FOR UPDATE") == [1, 2]
    dropped.execute("UPDATE jobs SET state = 'lost' WHERE id = 1")
    del dropped
    gc.collect()
    with closing(rome.connect(table)) as connection:
        assert connection.execute("SELECT state FROM jobs WHERE id < 3 FOR UPDATE").fetchall() == [("new",)] * 2
        connection.execute("UPDATE jobs SET state = 'done' WHERE id = 1")
        connection.commit()


def test_what_was_released_is_not_released_again(table: str, long_ttl: None, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = rome.connect(table)
    assert _ids(connection, "SELECT id FROM jobs WHERE id < 3 FOR UPDATE") == [1, 2]
    assert connection._control.transaction is not None
    assert connection._control.transaction.row_locks is not None
    renewer = connection._control.transaction.row_locks._manager._renewer
    connection.commit()
    released: list[object] = []
    monkeypatch.setattr(type(renewer._table), "release", lambda *arguments: released.append(arguments))
    connection.close()
    del connection
    gc.collect()
    renewer._release_dropped()
    assert released == []


def test_a_child_of_fork_does_not_release_the_locks_of_its_parent(table: str, long_ttl: None) -> None:
    connection = rome.connect(table)
    assert _ids(connection, "SELECT id FROM jobs WHERE id = 1 FOR UPDATE") == [1]
    locks = connection._control.transaction.row_locks  # type: ignore[union-attr]
    assert locks is not None
    renewer = locks._manager._renewer
    child = os.fork()
    if child == 0:
        del connection, locks
        gc.collect()
        noted = len(renewer._dropped)
        renewer._release_dropped()
        os._exit(7 if noted else 8)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with closing(rome.connect(table)) as other, pytest.raises(LockTimeout):
        other.execute("SELECT id FROM jobs WHERE id = 1 FOR UPDATE NOWAIT")
    connection.close()


EXITS = """
import sys, rome
from rome.transaction import row_locks
row_locks.TTL = 10_000.0
connection = rome.connect(sys.argv[1])
connection.execute("SELECT id FROM jobs WHERE id = 1 FOR UPDATE").fetchall()
sys.exit(5)
"""


def test_a_process_that_exits_gives_its_locks_back(table: str, long_ttl: None) -> None:
    if table.startswith("rome+memory"):
        pytest.skip("no other process has it")
    assert subprocess.run([sys.executable, "-c", EXITS, table], check=False).returncode == 5
    with closing(rome.connect(table)) as connection:
        assert _ids(connection, "SELECT id FROM jobs WHERE id = 1 FOR UPDATE NOWAIT") == [1]
