"""A lookup that other lookups have answered costs no round trip, and has the same result."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import rome
from rome.errors import IntegrityError

SCHEMA = (
    "CREATE TABLE image (id INTEGER PRIMARY KEY)",
    "CREATE TABLE property (id INTEGER PRIMARY KEY, image INTEGER, name TEXT, value TEXT, UNIQUE (image, name))",
    "CREATE INDEX by_image ON property (image)",
    "INSERT INTO property VALUES (1, 1, 'a', 'x'), (2, 1, 'b', 'y'), (3, 2, 'a', 'z')",
)


@pytest.fixture
def connection(url: str) -> Iterator[rome.Connection]:
    # Ids from blocks, so that only lookups cost round trips.
    with rome.connect(f"{url}{'&' if '?' in url else '?'}ids=blocks") as connection:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.commit()
        yield connection
    connection.close()


class Counted:
    """Runs statements, and counts the round trips of each."""

    def __init__(self, connection: rome.Connection) -> None:
        self.connection = connection
        self.rounds = 0

    def __call__(self, statement: str, *parameters: object) -> list[object]:
        before = self.connection.stats.rounds
        rows = self.connection.execute(statement, parameters).fetchall()
        self.rounds = self.connection.stats.rounds - before
        return [value for (value,) in rows]


@pytest.fixture
def run(connection: rome.Connection) -> Counted:
    run = Counted(connection)
    assert sorted(run("SELECT value FROM property WHERE image = 1")) == ["x", "y"]
    assert run.rounds == 1
    return run


def test_a_pattern_does_not_answer_a_lookup(run: Counted) -> None:
    assert run("SELECT value FROM property WHERE image = 1 AND name LIKE 'a%'") == ["x"]
    assert run("SELECT value FROM property WHERE image = 1 AND name GLOB 'b*'") == ["y"]


def test_a_row_of_an_answered_lookup(run: Counted) -> None:
    assert run("SELECT value FROM property WHERE image = 1 AND name = 'b'") == ["y"]
    assert run.rounds == 0
    assert run("SELECT value FROM property WHERE image = 1 AND name = 'c'") == []
    assert run.rounds == 0
    assert run("SELECT value FROM property WHERE image = 1 AND name IN ('a', 'b', 'c') ORDER BY name LIMIT 1") == ["x"]
    assert run.rounds == 0


def test_other_keys_are_fetched(run: Counted) -> None:
    assert run("SELECT value FROM property WHERE image = 2 AND name = 'a'") == ["z"]
    assert run.rounds == 1
    assert sorted(run("SELECT value FROM property WHERE image IN (1, 2) AND name = 'a'")) == ["x", "z"]
    assert sorted(run("SELECT value FROM property WHERE image = 2")) == ["z"]
    assert sorted(run("SELECT value FROM property WHERE name = 'a'")) == ["x", "z"]


def test_unique_keys_are_checked_without_a_round_trip(connection: rome.Connection, run: Counted) -> None:
    run("INSERT INTO property (image, name) VALUES (1, 'first')")  # takes a block of ids
    for name in ("c", "d", "e"):
        run("INSERT INTO property (image, name) VALUES (1, ?)", name)
        assert run.rounds == 0
    for name in ("a", "d"):
        with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: property\.image, property\.name"):
            run("INSERT INTO property (image, name) VALUES (1, ?)", name)
    connection.commit()
    assert sorted(run("SELECT name FROM property WHERE image = 1")) == ["a", "b", "c", "d", "e", "first"]


def test_a_key_that_another_transaction_takes_is_not_taken_twice(
    connection: rome.Connection, run: Counted, url: str
) -> None:
    run("INSERT INTO property (image, name) VALUES (1, 'c')")
    with rome.connect(url) as other:
        other.execute("INSERT INTO property (image, name) VALUES (1, 'c')")
    other.close()
    with pytest.raises(IntegrityError, match="UNIQUE constraint failed"):
        connection.commit()


def test_own_changes_are_seen(connection: rome.Connection, run: Counted) -> None:
    run("UPDATE property SET name = 'c' WHERE image = 1 AND name = 'a'")
    assert run.rounds == 0
    run("INSERT INTO property (image, name, value) VALUES (1, 'a', 'new')")
    assert run("SELECT value FROM property WHERE image = 1 AND name = 'a'") == ["new"]
    run("SAVEPOINT s")
    run("DELETE FROM property WHERE image = 1 AND name = 'b'")
    assert run("SELECT value FROM property WHERE image = 1 AND name = 'b'") == []
    run("ROLLBACK TO s")
    assert run("SELECT value FROM property WHERE image = 1 AND name = 'b'") == ["y"]


def test_read_committed_fetches_again(url: str, connection: rome.Connection) -> None:
    with rome.connect(f"{url}{'&' if '?' in url else '?'}isolation_level=READ COMMITTED") as late:
        run = Counted(late)
        assert sorted(run("SELECT value FROM property WHERE image = 1")) == ["x", "y"]
        connection.execute("INSERT INTO property (image, name, value) VALUES (1, 'c', 'theirs')")
        connection.commit()
        assert run("SELECT value FROM property WHERE image = 1 AND name = 'c'") == ["theirs"]
    late.close()


def test_a_partial_index_answers_no_lookup_of_other_rows(connection: rome.Connection) -> None:
    connection.execute("CREATE TABLE word (text TEXT, page INTEGER, live INTEGER, UNIQUE (text, page))")
    connection.execute("CREATE INDEX alive ON word (page) WHERE live = 1")
    connection.execute("INSERT INTO word VALUES ('a', 1, 1), ('b', 1, 0)")
    connection.commit()
    run = Counted(connection)
    assert run("SELECT text FROM word WHERE page = 1 AND live = 1") == ["a"]
    assert run("SELECT live FROM word WHERE text = 'b' AND page = 1") == [0]
    assert run.rounds == 1


@pytest.mark.parametrize("text", ["roma", "ROMA"])
def test_a_lookup_under_another_collation_is_fetched(connection: rome.Connection, text: str) -> None:
    connection.execute("CREATE TABLE word (text TEXT, page INTEGER)")
    connection.execute("CREATE INDEX exact ON word (text)")
    connection.execute("CREATE UNIQUE INDEX loose ON word (text COLLATE NOCASE, page)")
    connection.execute("INSERT INTO word VALUES ('Roma', 1)")
    connection.commit()
    run = Counted(connection)
    assert run("SELECT page FROM word WHERE text = ?", text) == []
    with pytest.raises(IntegrityError, match="UNIQUE"):
        run("INSERT INTO word VALUES (?, 1)", text)
