"""The promises of a database with `staleness` in its URL to applications, on every store."""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import sqlalchemy.exc
from sqlalchemy import Integer, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import rome
from rome.cache.bound import DEFAULT, NEWEST
from rome.dbapi import Connection
from rome.errors import Conflict, InterfaceError

LONG = 3600
"""Seconds: within a test, nothing becomes so old."""


class Base(DeclarativeBase):
    """The models of these tests."""


class Host(Base):
    """A row that is read often."""

    __tablename__ = "hosts"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    load: Mapped[int] = mapped_column(Integer, default=0)


def with_options(url: str, options: str) -> str:
    return url + ("&" if "?" in url else "?") + options


@pytest.fixture
def other(url: str) -> Iterator[Connection]:
    """A connection without a cache, as that of another process: to a table with ten rows."""
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE hosts (id INTEGER PRIMARY KEY, name TEXT UNIQUE, load INT)")
        connection.executemany("INSERT INTO hosts VALUES (?, ?, ?)", [(each, f"h{each}", each) for each in range(10)])
        connection.commit()
        yield connection


@pytest.fixture
def cached(url: str, other: Connection) -> Iterator[Connection]:
    """A connection that may read what is an hour old. Its cache has begun."""
    with closing(rome.connect(with_options(url, f"staleness={LONG}"))) as connection:
        read(connection, "SELECT * FROM hosts WHERE id = 0")
        wait_until(lambda: rounds_of(connection, "SELECT * FROM hosts WHERE id = 0") == 0)
        yield connection


def read(connection: Connection, sql: str) -> list[tuple[object, ...]]:
    """Return the rows of a SELECT in a transaction of its own."""
    rows = connection.execute(sql).fetchall()
    connection.commit()
    return rows


def rounds_of(connection: Connection, sql: str) -> int:
    """Return the round trips of a SELECT in a transaction of its own."""
    before = connection.stats.rounds
    read(connection, sql)
    return connection.stats.rounds - before


def change(connection: Connection, sql: str) -> None:
    connection.execute(sql)
    connection.commit()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


SELECTS = [
    "SELECT * FROM hosts WHERE id = 3",
    "SELECT * FROM hosts WHERE name = 'h3'",
    "SELECT * FROM hosts WHERE name = 'nobody'",
    "SELECT * FROM hosts WHERE id BETWEEN 2 AND 5 ORDER BY id DESC",
    "SELECT * FROM hosts ORDER BY name LIMIT 3",
    "SELECT count(*) FROM hosts",
    "SELECT load % 2, sum(load) FROM hosts GROUP BY 1 ORDER BY 1",
    "SELECT a.name, b.name FROM hosts a JOIN hosts b ON b.id = a.load + 1 ORDER BY 1, 2",
]


@pytest.mark.parametrize("sql", SELECTS)
def test_what_was_read_is_read_without_a_round_trip(cached: Connection, other: Connection, sql: str) -> None:
    expected = read(other, sql)
    assert read(cached, sql) == expected
    assert rounds_of(cached, sql) == 0
    assert read(cached, sql) == expected


def test_a_change_of_a_row_that_was_read_takes_one_round_trip(cached: Connection) -> None:
    read(cached, "SELECT * FROM hosts WHERE id = 3")
    assert rounds_of(cached, "UPDATE hosts SET load = load + 1 WHERE id = 3") == 1
    assert rounds_of(cached, "SELECT * FROM hosts WHERE id = 3") == 0


@pytest.mark.parametrize("sql", SELECTS)
def test_the_process_sees_its_own_commits(cached: Connection, other: Connection, sql: str) -> None:
    read(cached, sql)
    for statement in (
        "UPDATE hosts SET load = load + 7, name = name || 'x' WHERE id IN (3, 4)",
        "DELETE FROM hosts WHERE id = 5",
        "INSERT INTO hosts VALUES (20, 'h3', 1), (21, 'nobody', 2)",
    ):
        change(other, "UPDATE hosts SET load = load + 100 WHERE id = 9")
        change(cached, statement)
        assert read(cached, sql) == read(other, sql)
        change(cached, "UPDATE hosts SET load = load + 1 WHERE id = 8")
        assert read(cached, sql) == read(other, sql)


def test_what_others_commit_is_seen(url: str, other: Connection) -> None:
    with closing(rome.connect(with_options(url, "staleness=0.2"))) as connection:
        for sql in SELECTS:
            read(connection, sql)
        change(other, "UPDATE hosts SET load = 77 WHERE id = 3")
        change(other, "INSERT INTO hosts VALUES (30, 'nobody', 5)")
        time.sleep(0.2)
        for sql in SELECTS:
            assert read(connection, sql) == read(other, sql)


def test_a_transaction_sees_one_version(cached: Connection, other: Connection) -> None:
    first = cached.execute("SELECT load FROM hosts WHERE id = 1").fetchall()
    change(other, "UPDATE hosts SET load = load + 1")
    cached.database.cached.follow()  # type: ignore[union-attr]
    assert cached.execute("SELECT load FROM hosts WHERE id IN (1, 2) ORDER BY id").fetchall() == [*first, (2,)]
    cached.commit()
    assert read(cached, "SELECT load FROM hosts WHERE id = 1") == [(2,)]


def test_reads_do_not_go_back(cached: Connection, other: Connection) -> None:
    seen = 0
    for number in range(1, 50):
        change(other, f"UPDATE hosts SET load = {number} WHERE id = 1")
        if number % 7 == 0:
            cached.read_bound = NEWEST
        ((load,),) = read(cached, "SELECT load FROM hosts WHERE id = 1")
        assert isinstance(load, int)
        assert load >= seen
        assert load == number or number % 7
        seen = load
        cached.read_bound = DEFAULT


@pytest.mark.parametrize("level", ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"])
def test_no_update_is_lost(url: str, other: Connection, level: str) -> None:
    def work(count: int) -> None:
        with closing(rome.connect(with_options(url, f"staleness={LONG}"), isolation_level=level)) as connection:
            for _ in range(count):
                while True:
                    try:
                        ((load,),) = connection.execute("SELECT load FROM hosts WHERE id = 1").fetchall()
                        sql = "UPDATE hosts SET load = ? WHERE id = 1 AND load = ?"
                        changed = connection.execute(sql, (load + 1, load)).rowcount
                        connection.commit()
                    except Conflict:
                        connection.rollback()
                        continue
                    if changed:
                        break

    threads = [threading.Thread(target=work, args=(20,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        change(other, "UPDATE hosts SET load = load + 1 WHERE id = 1")
    for thread in threads:
        thread.join()
    other.rollback()
    assert read(other, "SELECT load FROM hosts WHERE id = 1") == [(1 + 60,)]


def test_serializable_writers_are_serializable(url: str, other: Connection) -> None:
    options = with_options(url, f"staleness={LONG}")
    with closing(rome.connect(options, isolation_level="SERIALIZABLE")) as connection:
        read(connection, "SELECT sum(load) FROM hosts")
        change(other, "UPDATE hosts SET load = load + 1 WHERE id = 2")
        total = connection.execute("SELECT sum(load) FROM hosts").fetchone()
        connection.execute("UPDATE hosts SET load = ? WHERE id = 9", total)
        if total == (45,):
            with pytest.raises(Conflict):
                connection.commit()
        else:
            connection.commit()


def test_constraints_hold(cached: Connection, other: Connection) -> None:
    read(cached, "SELECT * FROM hosts WHERE name = 'new'")
    change(other, "INSERT INTO hosts VALUES (40, 'new', 0)")
    with pytest.raises(rome.dbapi.IntegrityError):
        change(cached, "INSERT INTO hosts VALUES (41, 'new', 0)")
    cached.rollback()
    assert read(cached, "SELECT id FROM hosts WHERE name = 'new'") == [(40,)]


def test_locked_rows_are_the_newest(cached: Connection, other: Connection) -> None:
    read(cached, "SELECT * FROM hosts WHERE id = 1")
    change(other, "UPDATE hosts SET load = 1000 WHERE id = 1")
    assert read(cached, "SELECT load FROM hosts WHERE id = 1 FOR UPDATE") == [(1000,)]


def test_a_changed_schema_is_seen(cached: Connection, other: Connection) -> None:
    read(cached, "SELECT * FROM hosts WHERE id = 1")
    change(cached, "ALTER TABLE hosts ADD COLUMN zone TEXT DEFAULT 'z'")
    assert read(cached, "SELECT zone FROM hosts WHERE id = 1") == [("z",)]
    change(other, "ALTER TABLE hosts ADD COLUMN rack TEXT DEFAULT 'r'")
    change(cached, "INSERT INTO hosts (id, name) VALUES (50, 'h50')")
    assert read(cached, "SELECT rack FROM hosts WHERE id = 50") == [("r",)]
    change(other, "CREATE TABLE later (id INTEGER PRIMARY KEY)")
    assert read(cached, "SELECT * FROM later") == []


def test_a_dropped_database_is_empty(url: str, cached: Connection, other: Connection) -> None:
    read(cached, "SELECT * FROM hosts WHERE id = 1")
    rome.drop_database(with_options(url, f"staleness={LONG}"))
    with pytest.raises(rome.dbapi.OperationalError, match="no such table"):
        read(cached, "SELECT * FROM hosts WHERE id = 1")


@pytest.mark.parametrize("kept", ["", "&cache=1"])
def test_options_of_sqlalchemy(url: str, other: Connection, kept: str) -> None:
    engine = create_engine(with_options(url, f"staleness={LONG}{kept}"))
    statement = select(Host.load).where(Host.id == 1)
    with Session(engine) as session:
        assert session.scalars(statement).one() == 1
    wait_until(lambda: _is_following(engine.raw_connection().dbapi_connection))
    change(other, "UPDATE hosts SET load = 5 WHERE id = 1")
    with Session(engine) as session:
        assert session.scalars(statement.execution_options(rome_fresh=True)).one() == 5
    change(other, "UPDATE hosts SET load = 6 WHERE id = 1")
    with Session(engine) as session:
        session.connection(execution_options={"rome_staleness": 0})
        assert session.scalars(statement).one() == 6
    change(other, "UPDATE hosts SET load = 7 WHERE id = 1")
    token = rome.session_token(create_engine(url))
    with engine.connect().execution_options(rome_after=token) as connection:
        assert connection.scalars(statement).one() == 7
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.InterfaceError, match="rome_after is a token"):
        connection.execute(statement, execution_options={"rome_after": 7})
    engine.dispose()


def _is_following(connection: object) -> bool:
    assert isinstance(connection, Connection)
    cached = connection.database.cached
    assert cached is not None
    return cached.age is not None and cached.age < LONG


def test_explain_analyze_counts_what_the_cache_answers(cached: Connection) -> None:
    sql = "EXPLAIN ANALYZE SELECT * FROM hosts WHERE id = 3"
    read(cached, sql)
    *_, line, total = [str(row[0]) for row in read(cached, sql)]
    assert line.startswith("requests answered by the cache: 1 of 1, age: ")
    counts = r"[1-9]\d* of \d+ requests answered, 0 commits refused, 0 replayed, 0.0 of 64.0 MiB"
    assert re.fullmatch(f"the cache of this process: {counts}", total)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("staleness=soon", "not a number of seconds: 'soon'"),
        ("staleness=-1", "not a number of seconds"),
        ("staleness=inf", "not a number of seconds"),
        ("cache=1MiB", "needs 'staleness'"),
        ("staleness=1&cache=lots", "not a size such as 64MiB"),
    ],
)
def test_wrong_options(options: str, message: str) -> None:
    with pytest.raises(InterfaceError, match=message):
        rome.connect(f"rome+memory:///{uuid.uuid4().hex}?{options}")


def test_a_forked_child_has_a_cache_of_its_own(cached: Connection, other: Connection) -> None:
    read(cached, "SELECT * FROM hosts WHERE id = 1")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            rows = read(cached, "SELECT load FROM hosts WHERE id = 1")
            wait_until(lambda: rounds_of(cached, "SELECT load FROM hosts WHERE id = 1") == 0)
            status = 0 if rows == [(1,)] else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
