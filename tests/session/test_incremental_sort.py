"""Incremental sort: an index has the first terms of ORDER BY only, and a page is right all the same, of few rows."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

import rome
from rome.errors import Conflict, LockTimeout
from rome.sql.planner.statistics import Statistics
from tests.session.test_topn import Cost, disturbed, ids

Row = tuple[Any, ...]

# ── pages of random orders are those of SQLite ────────────────────────────────────────────────────────────────────────

DDL = (
    "CREATE TABLE zone (id INTEGER PRIMARY KEY, name TEXT, weight INTEGER)",
    "CREATE TABLE node (id INTEGER PRIMARY KEY, zone INT, rank INT, name TEXT COLLATE NOCASE, load, up INT)",
    "CREATE INDEX by_rank ON node (rank)",
    "CREATE INDEX by_name ON node (name, rank)",
    "CREATE INDEX by_zone ON node (zone, load)",
    "CREATE INDEX by_up ON node (rank, name) WHERE up = 1",
    "CREATE TABLE tag (node INTEGER, name TEXT, PRIMARY KEY (node, name)) WITHOUT ROWID",
    "CREATE TABLE event (rank INTEGER, name TEXT)",
    "CREATE INDEX by_event_rank ON event (rank)",
)


def rows_of_each_table() -> dict[str, list[Row]]:
    """Return rows with many equal values, NULLs, and values that are equal but not the same."""
    chosen = random.Random(11)
    names, loads = [None, "a", "A", "b", "B", "ab", "é"], [None, 0, 0.0, 1, 1.5, "1", "a", b"a"]
    ranks = [None, 1, 1, 1, 2, 2, 3, 5, 8]
    nodes = [
        (number, chosen.randrange(6), chosen.choice(ranks), chosen.choice(names), chosen.choice(loads), number % 3 % 2)
        for number in range(70)
    ]
    return {
        "zone": [(number, f"z{number % 3}", number % 2) for number in range(5)],
        "node": nodes,
        "tag": [(number, name) for number in range(0, 70, 2) for name in ("x", "y")[: 1 + number % 4 // 2]],
        "event": [(chosen.choice(ranks), f"e{number}") for number in range(40)],
    }


ROWS = rows_of_each_table()


def filled(connection: Any) -> Any:
    for statement in DDL:
        connection.execute(statement)
    for table, rows in ROWS.items():
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    connection.commit()
    return connection


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[rome.Connection, sqlite3.Connection]]:
    connection = filled(rome.connect("rome+memory:///incremental_sort?foreign_keys=off"))
    with closing(connection), closing(filled(sqlite3.connect(":memory:"))) as plain:
        yield connection, plain
    rome.drop_database("rome+memory:///incremental_sort")


EXPRESSIONS = (
    "{}",
    "{}",
    "{}",
    "-{}",
    "{} + 1",
    "abs({})",
    "coalesce({}, 2)",
    "{} IS NULL",
    "hex({})",
    "{} COLLATE NOCASE",
)
DIRECTIONS = ("", "", " DESC", " DESC", " ASC NULLS LAST", " DESC NULLS FIRST")


@st.composite
def orders(draw: Any, others: tuple[str, ...]) -> str:
    """Return a total order of nodes: columns in one direction that perhaps an index has, then any terms."""
    direction = draw(st.sampled_from(("", " DESC")))
    first = draw(st.sampled_from((("rank",), ("rank",), ("name",), ("name", "rank"), ("zone",), ("zone", "load"))))
    terms = [f"node.{column}{direction}" for column in first]
    columns = st.sampled_from(("node.rank", "node.name", "node.zone", "node.load", "node.up", *others))
    for _ in range(draw(st.integers(0, 2))):
        term = draw(st.sampled_from(EXPRESSIONS)).format(draw(columns))
        terms.append(term + draw(st.sampled_from(DIRECTIONS)))
    return ", ".join([*terms, f"node.id{draw(st.sampled_from(('', ' DESC')))}", *others])


CONDITIONS = (
    "node.up = 1",
    "node.zone = 2",
    "node.zone IN (1, 3)",
    "node.load > 0",
    "node.name LIKE 'a%'",
    "node.name <> 'b'",
    "node.rank >= 2",
    "node.rank IS NOT NULL",
    "(node.rank = 1 OR node.rank = 5)",
    "quote(node.load) <> '1'",
    "EXISTS (SELECT 1 FROM tag WHERE tag.node = node.id AND tag.name = 'y')",
    "NOT EXISTS (SELECT 1 FROM node AS n WHERE n.id = node.zone AND n.rank = node.rank)",
)
SOURCES = (
    ("node", ()),
    ("node", ()),
    ("node", ()),
    ("node JOIN zone ON zone.id = node.zone", ("zone.name", "zone.weight")),
    ("zone JOIN node ON zone.id = node.zone", ("zone.weight", "zone.name")),
    ("node LEFT JOIN tag ON tag.node = node.id", ("tag.name",)),
    ("node JOIN node AS other ON other.id = node.zone", ("other.rank", "other.name")),
    ("(SELECT * FROM node WHERE up = 1 UNION SELECT * FROM node WHERE zone = 2 AND rank > 1) AS node", ()),
)


@st.composite
def pages(draw: Any) -> str:
    source, others = draw(st.sampled_from(SOURCES))
    conditions = draw(st.lists(st.sampled_from(CONDITIONS), max_size=2))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    limit = f"LIMIT {draw(st.integers(0, 9))}"
    limit += draw(st.sampled_from(("", "", " OFFSET 2", " OFFSET 11")))
    order = draw(orders(others))
    shown = ", ".join(["node.*", *others])
    form = draw(st.sampled_from(("page", "page", "page", "distinct", "groups", "derived")))
    if form == "groups" and source == "node":
        first, _, rest = order.partition(", ")
        by_count = draw(st.sampled_from(("", "max(load) DESC, ")))
        head = f"SELECT node.id, node.rank, count(*) FROM {source}{where} GROUP BY node.id"
        return f"{head} ORDER BY {first}, {by_count}{rest} {limit}"
    page = f"SELECT {'DISTINCT ' if form == 'distinct' else ''}{shown} FROM {source}{where} ORDER BY {order} {limit}"
    if form == "derived" and not others:
        return f"SELECT * FROM ({page}) AS d LEFT JOIN tag ON tag.node = d.id ORDER BY d.id, tag.name"
    return page


CHANGES = (
    "UPDATE node SET rank = 1 WHERE id = 40",
    "UPDATE node SET rank = NULL, name = 'B' WHERE id = 3",
    "INSERT INTO node VALUES (100, 2, 8, 'A', 1, 1)",
    "DELETE FROM node WHERE rank = 8",
    "UPDATE zone SET weight = 7 WHERE id = 1",
    "DELETE FROM tag WHERE node = 2",
    "SELECT quote(load) FROM node WHERE id > 50",
    "SELECT * FROM node WHERE rank = 5",
    "SELECT name FROM node",
)


@settings(max_examples=400)
@given(
    pages(),
    st.lists(st.sampled_from(CHANGES), max_size=2, unique=True),
    st.sampled_from(("SNAPSHOT", "SERIALIZABLE", "READ COMMITTED")),
    st.booleans(),
)
def test_pages_are_those_of_sqlite(
    pair: tuple[rome.Connection, sqlite3.Connection], sql: str, changes: list[str], isolation: str, is_changed: bool
) -> None:
    connection, plain = pair
    connection.isolation_level = isolation
    connection.database.statistics = Statistics()
    connection.database.plans.clear()
    before = changes if is_changed else [change for change in changes if change.startswith("SELECT")]
    try:
        for statement in before:
            connection.execute(statement).fetchall()
            plain.execute(statement).fetchall()
        expected = plain.execute(sql).fetchall()
        for _ in range(2):
            found = connection.execute(sql).fetchall()
            assert list(map(repr, found)) == list(map(repr, expected)), (sql, before)
    finally:
        connection.rollback()
        plain.rollback()


def test_pages_of_a_table_with_hidden_rowids(pair: tuple[rome.Connection, sqlite3.Connection]) -> None:
    connection, plain = pair
    for order in ("rank, name DESC", "rank DESC, length(name), name", "rank DESC, quote(name) DESC"):
        for first in range(0, 40, 7):
            sql = f"SELECT rank, name FROM event ORDER BY {order} LIMIT 4 OFFSET {first}"
            assert connection.execute(sql).fetchall() == plain.execute(sql).fetchall(), sql
        connection.rollback()


# ── how much is read ──────────────────────────────────────────────────────────────────────────────────────────────────

JOBS = 1000


def jobs() -> list[Row]:
    """Return jobs: two are created at a time, 50 have a weight, and 334 or 333 a priority."""
    return [
        (number, number % 4, number % 3, number // 50, number * 7919 % JOBS // 2, f"job {number * 331 % JOBS}")
        for number in range(JOBS)
    ]


@pytest.fixture
def connection(url: str) -> Iterator[rome.Connection]:
    connection = rome.connect(url, foreign_keys="off")
    connection.execute(
        "CREATE TABLE job (id INTEGER PRIMARY KEY, queue INT, priority INT, weight INT, created INT, name TEXT)"
    )
    for column in ("priority", "weight", "created"):
        connection.execute(f"CREATE INDEX by_{column} ON job ({column})")
    connection.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, name TEXT)")
    connection.executemany("INSERT INTO job VALUES (?, ?, ?, ?, ?, ?)", jobs())
    connection.executemany("INSERT INTO queue VALUES (?, ?)", [(number, f"q{9 - number}") for number in range(4)])
    connection.commit()
    yield connection
    connection.close()


@pytest.fixture
def run(connection: rome.Connection) -> Cost:
    return Cost(connection)


def sorted_ids(key: Callable[[Row], Any], count: int = 20, first: int = 0) -> list[int]:
    return [row[0] for row in sorted(jobs(), key=key)[first : first + count]]


def in_two_directions(row: Row) -> tuple[int, int]:
    return -row[4], row[0]


TWO_DIRECTIONS = "SELECT id FROM job ORDER BY created DESC, id LIMIT ? OFFSET ?"


def test_two_directions(run: Cost) -> None:
    for first in (0, 7, 40):
        assert ids(run(TWO_DIRECTIONS, 20, first)) == sorted_ids(in_two_directions, 20, first)
        assert (run.rounds, run.rows < 100) == (1, True)
    run(TWO_DIRECTIONS, 20, 0)
    assert run.rows < 30  # all come out of the filter that there is not, and groups have two rows: this is known now


def test_two_directions_and_a_filter(run: Cost) -> None:
    sql = "SELECT id FROM job WHERE queue <> ? ORDER BY created DESC, id LIMIT 20"
    wanted = [number for number in sorted_ids(in_two_directions, JOBS) if number % 4 != 1][:20]
    for _ in range(2):
        assert ids(run(sql, 1)) == wanted
        assert (run.rounds, run.rows < 80) == (1, True)


def test_the_order_continues_with_another_column(run: Cost) -> None:
    assert ids(run("SELECT id FROM job ORDER BY created, name DESC LIMIT 20")) == sorted_ids(
        lambda row: (row[4], [-ord(character) for character in row[5]])
    )
    assert run.rows < 80


def test_the_order_continues_with_an_expression(run: Cost) -> None:
    """`hex` is evaluated in SQLite."""
    for term in ("queue % 2", "hex(queue % 2)"):
        sql = f"SELECT id FROM job ORDER BY created, {term}, id LIMIT 20"
        assert ids(run(sql)) == sorted_ids(lambda row: (row[4], row[1] % 2, row[0])), term
        assert (run.rounds, run.rows < 80) == (1, True)


def test_the_order_continues_with_a_column_of_a_joined_table(run: Cost) -> None:
    sql = "SELECT job.id FROM job JOIN queue ON queue.id = job.queue ORDER BY created, queue.name, job.id LIMIT 20"
    for _ in range(2):
        assert ids(run(sql)) == sorted_ids(lambda row: (row[4], -row[1], row[0]))
        assert run.rows < 80


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DISTINCT id, created FROM job ORDER BY created DESC, id LIMIT 20",
        "SELECT id, max(name) FROM job GROUP BY job.id ORDER BY created DESC, count(*), id LIMIT 20",
        """SELECT id FROM
            (SELECT id, created FROM job WHERE queue <> 2 UNION SELECT id, created FROM job WHERE queue > 0)
            ORDER BY created DESC, id LIMIT 20""",
        """SELECT d.id FROM (SELECT id, created, queue FROM job ORDER BY created DESC, id LIMIT 20) AS d
            LEFT JOIN queue ON queue.id = d.queue ORDER BY d.created DESC, d.id""",
    ],
    ids=["DISTINCT", "GROUP BY", "UNION", "derived table"],
)
def test_other_forms_of_pages(run: Cost, sql: str) -> None:
    for most in (100, 60):
        assert ids(run(sql)) == sorted_ids(in_two_directions)
        assert run.rows < most


@pytest.mark.parametrize("term", ["name", "hex(name)"])
def test_groups_larger_than_a_page(run: Cost, term: str) -> None:
    """The first batch, and with `hex` the workspace, have only a part of the first group."""
    sql = f"SELECT id FROM job ORDER BY weight, {term} LIMIT 20"
    for most in (600, 250, 250):
        assert ids(run(sql)) == sorted_ids(lambda row: (row[3], row[5]))
        assert run.rows < most


@pytest.mark.parametrize("before", ["id = 10", "id < 20 AND quote(name) <> ''", "weight = 1", "quote(weight) = '1'"])
def test_rows_that_were_read_before(run: Cost, before: str) -> None:
    """Also if they are in the workspace, and would take no part now."""
    connection = run.connection
    for term in ("name", "hex(name)"):
        connection.rollback()
        connection.database.statistics = Statistics()
        connection.execute(f"SELECT * FROM job WHERE {before}").fetchall()
        found = connection.execute(f"SELECT id FROM job ORDER BY weight, {term} LIMIT 6").fetchall()
        assert ids(found) == sorted_ids(lambda row: (row[3], row[5]), 6)


def test_a_table_that_is_joined_to_itself_in_the_workspace(run: Cost) -> None:
    """A row that is left out of the first table takes part as the second one."""
    run.connection.execute("UPDATE job SET queue = queue + 48")
    run.connection.commit()
    sql = "SELECT a.id FROM job AS a JOIN job AS b ON b.id = a.queue ORDER BY a.weight, b.id DESC, hex(a.id) LIMIT 20"
    first = [row for row in jobs() if row[3] == 0]
    assert ids(run(sql)) == ids(sorted(first, key=lambda row: (-row[1], str(row[0])))[:20])


def test_large_groups_are_not_read_twice(run: Cost) -> None:
    sql = "SELECT id FROM job ORDER BY priority, name LIMIT 20"
    run("SELECT * FROM job")
    taken = []
    for _ in range(10):
        assert ids(run(sql)) == sorted_ids(lambda row: (row[2], row[5]))
        taken.append((run.rounds, run.rows))
    assert taken[0][1] < 1.6 * JOBS
    assert taken[1:].count((1, JOBS)) >= 8


def test_lookups_tell_how_large_groups_are(run: Cost) -> None:
    run("SELECT * FROM job")
    run("SELECT * FROM job WHERE priority = 1")
    run("SELECT id FROM job ORDER BY priority, name LIMIT 20")
    assert (run.rounds, run.rows > JOBS // 3) == (1, True)


def test_an_index_with_the_whole_order_is_better(run: Cost) -> None:
    run.connection.execute("CREATE INDEX by_both ON job (weight, name)")
    run.connection.commit()
    (line,) = [line for (line,) in run("EXPLAIN PLAN FOR SELECT id FROM job ORDER BY weight, name LIMIT 20")][2:]
    assert line == "  index scan on job using by_both, limit 20    rows: 20"


# ── own changes, conflicts, locks ─────────────────────────────────────────────────────────────────────────────────────


def test_what_the_transaction_has_changed(run: Cost) -> None:
    connection = run.connection
    first, second, *_ = sorted_ids(in_two_directions)
    connection.execute("UPDATE job SET created = -1 WHERE id = ?", (first,))
    connection.execute("INSERT INTO job VALUES (5000, 1, 1, 1, 500, 'new')")
    found = connection.execute(TWO_DIRECTIONS, (5, 0)).fetchall()
    assert ids(found) == [5000, second, *sorted_ids(in_two_directions, 3, 2)]
    connection.rollback()


def test_rows_that_are_left_out_are_checked(url: str, connection: rome.Connection) -> None:
    """SERIALIZABLE: a change of the row that ended the last group may have changed the page."""
    reader = rome.connect(url, foreign_keys="off", isolation_level="SERIALIZABLE")
    assert ids(reader.execute(TWO_DIRECTIONS, (4, 0)).fetchall()) == sorted_ids(in_two_directions, 4)
    connection.execute("UPDATE job SET created = 1000 WHERE id = ?", sorted_ids(in_two_directions, 1, 4))
    connection.commit()
    reader.execute("INSERT INTO queue VALUES (50, 'q')")
    with pytest.raises(Conflict):
        reader.commit()
    reader.close()


@pytest.mark.parametrize("isolation", ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED", "AUTOCOMMIT"])
def test_a_page_is_of_one_version(url: str, connection: rome.Connection, isolation: str) -> None:
    """Another transaction moves rows between two batches."""
    reader = rome.connect(url, foreign_keys="off", isolation_level=isolation)
    writer = connection.cursor()

    def commit(number: int) -> None:
        writer.execute("UPDATE job SET weight = weight + 1 WHERE id % 2 = ?", (number % 2,))
        connection.commit()

    with disturbed(reader, commit) as rounds:
        found = reader.execute("SELECT id FROM job ORDER BY weight, name LIMIT 20").fetchall()
    assert len(rounds) > 1
    assert ids(found) == sorted_ids(lambda row: (row[3], row[5]))
    reader.close()


def test_row_locks(url: str, connection: rome.Connection) -> None:
    first, second = (rome.connect(url, foreign_keys="off", lock_timeout=0.1) for _ in range(2))
    sql = "SELECT id FROM job ORDER BY created DESC, id LIMIT 3 FOR UPDATE"
    wanted = sorted_ids(in_two_directions, 6)
    assert ids(first.execute(sql).fetchall()) == wanted[:3]
    assert ids(second.execute(f"{sql} SKIP LOCKED").fetchall()) == wanted[3:]
    with pytest.raises(LockTimeout):
        second.execute(f"{sql} NOWAIT")
    for each in (first, second):
        each.rollback()
        each.close()


# ── EXPLAIN ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_explain(connection: rome.Connection) -> None:
    sql = "SELECT id FROM job ORDER BY created DESC, id LIMIT 20"
    shown = (
        "  Top-N on index by_created of job, backward, incremental sort, limit 20, initial batch 54, grows    rows: 54"
    )
    plan = [line for (line,) in connection.execute(f"EXPLAIN PLAN FOR {sql}").fetchall()]
    assert plan == ["SELECT, compiled", "round 1", shown]
    *_, actual = [line for (line,) in connection.execute(f"EXPLAIN ANALYZE {sql}").fetchall()]
    assert actual.startswith("actual rows: 20, round trips: 1, ")
    assert "rows fetched: 54," in actual


def test_explain_of_sqlalchemy(url: str, connection: rome.Connection) -> None:
    engine = create_engine(url)
    statement = text("SELECT id FROM job ORDER BY created DESC, id LIMIT 20")
    assert "Top-N on index by_created of job, backward, incremental sort, limit 20" in rome.explain(statement, engine)
    engine.dispose()
