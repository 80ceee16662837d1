"""Top-N plans whose filters and joins drop rows: how much is fetched, and the rows are right in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship

import rome
from rome.errors import Conflict

SERVERS = 1000
SCHEMA = (
    "CREATE TABLE project (id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TABLE server (id INTEGER PRIMARY KEY, project INTEGER, name TEXT, born INTEGER, state TEXT)",
    "CREATE INDEX by_born ON server (born, id)",
    "CREATE INDEX by_project ON server (project, born)",
    "CREATE TABLE tag (server INTEGER, name TEXT, PRIMARY KEY (server, name))",
)

Row = tuple[Any, ...]


def servers() -> Iterator[Row]:
    """Insert servers: every tenth is down; of ten projects, number 9 does not exist."""
    for number in range(SERVERS):
        yield number, number % 10, f"s{number}", number * 7919 % SERVERS // 2, "down" if number % 10 == 3 else "up"


@pytest.fixture
def connection(url: str) -> Iterator[rome.Connection]:
    connection = rome.connect(url, foreign_keys="off")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.executemany("INSERT INTO project VALUES (?, ?)", [(number, f"p{number}") for number in range(9)])
    connection.executemany("INSERT INTO server VALUES (?, ?, ?, ?, ?)", list(servers()))
    connection.executemany("INSERT INTO tag VALUES (?, ?)", [(number, "odd") for number in range(1, SERVERS, 2)])
    connection.commit()
    yield connection
    connection.close()


class Cost:
    """Runs statements in transactions of their own, and counts the rows and round trips."""

    def __init__(self, connection: rome.Connection) -> None:
        self.connection = connection
        self.rounds = self.rows = 0

    def __call__(self, sql: str, *parameters: object) -> list[Row]:
        self.connection.rollback()
        before = self.connection.stats.snapshot()
        found = self.connection.execute(sql, parameters).fetchall()
        after = self.connection.stats.snapshot()
        self.rounds, self.rows = after[0] - before[0], after[2] - before[2]
        return found


@pytest.fixture
def run(connection: rome.Connection) -> Cost:
    return Cost(connection)


def expected(condition: Callable[[Row], bool], first: int = 0, count: int = 10) -> list[int]:
    """Return the ids of the expected rows, in the order of birth."""
    found = sorted((row for row in servers() if condition(row)), key=lambda row: (row[3], row[0]))
    return [row[0] for row in found[first : first + count]]


def ids(rows: list[Row]) -> list[Any]:
    return [row[0] for row in rows]


FILTERED = "SELECT id FROM server WHERE state = ? ORDER BY born, id LIMIT ? OFFSET ?"
JOINED = """SELECT server.id, project.name FROM server JOIN project ON project.id = server.project
    ORDER BY server.born, server.id LIMIT 10"""


def test_a_filter_that_leaves_most(run: Cost) -> None:
    assert ids(run(FILTERED, "up", 10, 0)) == expected(lambda row: row[4] == "up")
    assert (run.rounds, run.rows < 50) == (1, True)
    assert ids(run(FILTERED, "up", 10, 40)) == expected(lambda row: row[4] == "up", 40)
    assert (run.rounds, run.rows < 120) == (1, True)


def test_what_comes_out_is_learned(run: Cost) -> None:
    run(FILTERED, "down", 10, 0)
    assert (run.rounds, run.rows < 300) == (2, True)
    assert ids(run(FILTERED, "down", 10, 0)) == expected(lambda row: row[4] == "down")
    assert (run.rounds, run.rows < 250) == (1, True)


def test_a_filter_that_leaves_nothing_is_soon_known(run: Cost) -> None:
    assert run(FILTERED, "gone", 10, 0) == []
    assert run.rounds <= 4
    assert run.rows < 1.4 * SERVERS
    taken = []
    for _ in range(10):
        assert run(FILTERED, "gone", 10, 0) == []
        taken.append((run.rounds, run.rows))
    assert taken.count((1, SERVERS)) >= 9


def test_values_of_which_some_leave_hardly_anything(run: Cost) -> None:
    """One rare value in four does not make the others expensive."""
    for state in ["up", "up", "up", "gone"] * 3:
        assert ids(run(FILTERED, state, 10, 0)) == expected(lambda row, state=state: row[4] == state)  # type: ignore[misc]
        assert run.rows < (SERVERS / 2 if state == "up" else 2.4 * SERVERS)


def test_a_page_that_is_most_of_the_table(run: Cost) -> None:
    assert len(run(FILTERED, "up", 800, 50)) == 800
    assert (run.rounds, run.rows) == (1, SERVERS)


def test_the_end_of_the_rows(run: Cost) -> None:
    sql = "SELECT id FROM server WHERE project = 4 AND name <> ? ORDER BY born, id LIMIT ?"
    assert ids(run(sql, "s14", 400)) == expected(lambda row: row[1] == 4 and row[2] != "s14", 0, 400)
    assert run.rounds <= 2


@pytest.mark.parametrize("limit", ["0", "-1", "10 OFFSET 5000", "0 OFFSET 3", "-1 OFFSET 990", "10 OFFSET -4"])
def test_odd_limits(run: Cost, limit: str) -> None:
    count, _, first = limit.partition(" OFFSET ")
    begin = max(0, int(first or 0))
    wanted = expected(lambda row: row[2] != "s5", begin, SERVERS if count == "-1" else int(count))
    for _ in range(2):
        assert ids(run(f"SELECT id FROM server WHERE name <> 's5' ORDER BY born, id LIMIT {limit}")) == wanted


def test_a_limit_of_null_is_sqlites_error(run: Cost) -> None:
    with pytest.raises(rome.dbapi.IntegrityError, match="datatype mismatch"):
        run("SELECT id FROM server WHERE name <> 's5' ORDER BY born, id LIMIT ?", None)


def test_inner_joins(run: Cost) -> None:
    for attempt in range(2):
        assert ids(run(JOINED)) == expected(lambda row: row[1] != 9)
        assert (run.rounds, run.rows < 50) == (2, True), attempt


def test_the_table_that_gives_the_order_may_stand_anywhere(run: Cost) -> None:
    sql = """SELECT server.id FROM project JOIN server ON project.id = server.project JOIN tag ON tag.server = server.id
        WHERE project.name <> 'p1' ORDER BY server.born, server.id LIMIT 10"""
    for _ in range(2):
        assert ids(run(sql)) == expected(lambda row: row[1] not in (1, 9) and row[0] % 2 == 1)
    assert (run.rounds, run.rows < 150) == (2, True)


def test_subqueries(run: Cost) -> None:
    exists = "EXISTS (SELECT 1 FROM tag WHERE tag.server = server.id AND tag.name = 'odd')"
    for negation, rest in (("", 1), ("NOT ", 0)):
        sql = f"SELECT id FROM server WHERE {negation}{exists} ORDER BY born, id LIMIT 10"
        for _ in range(2):
            assert ids(run(sql)) == expected(lambda row, rest=rest: row[0] % 2 == rest)  # type: ignore[misc]
        assert (run.rounds, run.rows < 100) == (2, True)


def test_distinct(run: Cost) -> None:
    sql = """SELECT DISTINCT server.born, server.id FROM server JOIN tag ON tag.server = server.id
        ORDER BY server.born, server.id LIMIT 10"""
    assert [row[1] for row in run(sql)] == expected(lambda row: row[0] % 2 == 1)
    assert run.rows < 100


def test_groups_of_one_row_each(run: Cost) -> None:
    sql = """SELECT server.id, count(tag.name) FROM server LEFT JOIN tag ON tag.server = server.id
        WHERE server.state = 'up' GROUP BY server.id ORDER BY server.born, server.id LIMIT 10"""
    assert run(sql) == [(number, number % 2) for number in expected(lambda row: row[4] == "up")]
    assert (run.rounds, run.rows < 100) == (2, True)


def test_a_filter_that_only_sqlite_evaluates(run: Cost) -> None:
    sql = "SELECT id FROM server WHERE quote(state) = '''down''' ORDER BY born, id LIMIT 10"
    for _ in range(2):
        assert ids(run(sql)) == expected(lambda row: row[4] == "down")
    assert (run.rounds, run.rows < 300) == (1, True)


def test_chance_is_asked_once(run: Cost) -> None:
    """If it were called again for the result, rows would be missing."""
    sql = "SELECT id FROM server WHERE random() % 2 = 0 ORDER BY born, id LIMIT 10 OFFSET 5"
    assert {len(run(sql)) for _ in range(20)} == {10}


def test_rows_read_before_do_not_count(run: Cost) -> None:
    """The workspace has them, but not the rows between them and the first ones in the order."""
    connection = run.connection
    wanted = expected(lambda row: row[4] == "down")
    for before in ("id > 900", "project = 3 AND born > 400"):
        for test in ("state = 'down'", "quote(state) = '''down'''"):
            connection.rollback()
            connection.execute(f"SELECT * FROM server WHERE {before}").fetchall()
            sql = f"SELECT id FROM server WHERE {test} ORDER BY born, id LIMIT 10"
            assert ids(connection.execute(sql).fetchall()) == wanted


def test_what_the_transaction_has_changed(run: Cost) -> None:
    connection = run.connection
    connection.execute("DELETE FROM server WHERE id = 0")
    connection.execute("UPDATE server SET state = 'up' WHERE id = ?", (expected(lambda row: row[4] == "down")[0],))
    connection.execute("INSERT INTO server VALUES (5000, 1, 'new', -1, 'down')")
    found = connection.execute(FILTERED, ("down", 4, 0)).fetchall()
    assert ids(found) == [5000, *expected(lambda row: row[4] == "down", 1, 3)]
    connection.execute("DELETE FROM project WHERE id = 1")
    assert 1 not in {row[0] % 10 for row in connection.execute(JOINED).fetchall()}
    connection.rollback()


def test_pages_follow_each_other(run: Cost) -> None:
    """Rows that are equal in ORDER BY come in one order, so that each is on exactly one page."""
    for order in ("born", "born DESC"):
        for filtered in ("", "WHERE state = 'down'", "WHERE quote(state) = '''up'''"):
            sql = f"SELECT id FROM server {filtered} ORDER BY {order} LIMIT 9 OFFSET ?"
            if "quote" in filtered and "DESC" in order:
                continue  # which of them come first is SQLite's choice
            seen = [number for page in range(10) for number in ids(run(sql, page * 9))]
            assert len(set(seen)) == len(seen) == 90


def test_a_page_after_a_marker_with_a_filter(run: Cost) -> None:
    """As Nova lists instances. The first execution shows how many rows follow the marker."""
    sql = """SELECT id FROM server WHERE (state != ? OR state IS NULL) AND (born < ? OR born = ? AND id < ?)
        ORDER BY born DESC, id DESC LIMIT 10"""
    wanted = sorted((row for row in servers() if row[4] != "down" and row[3] < 400), key=lambda row: (row[3], row[0]))
    for most in (SERVERS, 30):
        assert ids(run(sql, "down", 400, 400, 0)) == [row[0] for row in wanted[::-1][:10]]
        assert run.rows <= most


@contextmanager
def disturbed(reader: rome.Connection, disturb: Callable[[int], None]) -> Iterator[list[int]]:
    """Call a function after each of the first two rounds of a connection, with its number; yield all numbers."""
    store, rounds = reader.database.store, []
    fetch = store.fetch

    def fetch_and_be_disturbed(*arguments: Any) -> Any:
        answer = fetch(*arguments)
        rounds.append(len(rounds) + 1)
        if len(rounds) < 3:
            disturb(len(rounds))
        return answer

    with mock.patch.object(store, "fetch", fetch_and_be_disturbed):
        yield rounds


@pytest.mark.parametrize("isolation", ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED", "AUTOCOMMIT"])
def test_a_page_is_of_one_version(url: str, connection: rome.Connection, isolation: str) -> None:
    """Another transaction commits between two batches."""
    reader = rome.connect(url, foreign_keys="off", isolation_level=isolation)
    writer = connection.cursor()

    def commit(number: int) -> None:
        writer.execute("UPDATE server SET state = 'down' WHERE born < 100 AND project = ?", (number,))
        writer.execute("DELETE FROM server WHERE state = 'down' AND project = 3 AND born < 100")
        connection.commit()

    with disturbed(reader, commit) as rounds:
        found = reader.execute(FILTERED, ("down", 10, 0)).fetchall()
    assert len(rounds) > 1
    assert ids(found) == expected(lambda row: row[4] == "down")
    reader.close()


def test_what_a_page_has_read_is_checked(url: str, connection: rome.Connection) -> None:
    """SERIALIZABLE: a row that would have been on the page is a conflict."""
    reader = rome.connect(url, foreign_keys="off", isolation_level="SERIALIZABLE")
    assert ids(reader.execute(FILTERED, ("down", 10, 0)).fetchall()) == expected(lambda row: row[4] == "down")
    connection.execute("INSERT INTO server VALUES (5000, 1, 'new', -1, 'down')")
    connection.commit()
    reader.execute("INSERT INTO project VALUES (50, 'p')")
    with pytest.raises(Conflict):
        reader.commit()
    reader.close()


def test_row_locks_of_a_page(url: str, connection: rome.Connection) -> None:
    first, second = (rome.connect(url, foreign_keys="off", lock_timeout=0.1) for _ in range(2))
    sql = "SELECT id FROM server WHERE state = 'down' ORDER BY born, id LIMIT 3 FOR UPDATE"
    wanted = expected(lambda row: row[4] == "down", 0, 6)
    assert ids(first.execute(sql).fetchall()) == wanted[:3]
    assert ids(second.execute(f"{sql} SKIP LOCKED").fetchall()) == wanted[3:]
    with pytest.raises(rome.errors.LockTimeout):
        second.execute(f"{sql} NOWAIT")
    for each in (first, second):
        each.rollback()
        each.close()


def test_explain(connection: rome.Connection) -> None:
    def lines(sql: str) -> list[str]:
        return [line for (line,) in connection.execute(sql).fetchall()]

    assert lines(f"EXPLAIN PLAN FOR {JOINED}")[1:] == [
        "round 1",
        "  Top-N on index by_born of server, limit 10, initial batch 29, grows    rows: 29",
        "round 2",
        "  primary key lookup on project (id = server.project)    rows: 10",
    ]
    analyzed = lines(f"EXPLAIN ANALYZE {JOINED}")[-1]
    assert analyzed.startswith("actual rows: 10, round trips: 2, ")
    assert "rows fetched: 38," in analyzed


class Base(DeclarativeBase):
    pass


class Project(Base):
    __tablename__ = "project"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Server(Base):
    __tablename__ = "server"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column("project", ForeignKey("project.id"))
    born: Mapped[int]
    state: Mapped[str]
    project: Mapped[Project] = relationship()
    tags: Mapped[list[Tag]] = relationship()


class Tag(Base):
    __tablename__ = "tag"
    server: Mapped[int] = mapped_column(ForeignKey("server.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


def test_a_page_with_joined_collections(url: str, connection: rome.Connection) -> None:
    """A subselect has the LIMIT; other tables are joined to its rows outside of it."""
    engine = create_engine(url)
    page = (
        select(Server)
        .join(Server.project)
        .where(Project.name != "p4", Server.state.like("%ow%"))
        .options(joinedload(Server.tags))
        .order_by(Server.born, Server.id)
        .limit(10)
        .offset(10)
    )
    for _ in range(2):
        with Session(engine) as session:
            before = connection.stats.snapshot()
            found = session.scalars(page).unique().all()
            after = connection.stats.snapshot()
        assert [server.id for server in found] == expected(lambda row: row[4] == "down", 10)
        assert all(len(server.tags) == server.id % 2 for server in found)
    rounds, _, rows, _ = (now - then for now, then in zip(after, before, strict=True))
    assert (rounds, rows < 600) == (2, True)
    engine.dispose()


LISTED = """SELECT * FROM (
    SELECT id, born FROM server WHERE state = ? UNION SELECT id, born FROM server WHERE project = ?
    UNION SELECT server.id, server.born FROM server JOIN tag ON tag.server = server.id WHERE server.project = 7) AS u
    WHERE CASE WHEN born IS NOT NULL THEN born ELSE 0 END < ? ORDER BY born DESC, id DESC LIMIT 10"""


def test_a_list_over_a_union(run: Cost) -> None:
    """As Glance lists images: public, owned and shared ones, after a marker."""

    def is_listed(row: Row) -> bool:
        return (row[4] == "down" or row[1] in (5, 7)) and row[3] < 400

    wanted = sorted((row for row in servers() if is_listed(row)), key=lambda row: (row[3], row[0]), reverse=True)
    for rounds, most in ((4, 500), (2, 120)):
        found = run(LISTED, "down", 5, 400)
        assert ids(found) == [row[0] for row in wanted[:10]]
        assert run.rounds <= rounds
        assert run.rows < most
    (plan, *lines) = (line for (line,) in run(f"EXPLAIN PLAN FOR {LISTED}", "down", 5, 400))
    assert plan == "SELECT, compiled"
    topn = "Top-N on index by_born of server (coalesce(born, 0) < ?3), backward, limit 10, initial batch"
    assert topn in "\n".join(lines)
