"""The first result for a table is kept as it came; later requests and changes find its rows all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import rome
from rome.errors import Conflict

ALL = "SELECT id, owner, size FROM disk"
BY_OWNER = f"{ALL} WHERE owner = ?"
BY_ID = f"{ALL} WHERE id = ?"
ROWS = [(1, "a", 10), (2, "b", 20), (3, "a", 30), (194, "b", 194), (195, "a", 1.5)]


@pytest.fixture
def connection(url: str) -> Iterator[rome.Connection]:
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE disk (id INTEGER PRIMARY KEY, owner TEXT, size NUMERIC)")
        connection.execute("CREATE INDEX disk_owner ON disk (owner)")
        connection.executemany("INSERT INTO disk VALUES (?, ?, ?)", ROWS)
        connection.commit()
        yield connection
    connection.close()


def fetch(connection: rome.Connection, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    return connection.execute(sql, parameters).fetchall()


def of(owner: str) -> list[tuple[object, ...]]:
    return [row for row in ROWS if row[1] == owner]


@pytest.mark.parametrize(
    "reads",
    [
        ((ALL, ()), (BY_ID, (3,)), (BY_OWNER, ("a",)), (BY_ID, (9,))),
        ((BY_OWNER, ("a",)), (BY_OWNER, ("a",)), (BY_ID, (3,))),
        ((BY_ID, (3,)), (BY_ID, (3,))),
        ((BY_ID, (9,)), (BY_ID, (9,))),
    ],
)
def test_what_was_read_is_not_asked_for_again(
    connection: rome.Connection, reads: tuple[tuple[str, tuple[object, ...]]]
) -> None:
    before = connection.stats.rounds
    for sql, parameters in reads:
        expected = [row for row in ROWS if sql == ALL or parameters[0] in row[:2]]
        assert fetch(connection, sql, *parameters) == expected
    assert connection.stats.rounds == before + 1


def test_answers_that_share_rows(connection: rome.Connection) -> None:
    assert fetch(connection, BY_OWNER, "a") == of("a")
    assert fetch(connection, BY_ID, 2) == [ROWS[1]]
    assert fetch(connection, f"{ALL} WHERE id IN (1, 2, 9)") == ROWS[:2]
    assert fetch(connection, BY_OWNER, "b") == of("b")
    assert fetch(connection, ALL) == ROWS


@pytest.mark.parametrize("read", [ALL, f"{ALL} WHERE owner = 'a'", f"{ALL} WHERE id = 3", f"{ALL} WHERE id IN (9, 3)"])
def test_a_row_that_was_changed_is_taken_from_no_answer(connection: rome.Connection, read: str) -> None:
    fetch(connection, read)
    connection.execute("SAVEPOINT one")
    connection.execute("UPDATE disk SET size = 31 WHERE id = 3")
    assert fetch(connection, BY_ID, 3) == [(3, "a", 31)]
    connection.execute("DELETE FROM disk WHERE id = 1")
    assert fetch(connection, BY_OWNER, "a") == [(3, "a", 31), (195, "a", 1.5)]
    connection.execute("ROLLBACK TO one")
    assert fetch(connection, BY_OWNER, "a") == of("a")
    connection.execute("UPDATE disk SET size = 32 WHERE id = 3")
    connection.commit()
    assert fetch(connection, BY_ID, 3) == [(3, "a", 32)]


@pytest.mark.parametrize("read", [ALL, f"{ALL} WHERE owner = 'a'", f"{ALL} WHERE id = 3"])
def test_a_change_of_a_row_that_was_read_is_refused_if_it_was_written_since(
    connection: rome.Connection, url: str, read: str
) -> None:
    (seen,) = [row for row in fetch(connection, read) if row[0] == 3]
    with rome.connect(url) as other:
        other.execute("UPDATE disk SET size = 99 WHERE id = 3")
    assert fetch(connection, ALL) == ROWS
    connection.execute("UPDATE disk SET size = ? WHERE id = 3", (seen[2] + 1,))
    with pytest.raises(Conflict):
        connection.commit()
    other.close()


@pytest.mark.parametrize("read", [ALL, f"{ALL} WHERE owner = 'a'", f"{ALL} WHERE id = 3"])
def test_what_was_read_is_checked_under_serializable(connection: rome.Connection, url: str, read: str) -> None:
    connection.isolation_level = "SERIALIZABLE"
    fetch(connection, read)
    with rome.connect(url) as other:
        other.execute("UPDATE disk SET size = 99 WHERE id = 3")
    connection.execute("UPDATE disk SET size = 0 WHERE id = 2")
    with pytest.raises(Conflict):
        connection.commit()
    other.close()


def test_read_committed_forgets_it(connection: rome.Connection, url: str) -> None:
    connection.isolation_level = "READ COMMITTED"
    assert fetch(connection, ALL) == ROWS
    with rome.connect(url) as other:
        other.execute("UPDATE disk SET size = 99 WHERE id = 3")
        other.execute("DELETE FROM disk WHERE id = 1")
    assert fetch(connection, BY_OWNER, "a") == [(3, "a", 99), (195, "a", 1.5)]
    assert fetch(connection, ALL) == [ROWS[1], (3, "a", 99), *ROWS[3:]]
    other.close()


def test_a_whole_table_as_it_was(connection: rome.Connection, url: str) -> None:
    assert fetch(connection, BY_ID, 2) == [ROWS[1]]
    with rome.connect(url) as other:
        other.execute("UPDATE disk SET owner = 'b', size = 99 WHERE id = 3")
        other.execute("DELETE FROM disk WHERE id = 1")
        other.execute("INSERT INTO disk VALUES (7, 'c', 70)")
    before = connection.stats.rounds
    assert fetch(connection, ALL) == ROWS
    assert connection.stats.rounds == before + 1
    other.close()


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("a TEXT NOT NULL, b INT NOT NULL, PRIMARY KEY (a, b)", [("b", 1), ("a", 2), ("a", 1), ("é", 0), ("", 5)]),
        ("a TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, b INT", [("B", 1), ("a", 2), ("c", 1), ("D", 0)]),
        ("a TEXT, b INT", [("b", 1), ("a", 2), ("b", 1), (None, None)]),
        ("a NOT NULL PRIMARY KEY, b INT", [("b", 1), (2, 2), (1.5, 3), (b"x", 4), (-1, 5)]),
    ],
)
def test_rows_come_in_key_order(url: str, key: str, values: list[tuple[object, object]]) -> None:
    with rome.connect(url) as connection:
        connection.execute(f"CREATE TABLE t ({key})")
        connection.execute("CREATE INDEX t_b ON t (b)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", values)
        connection.commit()
        collation = "NOCASE" if "NOCASE" in key else "BINARY"
        order = f"a COLLATE {collation}, b" if "KEY" in key else "rowid"
        for where in ("", " WHERE b > 0", " WHERE b = 1"):
            expected = fetch(connection, f"SELECT * FROM t{where} ORDER BY {order}")
            connection.rollback()
            assert fetch(connection, f"SELECT * FROM t{where}") == expected
            connection.rollback()
    connection.close()
