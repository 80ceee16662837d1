"""Schema changes are transactional, and other connections see them at their next transaction."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.process import BaseProcess

import pytest

import rome
from rome.catalog.model import Catalog
from rome.errors import Conflict, DataError, IntegrityError
from rome.testing import check_database


def test_others_see_a_change_at_their_next_transaction(url: str) -> None:
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    one.execute("INSERT INTO t (a) VALUES (1)")
    with pytest.raises(rome.dbapi.OperationalError, match="no such table: t"):
        other.execute("SELECT * FROM t")
    other.rollback()
    one.commit()
    assert other.execute("SELECT * FROM t").fetchall() == [(1, 1)]
    one.execute("ALTER TABLE t ADD COLUMN b DEFAULT 'b'")
    one.commit()
    assert other.execute("SELECT * FROM t").fetchall() == [(1, 1)]
    other.commit()
    assert other.execute("SELECT * FROM t").fetchall() == [(1, 1, "b")]
    other.commit()
    one.execute("DROP TABLE t")
    one.commit()
    with pytest.raises(rome.dbapi.OperationalError, match="no such table: t"):
        other.execute("SELECT * FROM t")


def test_rollback_takes_the_schema_back(url: str) -> None:
    one = rome.connect(url)
    one.execute("CREATE TABLE kept (a)")
    one.commit()
    one.execute("DROP TABLE kept")
    one.execute("CREATE TABLE t (a)")
    one.execute("INSERT INTO t VALUES (1)")
    one.rollback()
    assert one.execute("SELECT * FROM kept").fetchall() == []
    with pytest.raises(rome.dbapi.OperationalError, match="no such table: t"):
        one.execute("SELECT * FROM t")


def test_a_table_made_twice_at_once_conflicts(url: str) -> None:
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE t (a)")
    other.execute("CREATE TABLE t (b)")
    one.commit()
    with pytest.raises(Conflict):
        other.commit()


def test_writing_under_an_old_definition_conflicts(url: str) -> None:
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    one.commit()
    other.execute("INSERT INTO t (a) VALUES (1)")
    assert other.execute("SELECT count(*) FROM t").fetchall() == [(1,)]
    one.execute("INSERT INTO t (a) VALUES (1)")
    one.execute("CREATE INDEX i ON t (a)")
    one.commit()
    with pytest.raises(Conflict):
        other.commit()
    other.execute("INSERT INTO t (a) VALUES (1)")
    one.execute("CREATE UNIQUE INDEX u ON t (a)")
    other.commit()
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: t\.a"):
        one.commit()
    assert check_database(url) == []


def test_a_new_foreign_key_holds_against_writers_that_do_not_know_it(url: str) -> None:
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    one.execute("INSERT INTO p VALUES (1)")
    one.commit()
    other.execute("DELETE FROM p WHERE id = 1")
    one.execute("CREATE TABLE c (p REFERENCES p(id))")
    one.execute("INSERT INTO c VALUES (1)")
    one.commit()
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        other.commit()


def test_add_column_does_not_rewrite_rows(url: str) -> None:
    one = rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    one.executemany("INSERT INTO t VALUES (?, ?)", [(n, n) for n in range(500)])
    one.commit()
    before = one.stats.snapshot()
    one.execute("ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'new'")
    one.commit()
    after = one.stats.snapshot()
    assert after[2] - before[2] <= 2
    assert one.execute("SELECT count(*), min(b) FROM t").fetchall() == [(500, "new")]


def test_dropped_rows_do_not_come_back_under_the_same_name(url: str) -> None:
    one = rome.connect(url)
    for _ in range(2):
        one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)")
        one.execute("INSERT INTO t (a) VALUES ('x')")
        one.commit()
        assert one.execute("SELECT id, a FROM t").fetchall() == [(1, "x")]
        one.execute("DROP TABLE t")
        one.commit()


def test_a_database_that_was_dropped_meanwhile(url: str, start_process: Callable[[BaseProcess], None]) -> None:
    one = rome.connect(url)
    for columns in ("a", "b"):
        one.rollback()
        one.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns} DEFAULT 1)")
        one.execute("INSERT INTO t (id) VALUES (1)")
        one.commit()
        assert one.execute(f"SELECT {columns} FROM t").fetchall() == [(1,)]
        drop = multiprocessing.get_context("spawn").Process(target=rome.drop_database, args=(url,))
        if url.startswith("rome+memory"):
            rome.drop_database(url)
        else:
            start_process(drop)
            drop.join()
    one.rollback()
    with pytest.raises(rome.dbapi.OperationalError, match="no such table"):
        one.execute("SELECT * FROM t")


def test_temporary_tables_are_the_connections_own(url: str) -> None:
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE t (a)")
    one.execute("INSERT INTO t VALUES ('stored')")
    one.commit()
    one.execute("CREATE TEMPORARY TABLE mine (a)")
    one.execute("INSERT INTO mine SELECT a || '!' FROM t")
    one.commit()
    one.execute("INSERT INTO mine VALUES ('gone')")
    one.rollback()
    assert one.execute("SELECT t.a, mine.a FROM t, mine").fetchall() == [("stored", "stored!")]
    with pytest.raises(rome.dbapi.OperationalError, match="no such table: mine"):
        other.execute("SELECT * FROM mine")


@pytest.mark.parametrize("name", ["VIEW", "TABLE"])
def test_a_connection_with_temporary_objects_keeps_no_rows_of_other_transactions(url: str, name: str) -> None:
    connection, sqlite = rome.connect(url), sqlite3.connect(":memory:")
    rows = [(number, number) for number in range(5)]
    answers = []
    for each in (connection, sqlite):
        each.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
        each.commit()
        each.execute(f"CREATE TEMPORARY {name} mine AS SELECT * FROM t WHERE a > 1")
        each.commit()
        answers.append([])
        for end in (each.commit, each.rollback, each.commit):
            each.executemany("INSERT INTO t VALUES (?, ?)", rows)
            each.commit()
            answers[-1] += each.execute("SELECT * FROM t LEFT JOIN mine USING (id) ORDER BY id").fetchall()
            end()
            each.execute("DELETE FROM t")
            each.commit()
            each.execute("INSERT INTO t (a) SELECT 3")
            each.rollback()
    assert answers[0] == answers[1]


def test_a_transaction_that_begins_with_a_savepoint_sees_a_new_schema(url: str) -> None:
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    one.commit()
    other.database.newest = Catalog()  # as in a process that has not seen the change
    other.execute("SAVEPOINT outer_one")
    other.execute("SAVEPOINT inner_one")
    other.execute("INSERT INTO t (a) VALUES (1)")
    other.execute("ROLLBACK TO inner_one")
    other.execute("INSERT INTO t (a) VALUES (2)")
    other.execute("RELEASE outer_one")
    other.commit()
    assert one.execute("SELECT a FROM t").fetchall() == [(2,)]


def test_a_column_is_renamed_next_to_a_virtual_one(url: str) -> None:
    one = rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, v AS (a || '!'))")
    one.execute("INSERT INTO t (a) VALUES ('kept')")
    one.commit()
    one.execute("ALTER TABLE t RENAME COLUMN a TO b")
    one.commit()
    assert one.execute("SELECT id, b, v FROM t").fetchall() == [(1, "kept", "kept!")]


def test_a_conflict_inside_a_savepoint_is_raised_until_the_transaction_is_rolled_back(url: str, monkeypatch) -> None:
    one = rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    one.commit()
    one.execute("INSERT INTO t (a) VALUES (1)")
    one.execute("SAVEPOINT inner_one")

    def fail(*_):
        raise Conflict("conflict on table t")

    with monkeypatch.context() as patched:
        patched.setattr("rome.session.open_transaction.run", fail)
        with pytest.raises(Conflict):
            one.execute("INSERT INTO t (a) VALUES (2)")
    for sql in ("ROLLBACK TO inner_one", "RELEASE inner_one", "INSERT INTO t (a) VALUES (3)"):
        with pytest.raises(Conflict, match="conflict on table t"):
            one.execute(sql)
    with pytest.raises(Conflict, match="conflict on table t"):
        one.commit()
    assert one.execute("SELECT * FROM t").fetchall() == []


def test_changes_of_the_schema_at_once_are_both_seen(url: str) -> None:
    """Also by the connection that committed later without having seen the other change."""
    one, other, third = rome.connect(url), rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE a (n INTEGER)")
    other.execute("CREATE TABLE b (n INTEGER)")
    one.commit()
    other.commit()
    for connection in (one, other, third):
        assert connection.execute("SELECT count(*) FROM a").fetchall() == [(0,)]
        assert connection.execute("SELECT count(*) FROM b").fetchall() == [(0,)]


def test_a_change_of_the_schema_need_not_be_read_again_by_who_made_it(url: str) -> None:
    connection = rome.connect(url)
    for name in ("a", "b"):
        connection.execute(f"CREATE TABLE {name} (n INTEGER)")
        connection.commit()
        before = connection.stats.rounds
        assert connection.execute(f"SELECT n FROM {name}").fetchall() == []
        assert connection.stats.rounds - before == 1
        connection.commit()


def test_an_index_is_filled_at_one_version_under_read_committed(url: str) -> None:
    one = rome.connect(url, isolation_level="READ COMMITTED")
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    one.execute("INSERT INTO t VALUES (1, 2), (3, 4)")
    one.commit()
    one.execute("CREATE UNIQUE INDEX i ON t (a)")
    assert one.execute("SELECT count(*) FROM t").fetchall() == [(2,)]
    one.commit()
    assert check_database(url) == []


def test_a_new_column_that_refers_to_a_table_gets_its_entries(url: str) -> None:
    one = rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    one.execute("INSERT INTO t VALUES (1), (2)")
    one.commit()
    other = rome.connect(url)
    other.execute("ALTER TABLE t ADD COLUMN parent REFERENCES t")
    other.commit()
    assert check_database(url) == []


@pytest.mark.parametrize("trigger_first", [True, False])
def test_a_trigger_on_a_table_that_another_drops(url: str, trigger_first: bool) -> None:
    """The table is dropped with its trigger; a trigger on a dropped table is a conflict."""
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    one.commit()
    one.execute("DROP TABLE t")
    other.execute("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END")
    first, second = (other, one) if trigger_first else (one, other)
    first.commit()
    with nullcontext() if trigger_first else pytest.raises(Conflict):
        second.commit()
    assert rome.connect(url).execute("SELECT * FROM sqlite_master").fetchall() == []


def test_unrelated_changes_of_the_schema_do_not_conflict(url: str) -> None:
    """The later one is replayed, also where a change of rows depends on a parent or a child that got an index."""
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, n INTEGER)")
    one.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p)")
    one.execute("INSERT INTO p VALUES (1, 1)")
    one.commit()
    one.execute("CREATE INDEX p_n ON p (n)")
    other.execute("INSERT INTO c VALUES (1, 1)")
    one.commit()
    other.commit()
    one.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
    other.execute("ALTER TABLE p RENAME COLUMN n TO m")
    one.commit()
    other.commit()
    assert check_database(url) == []


def test_a_text_that_is_not_utf8_is_a_data_error(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b, g AS (lower(b)) VIRTUAL)")
    connection.execute("INSERT INTO t (b) VALUES (x'fffe')")
    with pytest.raises(DataError):
        connection.execute("SELECT g FROM t")
    assert connection.execute("SELECT b FROM t").fetchall() == [(b"\xff\xfe",)]


def test_a_table_that_another_connection_has_created_since_is_seen_and_empty(url: str) -> None:
    first, second = rome.connect(url), rome.connect(url)
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    first.commit()
    first.execute("SELECT * FROM t").fetchall()
    second.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    second.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p, u UNIQUE)")
    second.execute("INSERT INTO p VALUES (1)")
    second.execute("INSERT INTO c VALUES (1, 1, 1)")
    second.commit()
    assert first.execute("SELECT * FROM c JOIN p ON p.id = c.p").fetchall() == []
    assert first.execute("SELECT count(*) FROM p").fetchall() == [(0,)]
    first.commit()
    assert first.execute("SELECT * FROM c").fetchall() == [(1, 1, 1)]
    first.close()
    second.close()


def test_an_index_of_a_text_that_is_not_utf8_keeps_its_bytes(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b)")
    connection.execute("CREATE INDEX t_b ON t (lower(b))")
    connection.commit()
    connection.execute("INSERT INTO t (b) VALUES (x'fffe'), ('A')")
    connection.commit()
    assert connection.execute("SELECT b FROM t WHERE lower(b) = lower(x'fffe')").fetchall() == [(b"\xff\xfe",)]
    assert connection.execute("SELECT b FROM t WHERE lower(b) < 'b'").fetchall() == [("A",)]
    connection.execute("DELETE FROM t WHERE b = x'fffe'")
    connection.commit()
    assert check_database(url) == []


def test_a_temporary_trigger_takes_ids_from_the_sequence(url: str) -> None:
    connection, other = rome.connect(url), rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, n)")
    connection.commit()
    other.execute("INSERT INTO log (n) VALUES (7), (8)")
    other.execute("DELETE FROM log")
    other.commit()
    text = "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log (n) VALUES (new.id); END"
    connection.execute(text.replace("CREATE", "CREATE TEMP"))
    connection.execute("INSERT INTO t VALUES (1)")
    assert connection.execute("SELECT * FROM log").fetchall() == [(3, 1)]
    assert connection.execute("SELECT sql FROM sqlite_temp_master").fetchall() == [(text,)]
