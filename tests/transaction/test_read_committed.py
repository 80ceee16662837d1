"""READ COMMITTED as applications for PostgreSQL expect it: a commit conflicts only if it would break what it told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import rome
from rome.dbapi import Connection, IntegrityError
from rome.errors import Conflict
from rome.testing import check_database

Two = tuple[Connection, Connection]


@pytest.fixture
def two(url: str) -> Iterator[Two]:
    one, other = (rome.connect(url, isolation_level="READ COMMITTED") for _ in range(2))
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, name TEXT UNIQUE)")
    one.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT)")
    one.execute("INSERT INTO t VALUES (1, 0, 'a'), (2, 0, 'b'), (3, 0, 'c')")
    one.commit()
    yield one, other
    one.close()
    other.close()
    assert check_database(url) == []


def run(connection: Connection, *statements: str) -> None:
    for sql in statements:
        connection.execute(sql).fetchall()


def rows(connection: Connection) -> list[tuple[object, ...]]:
    connection.rollback()
    found = connection.execute("SELECT id, n FROM t ORDER BY id").fetchall()
    connection.rollback()
    return found


@pytest.mark.parametrize(
    ("statements", "left"),
    [
        (["SELECT n FROM t WHERE id = 1", "UPDATE t SET n = 5 WHERE id = 1"], 5),
        (["SELECT n FROM t WHERE id = 1", "UPDATE t SET n = n + 5 WHERE id = 1"], 15),
        (["SELECT sum(n) FROM t", "UPDATE t SET n = n + 5 WHERE id = 1 RETURNING id"], 15),
        (
            ["UPDATE t SET n = n + 5 WHERE id = 1", "SELECT count(*) FROM log", "INSERT INTO log (text) VALUES ('x')"],
            15,
        ),
        (["UPDATE t SET n = n + 5 WHERE id = 1", "SELECT n FROM t WHERE id = 2"], 15),
        (
            ["SAVEPOINT s", "UPDATE t SET n = 9", "ROLLBACK TO s", "UPDATE t SET n = n + 5 WHERE id = 1", "RELEASE s"],
            15,
        ),
        (["SELECT * FROM t WHERE id = 2 FOR UPDATE", "UPDATE t SET n = n + 5 WHERE id < 3"], 15),
        (["INSERT INTO t VALUES (1, 5, 'x') ON CONFLICT (id) DO UPDATE SET n = n + excluded.n"], 15),
        (["CREATE TABLE later (a)", "UPDATE t SET n = n + 5 WHERE id = 1"], 15),
    ],
)
def test_what_writes_is_run_again(two: Two, statements: list[str], left: int) -> None:
    one, other = two
    run(other, *statements)
    run(one, "UPDATE t SET n = 10 WHERE id = 1", "INSERT INTO log (text) VALUES ('y')")
    one.commit()
    other.commit()
    assert rows(one)[0] == (1, left)


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE t SET n = n + 5 WHERE id = 1 RETURNING n"],
        ["UPDATE t SET n = n + 5 WHERE n = 0"],
        ["UPDATE t SET n = n + 5 WHERE id = 1", "SELECT n FROM t WHERE id = 1"],
        ["UPDATE t SET n = n + 5 WHERE id = 1", "SELECT max(n) FROM t"],
        ["UPDATE t SET n = n + 5 WHERE id = 1", "CREATE VIEW v AS SELECT n FROM t", "SELECT n FROM v"],
        ["DELETE FROM t WHERE n = 0"],
        ["UPDATE t SET n = n + 5 WHERE id = 1", "SELECT n FROM t WHERE id = 2 FOR UPDATE SKIP LOCKED"],
    ],
)
def test_what_was_told_stays_true(two: Two, statements: list[str]) -> None:
    one, other = two
    run(other, *statements)
    run(one, "UPDATE t SET n = 10 WHERE id = 1")
    one.commit()
    with pytest.raises(Conflict):
        other.commit()
    assert rows(one) == [(1, 10), (2, 0), (3, 0)]


def test_a_violation_is_an_integrity_error(two: Two) -> None:
    one, other = two
    run(other, "SELECT count(*) FROM t WHERE name = 'd'", "INSERT INTO t VALUES (4, 0, 'd')")
    run(one, "INSERT INTO t VALUES (5, 0, 'd')")
    one.commit()
    with pytest.raises(IntegrityError, match=r"t\.name") as caught:
        other.commit()
    assert caught.value.is_race


def test_statements_that_failed_are_left_out(two: Two) -> None:
    one, other = two
    run(other, "UPDATE t SET n = n + 5 WHERE id = 1", "SAVEPOINT s")
    with pytest.raises(IntegrityError):
        other.execute("INSERT INTO t VALUES (4, 0, 'a')")
    run(other, "ROLLBACK TO s", "UPDATE t SET n = n + 1 WHERE name = 'a'")
    run(one, "UPDATE t SET n = 10 WHERE id = 1")
    one.commit()
    other.commit()
    assert rows(one)[0] == (1, 16)


def test_rows_that_were_locked_are_still_checked(two: Two) -> None:
    """The lock is lost, so another transaction can write the row: then the replay does not overwrite it."""
    one, other = two
    ((n,),) = other.execute("SELECT n FROM t WHERE id = 1 FOR UPDATE").fetchall()
    other.execute("UPDATE t SET n = ? WHERE id = 1", (n + 5,))
    locks = other.database.store.lock_table()
    for lock in locks.holders():
        locks.release([lock.name], lock.owner)
    run(one, "UPDATE t SET n = 10 WHERE id = 1")
    one.commit()
    with pytest.raises(Conflict):
        other.commit()
    assert rows(one)[0] == (1, 10)


def test_a_replay_keeps_its_row_locks(two: Two) -> None:
    one, other = two
    ((n,),) = other.execute("SELECT n FROM t WHERE id = 1 FOR UPDATE").fetchall()
    other.execute("UPDATE t SET n = ? WHERE id = 1", (n + 5,))
    other.execute("UPDATE t SET n = n + 1 WHERE id = 2")
    run(one, "UPDATE t SET n = 10 WHERE id = 2")
    one.commit()
    other.commit()
    assert rows(one) == [(1, 5), (2, 11), (3, 0)]
    run(one, "SELECT * FROM t FOR UPDATE NOWAIT")


def test_a_transaction_that_only_reads_first_may_read_much(two: Two) -> None:
    one, other = two
    for _ in range(600):
        run(other, "SELECT a.id FROM t AS a, t AS b, t AS c")
    run(other, "UPDATE t SET n = n + 5 WHERE id = 1")
    run(one, "UPDATE t SET n = 10 WHERE id = 1")
    one.commit()
    other.commit()
    assert rows(one)[0] == (1, 15)


def together(url: str, level: str, work: Callable[[Connection], None]) -> None:
    errors = []

    def run() -> None:
        connection = rome.connect(url, isolation_level=level)
        try:
            for _ in range(10):
                work(connection)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_under_autocommit_the_later_result_is_returned(two: Two, url: str) -> None:
    numbers = []

    def work(connection: Connection) -> None:
        ((number,),) = connection.execute("UPDATE t SET n = n + 1 WHERE id = 1 RETURNING n").fetchall()
        numbers.append(number)

    together(url, "AUTOCOMMIT", work)
    assert sorted(numbers) == list(range(1, 31))


def test_overwriting_never_conflicts(two: Two, url: str) -> None:
    def work(connection: Connection) -> None:
        ((n,),) = connection.execute("SELECT n FROM t WHERE id = 1").fetchall()
        connection.execute("UPDATE t SET n = ? WHERE id = 1", (n + 1,))
        connection.execute("UPDATE t SET n = n + 1 WHERE id = 2")
        connection.execute("INSERT INTO log (text) VALUES ('x')")
        connection.commit()

    together(url, "READ COMMITTED", work)
    assert rows(two[0])[1] == (2, 30)
