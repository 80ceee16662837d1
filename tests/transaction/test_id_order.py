"""Ids grow in the order of allocation across processes, and are drawn along with what a statement reads anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rome
from rome.errors import IntegrityError, InterfaceError
from rome.testing.servers import RedisServer

SCHEMA = (
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
    "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INT REFERENCES parent, n INT)",
    "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, n INT)",
)

Connect = Callable[..., rome.Connection]


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.server)])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    """Return a function that connects as another process would: with counters of its own, by a URL of its own."""
    if request.param == "file":
        base = f"rome+file://{tmp_path}/ids.rome"
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        base = server.url("id-order")
    opened: list[rome.Connection] = []

    def open_connection(options: str = "") -> rome.Connection:
        opened.append(rome.connect(f"{base}?log_commits={1000 + len(opened)}{options}"))
        opened[-1].execute("SELECT * FROM log WHERE id = 0").fetchall()  # it now knows the schema
        opened[-1].rollback()
        return opened[-1]

    rome.drop_database(base)
    with rome.connect(base) as first:
        for statement in SCHEMA:
            first.execute(statement)
    first.close()
    yield open_connection
    for connection in opened:
        connection.close()
    rome.drop_database(base)


def insert(connection: rome.Connection, table: str = "log") -> int:
    ((rowid,),) = connection.execute(f"INSERT INTO {table} DEFAULT VALUES RETURNING id").fetchall()
    return int(rowid)


def rounds(connection: rome.Connection, work: Callable[[], object]) -> int:
    before = connection.stats.rounds
    work()
    return connection.stats.rounds - before


def test_ids_of_two_processes_are_in_the_order_of_their_transactions(connect: Connect) -> None:
    first, second = connect(), connect()
    ids = []
    for connection in (first, second, first, second, second, first):
        ids.append(insert(connection))
        connection.commit()
    assert ids == sorted(set(ids))


def test_blocks_are_a_choice(connect: Connect) -> None:
    first, second = connect("&ids=blocks"), connect("&ids=blocks")
    ids = []
    for connection in (first, second, first):
        ids.append(insert(connection))
        connection.commit()
    assert ids[0] + 1 == ids[2] < ids[1]


def test_another_choice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterfaceError, match=r"'ids' of the ROME URL .* is neither ordered nor blocks: 'random'"):
        rome.connect(f"rome+file://{tmp_path}/x.rome?ids=random")


@pytest.mark.parametrize("sql", ["INSERT INTO parent (name) VALUES ('{n}')", "INSERT INTO child (n) VALUES (1)"])
def test_an_insert_and_its_commit_are_two_round_trips(connect: Connect, sql: str) -> None:
    connection = connect()
    for number in range(3):
        connection.execute(sql.format(n=number))
        connection.commit()

    def work() -> None:
        connection.execute(sql.format(n="last"))
        connection.commit()

    assert rounds(connection, work) == 2


def test_ids_of_children_come_with_those_of_the_parent(connect: Connect) -> None:
    """From the second transaction of a shape on, the first statement draws the ids of the others along."""
    connection = connect()

    def make(name: str, children: int) -> None:
        ((parent,),) = connection.execute("INSERT INTO parent (name) VALUES (?) RETURNING id", (name,)).fetchall()
        for number in range(children):
            connection.execute("INSERT INTO child (parent, n) VALUES (?, ?)", (parent, number))
        connection.commit()

    make("first", 3)
    assert rounds(connection, lambda: make("second", 3)) == 2
    assert rounds(connection, lambda: make("third", 2)) == 2
    ids = [row[0] for row in connection.execute("SELECT id FROM child ORDER BY parent, n").fetchall()]
    assert ids == sorted(set(ids))


def test_round_trips_of_many_inserts_grow_with_the_logarithm(connect: Connect) -> None:
    connection = connect()

    def work() -> None:
        for _ in range(200):
            insert(connection)
        connection.commit()

    assert rounds(connection, work) <= 14


def test_many_rows_of_one_statement_draw_their_ids_at_once(connect: Connect) -> None:
    connection = connect()

    def work() -> None:
        connection.executemany("INSERT INTO log (n) VALUES (?)", [(number,) for number in range(500)])
        connection.commit()

    assert rounds(connection, work) == 2
    assert [row[0] for row in connection.execute("SELECT id FROM log ORDER BY n").fetchall()] == list(range(1, 501))


def test_ids_of_a_rollback_are_not_used_again(connect: Connect) -> None:
    first, second = connect(), connect()
    lost = insert(first)
    first.rollback()
    kept = insert(second)
    second.commit()
    assert insert(first) > kept > lost
    first.rollback()


def test_a_statement_that_fails_gives_its_ids_to_the_next(connect: Connect) -> None:
    connection = connect()
    connection.execute("INSERT INTO parent (name) VALUES ('a')")
    with pytest.raises(IntegrityError):
        connection.execute("INSERT INTO parent (name) VALUES ('b'), ('a')")
    connection.execute("INSERT INTO parent (name) VALUES ('c')")
    assert connection.execute("SELECT id FROM parent ORDER BY id").fetchall() == [(1,), (2,)]


def test_ids_after_explicit_ones_are_greater(connect: Connect) -> None:
    first, second = connect(), connect()
    first.execute("INSERT INTO log (id) VALUES (100)")
    assert insert(first) == 101
    first.commit()
    assert insert(second) == 102
    second.execute("INSERT INTO log (id) VALUES (103)")
    assert insert(second) == 104
    second.commit()
    assert insert(first) == 105
    first.commit()
