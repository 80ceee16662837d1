"""Results over rows that transactions share: as long as the rows hold, and only for the same values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

import rome
from rome.cache.results import FEWEST_INDEXED, SharedRows
from tests.cache.test_promises import change, read, wait_until, with_options

SELECTS = [
    "SELECT kind, sum(size), count(*) FROM events GROUP BY kind",
    "SELECT count(*) FROM events WHERE size > 50",
    "SELECT max(size) FROM events WHERE kind = 'k1'",
]


@pytest.fixture
def databases(url: str) -> Iterator[list[rome.Connection | sqlite3.Connection]]:
    """Return a connection with a cache and one to SQLite, with the same rows."""
    with (
        closing(rome.connect(with_options(url, "staleness=3600"))) as cached,
        closing(sqlite3.connect(":memory:")) as other,
    ):
        for connection in (cached, other):
            connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT, size)")
            rows = [(each, f"k{each % 5}", each) for each in range(400)]
            connection.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
            connection.commit()
        yield [cached, other]


@pytest.mark.parametrize("sql", SELECTS)
def test_results_follow_the_rows(databases: list[rome.Connection], sql: str) -> None:
    cached, other = databases
    for statement in (
        "UPDATE events SET size = 1000 WHERE id = 6",
        "DELETE FROM events WHERE id = 6",
        "INSERT INTO events VALUES (1000, 'k1', 2000)",
        "UPDATE events SET kind = 'k9' WHERE id = 1",
    ):
        for _ in range(3):
            expected = read(other, sql)
            assert read(cached, sql) == expected
            read(cached, sql).clear()  # the list is the application's
        change(cached, statement)
        change(other, statement)
        assert read(cached, sql) == read(other, sql)


def test_results_of_other_values_are_others(databases: list[rome.Connection]) -> None:
    sql = "SELECT count(*), ? FROM events WHERE size > ?"
    for parameters in ((1, 5), (1.0, 5), (True, 5), ("1", 5), (1, 50), (None, 50), (0.0, 5), (-0.0, 5)):
        answers = [connection.execute(sql, parameters).fetchall() for connection in databases]
        assert list(map(repr, answers[:1])) == list(map(repr, answers[1:]))


def test_a_transaction_sees_its_own_changes(databases: list[rome.Connection]) -> None:
    cached, other = databases
    for sql in SELECTS:
        read(cached, sql)
        for connection in databases:
            connection.execute("UPDATE events SET size = size + 1 WHERE kind = 'k1'")
        assert cached.execute(sql).fetchall() == other.execute(sql).fetchall()
        for connection in databases:
            connection.rollback()
        assert read(cached, sql) == read(other, sql)


@pytest.fixture
def many(url: str) -> Iterator[list[rome.Connection | sqlite3.Connection]]:
    """Return a connection with a cache and one to SQLite, with so many rows that a column gets an index."""
    with (
        closing(rome.connect(with_options(url, "staleness=3600"))) as cached,
        closing(sqlite3.connect(":memory:")) as other,
    ):
        for connection in (cached, other):
            connection.execute(
                "CREATE TABLE many (id INTEGER PRIMARY KEY, whole INTEGER, real REAL, number NUMERIC, name TEXT, "
                "folded TEXT COLLATE NOCASE, any_value)"
            )
            values = [1, 2.5, "1", "a", "A", b"a", None, 2**53 + 1, "2.5", "", -0.0, "é"]
            rows = [(number, *[values[number % len(values)]] * 6) for number in range(1300)]
            connection.executemany("INSERT INTO many VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.commit()
        reads = cached.database.cached
        assert reads is not None
        read(cached, "SELECT * FROM many")
        wait_until(lambda: reads.age is not None)
        yield [cached, other]


@pytest.mark.parametrize("column", ["whole", "real", "number", "name", "folded", "any_value"])
def test_rows_with_a_value_of_a_column(many: list[rome.Connection], column: str) -> None:
    """Whether an index finds the rows or not, they are those that SQLite finds, in their order."""
    values = [1, 1.0, True, "1", 2.5, "2.5", "a", "A", b"a", None, 2**53 + 1, float(2**53 + 1), 2**53, "", 0, "é", 99]
    for condition in (f"{column} = ?", f"id > 100 AND {column} = ?", f"{column} = ? AND id <> 7"):
        for value in values:
            sql = f"SELECT id, {column} FROM many WHERE {condition} ORDER BY id"
            found, expected = [connection.execute(sql, (value,)).fetchall() for connection in many]
            many[0].commit()
            assert list(map(repr, found)) == list(map(repr, expected)), value


def test_an_index_follows_the_rows(many: list[rome.Connection]) -> None:
    cached, other = many
    sql = "SELECT id FROM many WHERE name = 'a' AND id < {}"
    for statement in (
        "UPDATE many SET name = 'a' WHERE id = 0",
        "DELETE FROM many WHERE id = 3",
        "INSERT INTO many VALUES (-1, 0, 0, 0, 'a', '', '')",
    ):
        for most in range(1200, 1210):
            assert read(cached, sql.format(most)) == read(other, sql.format(most))
        change(cached, statement)
        change(other, statement)
        for most in range(1200, 1210):
            assert read(cached, sql.format(most)) == read(other, sql.format(most))


def test_columns_take_turns_to_have_the_index() -> None:
    rows = SharedRows([(number, number % 10, number % 7) for number in range(FEWEST_INDEXED)])
    for _ in range(3):
        for at in (1, 2):
            sizes = [len(rows.having(at, 3)) for _ in range(10)]
            assert sizes[0] == len(rows)
            assert sizes[-1] == sum(row[at] == 3 for row in rows)
            assert list(rows.having(at, 3)) == [row for row in rows if row[at] == 3]
            assert not rows.having(at, 50)


def test_few_rows_get_no_index() -> None:
    rows = SharedRows([(number,) for number in range(FEWEST_INDEXED - 1)])
    assert all(rows.having(0, 3) is rows for _ in range(20))
