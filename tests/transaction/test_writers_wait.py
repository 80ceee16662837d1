"""Commits that write rows which others have locked by SELECT … FOR UPDATE, on every store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import rome
from rome.dbapi import Connection
from rome.errors import Conflict, LockTimeout

LEVELS = ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED", "AUTOCOMMIT"]
Connect = Callable[..., Connection]


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    with rome.connect(url) as first:
        first.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, stock INT, views INT DEFAULT 0, name TEXT UNIQUE)")
        first.execute("CREATE TABLE part (id INTEGER PRIMARY KEY, item INT REFERENCES item)")
        first.execute("INSERT INTO item (id, stock, name) VALUES (1, 5, 'a'), (2, 5, 'b'), (3, 5, 'c')")
    with ExitStack() as stack:

        def connect(**options: object) -> Connection:
            connection = rome.connect(url, **options)
            stack.callback(connection.close)
            return connection

        yield connect
    first.close()


class Background:
    """A function that runs in a thread, and its error."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.error: Exception | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._function()
        except Exception as error:
            self.error = error

    def waits(self) -> bool:
        self._thread.join(0.1)
        return self._thread.is_alive()

    def end(self) -> Exception | None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.error


def items(connection: Connection) -> list[tuple[object, ...]]:
    rows = connection.execute("SELECT id, stock, views FROM item ORDER BY id").fetchall()
    connection.rollback()
    return rows


def update(connection: Connection, sql: str) -> Background:
    def run() -> None:
        connection.execute(sql)
        connection.commit()

    return Background(run)


@pytest.mark.parametrize("level", LEVELS)
def test_a_writer_waits_and_both_commit(connect: Connect, level: str) -> None:
    holder, writer = connect(), connect(isolation_level=level)
    ((stock,),) = holder.execute("SELECT stock FROM item WHERE id = 1 FOR UPDATE").fetchall()
    writing = update(writer, "UPDATE item SET views = views + 1")
    assert writing.waits()
    holder.execute("UPDATE item SET stock = ? WHERE id = 1", (stock - 1,))
    holder.commit()
    assert writing.end() is None
    assert items(holder) == [(1, 4, 1), (2, 5, 1), (3, 5, 1)]


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_a_writer_goes_on_when_the_holder_has_changed_nothing(connect: Connect, end: str) -> None:
    holder, writer = connect(), connect()
    holder.execute("SELECT * FROM item WHERE id = 2 FOR UPDATE")
    writing = update(writer, "DELETE FROM item WHERE id = 2")
    assert writing.waits()
    getattr(holder, end)()
    assert writing.end() is None
    assert [row[0] for row in items(writer)] == [1, 3]


def test_a_value_that_was_read_before_is_a_conflict(connect: Connect) -> None:
    holder, writer = connect(), connect()
    holder.execute("SELECT * FROM item WHERE id = 1 FOR UPDATE")
    ((views,),) = writer.execute("SELECT stock FROM item WHERE id = 1").fetchall()
    writing = update(writer, f"UPDATE item SET stock = {views} - 2 WHERE id = 1")
    assert writing.waits()
    holder.execute("UPDATE item SET stock = 1 WHERE id = 1")
    holder.commit()
    assert isinstance(writing.end(), Conflict)
    assert items(holder)[0] == (1, 1, 0)


def test_several_rows_locked_by_several_holders(connect: Connect) -> None:
    first, second, writer = connect(), connect(), connect()
    second.execute("SELECT * FROM item WHERE id = 3 FOR UPDATE")
    first.execute("SELECT * FROM item WHERE id = 1 FOR UPDATE")
    writing = update(writer, "UPDATE item SET views = views + 1")
    assert writing.waits()
    second.execute("UPDATE item SET stock = 3 WHERE id = 3")
    second.commit()
    assert writing.waits()
    second.execute("SELECT * FROM item WHERE id = 2 FOR UPDATE")  # the writer has asked for the others only
    first.execute("UPDATE item SET stock = 1 WHERE id = 1")
    first.commit()
    assert writing.waits()
    second.commit()
    assert writing.end() is None
    assert items(first) == [(1, 1, 1), (2, 5, 1), (3, 3, 1)]


def test_locks_do_not_stop_writers_of_other_rows_and_of_children(connect: Connect) -> None:
    holder, writer = connect(), connect()
    holder.execute("SELECT * FROM item WHERE id = 1 FOR UPDATE")
    writer.execute("UPDATE item SET views = 1 WHERE id = 2")
    writer.execute("INSERT INTO item (id, stock, name) VALUES (4, 1, 'd')")
    writer.execute("INSERT INTO part (item) VALUES (1)")
    writer.commit()
    holder.commit()
    assert len(items(holder)) == 4


def test_the_time_to_wait_is_limited(connect: Connect) -> None:
    holder, writer = connect(), connect(lock_timeout=0.1)
    holder.execute("SELECT * FROM item WHERE id = 1 FOR UPDATE")
    writer.execute("UPDATE item SET views = 1 WHERE id = 1")
    with pytest.raises(LockTimeout, match=r"could not lock a row of item within 0\.1 s"):
        writer.commit()
    assert not writer.in_transaction
    holder.commit()
    writer.execute("UPDATE item SET views = 2 WHERE id = 1")
    writer.commit()
    assert items(holder)[0] == (1, 5, 2)


def test_a_dead_holder_is_overtaken(connect: Connect) -> None:
    holder, writer = connect(), connect()
    holder.execute("SELECT * FROM item WHERE id = 1 FOR UPDATE")
    locks = holder.database.store.lock_table()
    (lock,) = locks.holders()
    locks.release([lock.name], lock.owner)
    locks.acquire([lock.name], b"a dead one", 0.2, False)
    writer.execute("UPDATE item SET views = views + 1 WHERE id = 1")
    writer.commit()
    assert locks.holders() == []
    assert items(writer)[0] == (1, 5, 1)


def test_a_deadlock_of_holders_is_refused_at_once(connect: Connect) -> None:
    first, second = connect(), connect()
    first.execute("SELECT * FROM item WHERE id = 1 FOR UPDATE")
    second.execute("SELECT * FROM item WHERE id = 2 FOR UPDATE")
    first.execute("UPDATE item SET views = 7 WHERE id = 2")
    second.execute("UPDATE item SET views = 8 WHERE id = 1")
    writing = Background(first.commit)
    assert writing.waits()
    with pytest.raises(Conflict, match="deadlock"):
        second.commit()
    assert writing.end() is None
    assert [row[2] for row in items(first)] == [0, 7, 0]


def test_a_holder_does_not_wait_for_itself(connect: Connect) -> None:
    holder = connect(lock_timeout=0)
    holder.execute("SELECT * FROM item FOR UPDATE")
    holder.execute("UPDATE item SET views = 5, name = name || 'x'")
    holder.execute("DELETE FROM item WHERE id = 3")
    holder.commit()
    assert items(holder) == [(1, 5, 5), (2, 5, 5)]


def test_waiting_keeps_the_locks_until_the_commit(connect: Connect) -> None:
    """The writer queues: who asks for the lock after it gets the row after it."""
    holder, writer, later = connect(), connect(), connect()
    holder.execute("SELECT * FROM item WHERE id = 1 FOR UPDATE")
    writing = update(writer, "UPDATE item SET views = views + 1 WHERE id = 1")
    assert writing.waits()
    holder.rollback()
    assert writing.end() is None
    assert later.execute("SELECT views FROM item WHERE id = 1 FOR UPDATE NOWAIT").fetchall() == [(1,)]


def test_no_lock_costs_no_round_trip(connect: Connect) -> None:
    holder, writer = connect(), connect()
    rounds = []
    for locks in (False, True, False):
        if locks:
            holder.execute("SELECT * FROM item WHERE id = 2 FOR UPDATE")
        before = writer.stats.rounds
        writer.execute("UPDATE item SET views = views + 1 WHERE id = 1")
        writer.commit()
        rounds.append(writer.stats.rounds - before)
        holder.commit()
    assert rounds == [2, 2, 2]


def test_buyers_and_viewers(connect: Connect) -> None:
    """Buyers lock the row, viewers change it by plain statements: nobody fails, nothing is lost."""

    def buy() -> None:
        connection = connect()
        for _ in range(5):
            ((stock,),) = connection.execute("SELECT stock FROM item WHERE id = 1 FOR UPDATE").fetchall()
            connection.execute("UPDATE item SET stock = ? WHERE id = 1", (stock - 1,))
            connection.commit()

    def view() -> None:
        connection = connect()
        for _ in range(10):
            connection.execute("UPDATE item SET views = views + 1 WHERE id = 1")
            connection.commit()

    running = [Background(each) for each in (buy, view, buy, view)]
    assert [each.end() for each in running] == [None] * 4
    assert items(connect())[0] == (1, -5, 20)
