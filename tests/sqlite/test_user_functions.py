"""Functions and aggregates that an application adds to a connection's SQL, as with Python's sqlite3."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator

import pytest

import rome

CREATE = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, n INTEGER)"
ROWS = [(number, f"x{number}", number * 3 if number % 4 else None) for number in range(20)]

QUERIES = [
    "SELECT {0}(x) FROM t WHERE id = 3",
    "SELECT id FROM t WHERE {0}(x) = 'own' ORDER BY id",
    "SELECT {0}(x), count(*) FROM t GROUP BY 1",
    "SELECT id FROM t ORDER BY {0}(x), id DESC LIMIT 3",
    "SELECT {0}(x) FROM t WHERE id = 1 UNION ALL SELECT {0}(x) FROM t WHERE id = 2",
]
ONE_ARGUMENT = ["lower", "upper", "length", "abs", "typeof", "trim", "ltrim", "rtrim", "own_name"]


class Range:
    """An aggregate: the greatest value less the least one."""

    def __init__(self) -> None:
        self.values: list[int] = []

    def step(self, value: int | None, scale: int) -> None:
        if value is not None:
            self.values.append(value * scale)

    def finalize(self) -> int | None:
        return max(self.values) - min(self.values) if self.values else None


@pytest.fixture
def connections() -> Iterator[tuple[rome.Connection, sqlite3.Connection]]:
    url = f"rome+memory:///{uuid.uuid4().hex}"
    connection, other = rome.connect(url), sqlite3.connect(":memory:")
    for each in (connection, other):
        each.execute(CREATE)
        each.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
        each.commit()
    yield connection, other
    other.close()
    connection.close()
    rome.drop_database(url)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_a_function_in_place_of_one_that_is_built_in(connections, name, query):
    connection, other = connections
    sql = query.format(name)
    if name != "own_name":  # a plan that other connections may share
        connection.execute(sql).fetchall()
        connection.commit()
    for each in connections:
        each.create_function(name, 1, lambda _: "own", deterministic=True)
    for _ in range(2):
        assert connection.execute(sql).fetchall() == other.execute(sql).fetchall()
        connection.commit()


def test_other_connections_keep_the_function_that_is_built_in(connections):
    connection, _ = connections
    connection.create_function("length", 1, lambda _: 77, deterministic=True)
    sql = "SELECT length(x) FROM t WHERE id = 1"
    assert connection.execute(sql).fetchall() == [(77,)]
    with rome.connect(connection.database.url) as another:
        assert another.execute(sql).fetchall() == [(2,)]


def test_like_of_the_application(connections):
    """The operator calls the function; no path may be chosen by what LIKE means otherwise."""
    connection, other = connections
    connection.execute("CREATE INDEX t_x ON t (x)")
    for each in connections:
        each.create_function("like", 2, lambda pattern, value: value.endswith(pattern), deterministic=True)
    sql = "SELECT x FROM t WHERE x LIKE '7' ORDER BY id"
    assert connection.execute(sql).fetchall() == other.execute(sql).fetchall() == [("x7",), ("x17",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT extent(n, 1) FROM t",
        "SELECT extent(n, 2) FROM t WHERE id < 0",
        "SELECT x LIKE '%1', extent(n, id) FROM t GROUP BY 1 ORDER BY 1",
        "SELECT id FROM t WHERE n > (SELECT extent(n, 1) / 2 FROM t) ORDER BY id",
    ],
)
def test_an_aggregate(connections, sql):
    connection, other = connections
    for each in connections:
        each.create_aggregate("extent", 2, Range)
    assert connection.execute(sql).fetchall() == other.execute(sql).fetchall()
    connection.rollback()
    assert connection.execute(sql).fetchall() == other.execute(sql).fetchall()


def test_an_aggregate_in_place_of_one_that_is_built_in(connections):
    connection, other = connections
    for each in connections:
        each.create_aggregate("max", 2, Range)
    sql = "SELECT max(n, 1) FROM t"
    assert connection.execute(sql).fetchall() == other.execute(sql).fetchall() == [(54,)]


def test_an_aggregate_that_is_removed(connections):
    connection, _ = connections
    connection.create_aggregate("extent", 2, Range)
    connection.create_aggregate("extent", 2, None)
    with pytest.raises(rome.dbapi.OperationalError, match="no such function: extent"):
        connection.execute("SELECT extent(n, 1) FROM t")


@pytest.mark.parametrize("setting", ["true", "on", "1", "off", "FALSE"])
def test_like_that_distinguishes_case(connections, setting):
    connection, other = connections
    connection.execute("CREATE INDEX t_x ON t (x COLLATE NOCASE)")
    queries = [
        "SELECT id FROM t WHERE x LIKE 'X1%' ORDER BY id",
        "SELECT x LIKE 'X%', x LIKE 'x%' FROM t WHERE id = 1",
        "SELECT x FROM t WHERE id = 3",
    ]
    before = [connection.execute(sql).fetchall() for sql in queries]
    assert before == [other.execute(sql).fetchall() for sql in queries]
    for each in connections:
        assert each.execute(f"PRAGMA case_sensitive_like = {setting}").fetchall() == []
    for _ in range(2):
        assert [connection.execute(sql).fetchall() for sql in queries] == [
            other.execute(sql).fetchall() for sql in queries
        ]
        connection.rollback()
    for each in connections:
        assert each.execute("PRAGMA case_sensitive_like").fetchall() == []
        each.execute("PRAGMA case_sensitive_like = 0")
    assert [connection.execute(sql).fetchall() for sql in queries] == before
