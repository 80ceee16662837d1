"""Results over rows that transactions share: as long as the rows hold, and only for the same values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

import rome
from tests.cache.test_promises import change, read, with_options

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
