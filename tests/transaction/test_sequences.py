"""Ids from sequences: reserved before a statement runs in the workspace, never fetched while SQLite runs."""

from __future__ import annotations

import inspect
import itertools
import sqlite3
from collections.abc import Iterator

import pytest

import rome
import rome.dbapi
from rome.storage.memory import MemoryStore

NUMBER = itertools.count()

SCHEMA = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT CHECK (a < 1000))",
    "CREATE TABLE log (id INTEGER PRIMARY KEY, a INT)",
    "CREATE TABLE source (a INT)",
    "CREATE TRIGGER t_log AFTER INSERT ON t BEGIN INSERT INTO log (a) VALUES (new.a), (-new.a); END",
]


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[rome.Connection]:
    """A database that fails if the store is asked for ids while a statement of SQLite is on the stack."""
    connection = rome.connect(f"rome+memory:///sequences{next(NUMBER)}")
    for sql in SCHEMA:
        connection.execute(sql)
    connection.executemany("INSERT INTO source VALUES (?)", [(a,) for a in range(200)])
    connection.commit()
    allocate = MemoryStore.allocate

    def check(self: MemoryStore, counter: bytes, n: int) -> int:
        assert not _is_in_rome_next(), "a round trip inside of a SQLite function"
        return allocate(self, counter, n)

    monkeypatch.setattr(MemoryStore, "allocate", check)
    yield connection
    connection.close()


def _is_in_rome_next() -> bool:

    return any(frame.function == "_take_id" for frame in inspect.stack())


def ids(connection: rome.Connection, table: str) -> list[int]:
    return [row[0] for row in connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()]


def test_more_rows_than_a_block_from_a_select(connection: rome.Connection) -> None:
    connection.execute("INSERT INTO t (a) SELECT a FROM source ORDER BY a")
    connection.execute("INSERT INTO t (a) VALUES (1)")
    assert ids(connection, "t") == [*range(1, 202)]
    assert ids(connection, "log") == [*range(1, 403)]
    assert connection.execute("SELECT id FROM t WHERE a = id - 1").fetchall() == [(n,) for n in range(1, 201)]


def test_what_was_reserved_and_not_used_is_released(connection: rome.Connection) -> None:
    for _ in range(2):
        for count in (40, 1, 0, 3):
            connection.execute("INSERT INTO t (a) SELECT a FROM source LIMIT ?", (count,))
        connection.commit()
    assert ids(connection, "t") == [*range(1, 89)]
    assert ids(connection, "log") == [*range(1, 177)]


def test_a_statement_that_fails_allocates_nothing(connection: rome.Connection) -> None:
    with pytest.raises(rome.dbapi.IntegrityError):
        connection.executemany("INSERT INTO t (a) VALUES (?)", [(1,), (2,), (1000,)])
    connection.executemany("INSERT INTO t (a) VALUES (?)", [(1,), (2,)])
    assert ids(connection, "t") == [1, 2]
    assert ids(connection, "log") == [1, 2, 3, 4]


def test_ids_that_are_given_are_not_allocated(connection: rome.Connection) -> None:
    rows = [(number, number) for number in range(1, 101)]
    connection.executemany("INSERT INTO t (id, a) VALUES (?, ?)", [*rows, (None, 0), (None, 0)])
    assert ids(connection, "t") == [*range(1, 103)]


def test_the_last_change_counters_survive_a_rerun(connection: rome.Connection) -> None:
    connection.execute("INSERT INTO source VALUES (7)")
    before = connection.execute("SELECT last_insert_rowid(), changes()").fetchall()
    connection.execute("INSERT INTO log (a) SELECT last_insert_rowid() * 10 + changes() FROM source LIMIT 50")
    assert connection.execute("SELECT DISTINCT a FROM log").fetchall() == [(before[0][0] * 10 + before[0][1],)]


def test_rome_next_is_not_for_the_application(connection: rome.Connection) -> None:
    with pytest.raises(rome.dbapi.OperationalError, match="rome_next"):
        connection.execute("SELECT rome_next(1)")
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


@pytest.mark.parametrize("given", [2**63 - 1, 2**63 - 4])
def test_ids_end_with_autoincrement(url: str, given: int) -> None:
    """As in SQLite: ids grow to the last one. Then there are none, also for other connections, and after a DELETE."""
    sqlite = sqlite3.connect(":memory:")
    answers = []
    for first, second in ((rome.connect(url), rome.connect(url)), (sqlite, sqlite)):
        first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a INT)")
        first.execute("INSERT INTO t VALUES (?, 0)", (given,))
        first.commit()
        rows: list[object] = []
        for connection in (second, first) * 3:
            try:
                rows.append(connection.execute("INSERT INTO t (a) VALUES (1)").lastrowid)
                connection.commit()
            except (rome.dbapi.OperationalError, sqlite3.OperationalError) as error:
                connection.rollback()
                rows.append(str(error)[: len("database or disk is full")])
        first.execute("DELETE FROM t")
        with pytest.raises((rome.dbapi.OperationalError, sqlite3.OperationalError), match="database or disk is full"):
            first.execute("INSERT INTO t (a) VALUES (1)")
        first.close()
        second.close()
        answers.append(rows)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("last", [2**63 - 1, 2**63 - 2, 2**63 - 33, 2**63 - 2**32])
def test_a_row_at_the_end_of_all_ids(url: str, last: int) -> None:
    """Such an id does not use up the sequence: others and this process go on, also after it is deleted."""
    first, second = rome.connect(url), rome.connect(url)
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT)")
    first.execute("INSERT INTO t (a) VALUES (1)")
    first.execute("INSERT INTO t VALUES (?, 2)", (last,))
    first.execute("INSERT INTO t (a) VALUES (3)")
    first.commit()
    second.execute("INSERT INTO t (a) SELECT a + 3 FROM t")
    second.commit()
    first.execute("DELETE FROM t WHERE id = ?", (last,))
    first.execute("INSERT INTO t (a) VALUES (7)")
    first.commit()
    first.database.forget()
    first.execute("INSERT INTO t (a) VALUES (8)")
    first.commit()
    rows = first.execute("SELECT id, a FROM t").fetchall()
    assert sorted(a for _, a in rows) == [1, 3, 4, 5, 6, 7, 8]
    assert max(rowid for rowid, _ in rows) < 2**32
    first.close()
    second.close()
