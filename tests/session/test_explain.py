"""EXPLAIN, `rome.explain` and the slow log."""

from __future__ import annotations

import itertools
import logging

import pytest
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship

import rome

NUMBER = itertools.count()


class Base(DeclarativeBase):
    pass


class Server(Base):
    __tablename__ = "servers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    tags: Mapped[list[Tag]] = relationship()


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[int] = mapped_column(ForeignKey("servers.id"))


@pytest.fixture
def url() -> str:
    url = f"rome+memory:///explain{next(NUMBER)}"
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Server(name=f"s{number}", tags=[Tag(), Tag()]) for number in range(50)])
        session.commit()
    engine.dispose()
    return url


def lines(connection: rome.Connection, sql: str, *parameters: object) -> list[str]:
    return [line.split("    ")[0].rstrip() for (line,) in connection.execute(sql, parameters).fetchall()]


def test_plan_for(url: str) -> None:
    connection = rome.connect(url)
    assert lines(connection, "EXPLAIN PLAN FOR SELECT * FROM servers WHERE id = ?", 1) == [
        "SELECT, compiled",
        "round 1",
        "  primary key lookup on servers (id = ?1)",
    ]
    before = connection.stats.rounds
    plan = lines(connection, "explain plan for DELETE FROM tags WHERE server_id = 1")
    assert plan[:2] == ["DELETE, compiled", "round 1"]
    assert connection.stats.rounds == before
    assert lines(connection, "EXPLAIN PLAN FOR UPDATE servers SET name = ? WHERE id = ?", "new", 1)[0] == (
        "UPDATE, SQLite: data-modifying statement"  # of a UNIQUE column
    )
    with pytest.raises(rome.dbapi.OperationalError, match="no such table: missing"):
        connection.execute("EXPLAIN PLAN FOR SELECT * FROM missing")


def test_point_writes(url: str) -> None:
    connection = rome.connect(url)
    insert = "EXPLAIN PLAN FOR INSERT INTO servers (id, name) VALUES (?, ?)"
    assert lines(connection, insert, 77, "new")[0] == "INSERT, point write"
    connection.execute("SAVEPOINT s")
    assert lines(connection, insert, 77, "new")[0] == "INSERT, SQLite: data-modifying statement"


def test_reasons_against_the_compiled_evaluator(url: str) -> None:
    connection = rome.connect(url)
    plan = lines(connection, "EXPLAIN PLAN FOR SELECT id, sum(id) OVER () FROM servers")
    assert plan[0] == "SELECT, SQLite: window functions"
    connection.execute("CREATE VIEW names AS SELECT name FROM servers")
    plan = lines(connection, "EXPLAIN PLAN FOR SELECT * FROM names")
    assert plan == ["SELECT, SQLite: servers is referenced through a view", "round 1", "  full scan of servers"]
    assert lines(connection, "EXPLAIN PLAN FOR SELECT * FROM sqlite_master")[0] == "SELECT, SQLite: schema table"


def test_self_joins_show_their_aliases(url: str) -> None:
    connection = rome.connect(url)
    sql = "SELECT * FROM tags AS a JOIN tags AS b ON b.server_id = a.server_id WHERE a.id = ?"
    assert lines(connection, f"EXPLAIN PLAN FOR {sql}", 1)[1:] == [
        "round 1",
        "  primary key lookup on tags AS a (id = ?1)",
        "round 2",
        "  index lookup on tags AS b using index on server_id (server_id = a.server_id)",
    ]


def test_estimates_are_unknown_until_rows_were_fetched(url: str) -> None:
    connection = rome.connect(url)
    connection.database.statistics.forget()
    scan = "EXPLAIN PLAN FOR SELECT * FROM tags"
    assert connection.execute(scan).fetchall()[-1] == ("  full scan of tags    rows: unknown",)
    connection.execute("SELECT * FROM tags").fetchall()
    assert connection.execute(scan).fetchall()[-1] == ("  full scan of tags    rows: 100",)


def test_analyze(url: str) -> None:
    connection = rome.connect(url)
    plan = lines(connection, "EXPLAIN ANALYZE SELECT * FROM servers WHERE name = ?", "s7")
    assert plan[-1].startswith("actual rows: 1, round trips: 1, ")
    assert "rows fetched: 1," in plan[-1]


def test_explain_query_plan_is_that_of_sqlite(url: str) -> None:
    connection = rome.connect(url)
    assert connection.execute("EXPLAIN QUERY PLAN SELECT * FROM servers").fetchall()[0][3] == "SCAN servers"


def test_sqlalchemy_statements(url: str) -> None:
    engine = create_engine(url)
    statement = select(Server).where(Server.id.in_([1, 2])).options(joinedload(Server.tags))
    for bind in (engine, engine.connect(), Session(engine)):
        plan = rome.explain(statement, bind)
        assert plan.splitlines()[0] == "SELECT, compiled"
        assert "primary key lookup on servers (id IN (?1, ?2))" in plan
        assert "tags" in plan
    assert "round trips: 1," in rome.explain(select(Server.name), engine, analyze=True)


def test_slow_statements_are_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    connection = rome.connect(url, slow_ms=0)
    with caplog.at_level(logging.WARNING, "rome.slow"):
        connection.execute("SELECT * FROM servers WHERE id = 1")
    assert "SELECT * FROM servers WHERE id = 1" in caplog.text
    assert "primary key lookup on servers (id = 1)" in caplog.text
    with pytest.raises(rome.dbapi.InterfaceError, match="slow_ms"):
        rome.connect(f"{url}?slow_ms=soon")


def test_the_plan_cache_counts_hits_and_misses(url: str) -> None:
    connection = rome.connect(url)
    plans = connection.database.plans
    connection.execute("SELECT * FROM servers WHERE id = 1")
    hits, misses = plans.hits, plans.misses
    connection.execute("SELECT * FROM servers WHERE id = 1")
    assert (plans.hits, plans.misses) == (hits + 1, misses)
