"""Isolation: what transactions see of each other, and which commits are conflicts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import rome
from rome.errors import Conflict, IntegrityError, OperationalError
from rome.testing import check_database

Connect = Callable[..., rome.Connection]


def rows(connection: rome.Connection, sql: str = "SELECT id, v FROM t ORDER BY id") -> list[tuple[object, ...]]:
    return connection.execute(sql).fetchall()


@pytest.fixture
def connect(url: str) -> Connect:
    def connect(**options: object) -> rome.Connection:
        return rome.connect(url, **options)

    first = connect()
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v, name TEXT UNIQUE)")
    first.execute("INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two')")
    first.commit()
    return connect


def test_a_snapshot_does_not_see_later_commits(connect: Connect) -> None:
    reader, writer = connect(), connect()
    assert rows(reader) == [(1, 10), (2, 20)]
    writer.execute("UPDATE t SET v = 11 WHERE id = 1")
    writer.execute("DELETE FROM t WHERE id = 2")
    writer.execute("INSERT INTO t (id, v) VALUES (3, 30)")
    writer.commit()
    assert rows(reader) == [(1, 10), (2, 20)]
    assert rows(reader, "SELECT id, v FROM t WHERE name = 'two'") == [(2, 20)]
    reader.commit()
    assert rows(reader) == [(1, 11), (3, 30)]


def test_rows_fetched_late_are_of_the_snapshot(connect: Connect) -> None:
    reader, writer = connect(), connect()
    assert rows(reader, "SELECT v FROM t WHERE id = 1") == [(10,)]
    writer.execute("UPDATE t SET v = v + 1, name = name || '!'")
    writer.execute("INSERT INTO t (id, v, name) VALUES (3, 30, 'two')")
    writer.commit()
    assert rows(reader, "SELECT id, v FROM t WHERE name = 'two'") == [(2, 20)]
    assert rows(reader, "SELECT id FROM t WHERE name = 'two!'") == []
    assert rows(reader) == [(1, 10), (2, 20)]


def test_read_committed_sees_each_commit_and_keeps_its_own_changes(connect: Connect) -> None:
    reader, writer = connect(isolation_level="READ COMMITTED"), connect()
    reader.execute("UPDATE t SET v = 99 WHERE id = 2")
    assert rows(reader) == [(1, 10), (2, 99)]
    writer.execute("UPDATE t SET v = 11 WHERE id = 1")
    writer.commit()
    assert rows(reader) == [(1, 11), (2, 99)]
    reader.execute("SAVEPOINT s")
    assert rows(reader) == [(1, 11), (2, 99)]
    reader.execute("ROLLBACK TO s")
    assert rows(reader) == [(1, 11), (2, 99)]
    reader.commit()
    assert rows(writer) == [(1, 11), (2, 99)]


def test_read_committed_loses_no_update(connect: Connect) -> None:
    first, second = connect(isolation_level="READ COMMITTED"), connect()
    first.execute("UPDATE t SET v = v + 1 WHERE id = 1")
    second.execute("UPDATE t SET v = v + 1 WHERE id = 1")
    second.commit()
    first.commit()  # a replay returns the same results
    assert rows(second)[0] == (1, 12)
    assert rows(first) == [(1, 12), (2, 20)]
    first.execute("UPDATE t SET v = 0 WHERE id = 1")
    second.rollback()
    second.execute("UPDATE t SET v = v + 1 WHERE id = 1 RETURNING v")
    first.commit()
    with pytest.raises(Conflict):
        second.commit()


@pytest.mark.parametrize("level", ["SNAPSHOT", "SERIALIZABLE"])
def test_two_writers_of_one_row_conflict_and_nothing_is_half_applied(connect: Connect, url: str, level: str) -> None:
    first, second = connect(isolation_level=level), connect(isolation_level=level)
    for connection, value in ((first, "a"), (second, "b")):
        assert rows(connection, "SELECT v FROM t WHERE id = 1") == [(10,)]
        connection.execute("UPDATE t SET v = ? WHERE id = 1", (value,))
        connection.execute("INSERT INTO t (v, name) VALUES (?, ?)", (value, value))
    first.commit()
    with pytest.raises(Conflict, match="run"):
        second.commit()
    assert not second.in_transaction
    assert rows(second, "SELECT v, name FROM t WHERE v IN ('a', 'b') ORDER BY id") == [("a", "one"), ("a", "a")]
    assert check_database(url) == []


@pytest.mark.parametrize(("level", "refused"), [("SNAPSHOT", False), ("SERIALIZABLE", True)])
def test_write_skew(connect: Connect, level: str, refused: bool) -> None:
    first, second = connect(isolation_level=level), connect(isolation_level=level)
    for connection, own in ((first, 1), (second, 2)):
        assert rows(connection, "SELECT sum(v) FROM t") == [(30,)]
        connection.execute("UPDATE t SET v = 0 WHERE id = ?", (own,))
    first.commit()
    if refused:
        with pytest.raises(Conflict):
            second.commit()
    else:
        second.commit()


def test_serializable_sees_phantoms_in_an_index_range(connect: Connect) -> None:
    first, second = connect(isolation_level="SERIALIZABLE"), connect()
    assert rows(first, "SELECT id FROM t WHERE name >= 'x'") == []
    first.execute("INSERT INTO t (v) VALUES (1)")
    second.execute("INSERT INTO t (name) VALUES ('xyz')")
    second.commit()
    with pytest.raises(Conflict):
        first.commit()


@pytest.mark.parametrize("level", ["SNAPSHOT", "READ COMMITTED"])
def test_a_unique_name_is_given_once(connect: Connect, level: str) -> None:
    first, second = connect(isolation_level=level), connect(isolation_level=level)
    first.execute("INSERT INTO t (name) VALUES ('same')")
    second.execute("INSERT INTO t (name) VALUES ('same')")
    first.commit()
    with pytest.raises(IntegrityError, match=r"^UNIQUE constraint failed: t\.name$") as raised:
        second.commit()
    assert raised.value.is_race
    with pytest.raises(IntegrityError, match=r"^UNIQUE constraint failed: t\.name$"):
        second.execute("INSERT INTO t (name) VALUES ('same')")


def test_a_parent_does_not_go_while_a_child_comes(connect: Connect, url: str) -> None:
    first, second = connect(), connect()
    first.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, t REFERENCES t(id))")
    first.commit()
    first.execute("INSERT INTO c (t) VALUES (1)")
    second.execute("DELETE FROM t WHERE id = 1")
    first.commit()
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        second.commit()
    second.execute("DELETE FROM t WHERE id = 2")
    first.execute("INSERT INTO c (t) VALUES (2)")
    second.commit()
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        first.commit()
    assert check_database(url) == []


def test_a_child_comes_while_its_parent_changes(connect: Connect) -> None:
    first, second = connect(), connect()
    first.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, t REFERENCES t(id))")
    first.commit()
    first.execute("INSERT INTO c (t) VALUES (1)")
    second.execute("UPDATE t SET v = 12 WHERE id = 1")
    second.commit()
    first.commit()
    assert rows(first, "SELECT v, c.id FROM t JOIN c ON c.t = t.id") == [(12, 1)]


def test_a_number_that_another_took_explicitly_is_not_written_over(connect: Connect) -> None:
    first, second = connect(), connect()
    first.execute("INSERT INTO t (v) VALUES ('drawn')")
    taken = first.execute("SELECT max(id) FROM t").fetchone()
    assert taken is not None
    second.execute("INSERT INTO t (id, v) VALUES (?, 'explicit')", taken)
    second.commit()
    with pytest.raises(Conflict, match="table t"):
        first.commit()
    first.execute("INSERT INTO t (v) VALUES ('drawn again')")
    first.commit()
    assert rows(first, "SELECT v FROM t WHERE id > 2 ORDER BY id") == [("explicit",), ("drawn again",)]


def test_autocommit(connect: Connect) -> None:
    one, other = connect(isolation_level="AUTOCOMMIT"), connect()
    one.execute("INSERT INTO t (id, v) VALUES (9, 9)")
    assert not one.in_transaction
    assert rows(other, "SELECT v FROM t WHERE id = 9") == [(9,)]
    one.execute("BEGIN")
    one.execute("DELETE FROM t WHERE id = 9")
    one.execute("ROLLBACK")
    other.rollback()
    assert rows(other, "SELECT v FROM t WHERE id = 9") == [(9,)]


def test_reading_costs_nothing_at_the_end(connect: Connect) -> None:
    connection = connect()
    rows(connection)
    before = connection.stats.rounds
    connection.commit()
    connection.rollback()
    assert connection.stats.rounds == before


def test_rows_once_fetched_are_not_fetched_again(connect: Connect) -> None:
    connection = connect()
    before = connection.stats.rounds
    rows(connection)
    rows(connection, "SELECT * FROM t WHERE id = 1")
    rows(connection, "SELECT * FROM t WHERE name = 'two'")
    assert connection.stats.rounds - before == 1


def test_a_transaction_older_than_the_log_raises_snapshot_too_old(url: str) -> None:
    short = f"{url}{'&' if '?' in url else '?'}log_commits=5"
    reader, writer = rome.connect(short), rome.connect(short)
    writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    writer.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    writer.commit()
    assert rows(reader, "SELECT v FROM t WHERE id = 1") == [(0,)]
    for _ in range(200):
        writer.execute("UPDATE t SET v = v + 1")
        writer.commit()
    with pytest.raises(rome.errors.SnapshotTooOld):
        rows(reader, "SELECT v FROM t WHERE id = 2")
    reader.rollback()
    assert rows(reader, "SELECT v FROM t WHERE id = 2") == [(200,)]


def test_or_fail_keeps_what_came_before_the_error_under_autocommit() -> None:
    url = "rome+memory:///or_fail_autocommit"
    connection = rome.connect(url, isolation_level="AUTOCOMMIT")
    connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)")
    with pytest.raises(rome.errors.IntegrityError):
        connection.execute("INSERT OR FAIL INTO t (id) VALUES (7), (7), (8)")
    assert not connection.in_transaction
    assert rome.connect(url).execute("SELECT id FROM t").fetchall() == [(7,)]


def test_a_deferred_foreign_key_under_autocommit_leaves_no_transaction_open() -> None:
    connection = rome.connect("rome+memory:///deferred_autocommit", isolation_level="AUTOCOMMIT")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
    for sql in ("INSERT INTO t VALUES (7, 3)", "INSERT OR FAIL INTO t VALUES (7, 3), (7, 4)"):
        with pytest.raises(rome.errors.IntegrityError, match="FOREIGN KEY"):
            connection.execute(sql)
        assert not connection.in_transaction
        assert connection.execute("SELECT * FROM t").fetchall() == []


def test_rolling_back_to_a_savepoint_what_two_statements_have_read(url: str) -> None:
    with rome.connect(url) as first:
        first.execute("CREATE TABLE y (id)")
        first.execute("CREATE TABLE t (id PRIMARY KEY, a REFERENCES t ON DELETE CASCADE, b, c REFERENCES y (id))")
        first.execute("INSERT INTO y (id) VALUES (8)")
    one = rome.connect(url, isolation_level="READ COMMITTED")
    with pytest.raises(OperationalError, match="foreign key mismatch"):
        one.execute("INSERT INTO t (id, a, c) VALUES (1, NULL, 3), (4, NULL, 3)")
    one.execute("SAVEPOINT s1")
    one.execute("SELECT q.*, count(*) OVER (ORDER BY id) FROM y q")
    with pytest.raises(OperationalError, match="foreign key mismatch"):
        one.execute("DELETE FROM t WHERE t.b IN ()")
    one.execute("ROLLBACK TO s1")
    assert one.execute("SELECT * FROM t").fetchall() == []
