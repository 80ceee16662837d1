"""Other tables are looked up by the rows that come out of a derived table with a LIMIT, not by all rows in it."""

import random
import sqlite3
import uuid
from collections.abc import Iterator

import pytest

import rome
from rome.dbapi.connection import Connection

SCHEMA = [
    "CREATE TABLE p (id INTEGER PRIMARY KEY, host TEXT, n INT, ref TEXT)",
    "CREATE INDEX p_host ON p (host)",
    "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INT, v INT, ref TEXT)",
    "CREATE INDEX c_pid ON c (pid)",
    "CREATE INDEX c_ref ON c (ref)",
    "CREATE TABLE m (pid INT, who TEXT, PRIMARY KEY (pid, who))",
]
PARENTS, CHILDREN, HOSTS = 400, 4, 4

ONE = "SELECT d.i, d.n, c.v FROM (SELECT id AS i, n FROM p WHERE host = ? ORDER BY n, id LIMIT ?) AS d "
UNION = (
    "SELECT d.i, c.v FROM (SELECT u.i AS i FROM (SELECT id AS i, n FROM p WHERE host = ? UNION "
    "SELECT id, n FROM p WHERE host = 'h1' AND n > 50 UNION SELECT p.id, p.n FROM p JOIN m ON m.pid = p.id "
    "WHERE m.who = 'a') AS u ORDER BY u.n DESC, u.i LIMIT ?) AS d LEFT JOIN c ON c.pid = d.i ORDER BY 1, 2"
)
GROUPED = (
    "SELECT d.r, c.id FROM (SELECT ref AS r, max(n) AS x FROM p WHERE host = ? GROUP BY ref ORDER BY 2, 1 LIMIT ?) "
    "AS d JOIN c ON c.ref = d.r ORDER BY d.r, c.id"
)
JOINED = (
    "SELECT d.i, d.w, c.id FROM (SELECT p.id AS i, m.who AS w FROM p LEFT JOIN m ON m.pid = p.id WHERE p.host = ? "
    "ORDER BY p.n, p.id, m.who LIMIT ? OFFSET 2) AS d LEFT JOIN c ON c.pid = d.i ORDER BY 1, 2, 3"
)
NULLABLE = (
    "SELECT d.i, c.id FROM c LEFT JOIN (SELECT id AS i FROM p WHERE host = ? ORDER BY n, id LIMIT ?) AS d "
    "ON d.i = c.pid WHERE c.v = 7 ORDER BY 1, 2"
)
STATEMENTS = [
    ONE + "LEFT JOIN c ON c.pid = d.i ORDER BY d.n, d.i, c.id",
    ONE + "JOIN c ON c.pid = d.i AND c.v > 20 ORDER BY d.n, d.i, c.id",
    ONE + "LEFT JOIN c ON c.pid = d.i LEFT JOIN c AS e ON e.pid = c.pid AND e.id <> c.id ORDER BY d.n, d.i, c.id, e.id",
    ONE + "LEFT JOIN c ON c.pid = d.i WHERE EXISTS (SELECT 1 FROM m WHERE m.pid = d.i) ORDER BY d.n, d.i, c.id",
    UNION,
    GROUPED,
    JOINED,
    NULLABLE,
]


@pytest.fixture
def both() -> Iterator[tuple[Connection, sqlite3.Connection]]:
    """Two databases with the same rows."""
    chosen = random.Random(5)
    parents = [
        (number, f"h{chosen.randrange(HOSTS)}", chosen.randrange(100), f"r{chosen.randrange(60)}")
        for number in range(PARENTS)
    ]
    children = [
        (number, number // CHILDREN, chosen.randrange(60), f"r{chosen.randrange(60)}")
        for number in range(PARENTS * CHILDREN)
    ]
    members = [(number, who) for number in range(0, PARENTS, 9) for who in "ab"]
    connection, reference = rome.connect(f"rome+memory:///pages_{uuid.uuid4().hex}"), sqlite3.connect(":memory:")
    for each in (connection, reference):
        for statement in SCHEMA:
            each.execute(statement)
        each.cursor().executemany("INSERT INTO p VALUES (?, ?, ?, ?)", parents)
        each.cursor().executemany("INSERT INTO c VALUES (?, ?, ?, ?)", children)
        each.cursor().executemany("INSERT INTO m VALUES (?, ?)", members)
        each.commit()
    yield connection, reference
    connection.close()
    reference.close()


def rows_read(connection: Connection, sql: str, parameters: tuple[object, ...]) -> int:
    """Return how many rows a statement fetches, when the sizes of the tables and of index lookups are known."""
    for read in ("p", "c", "m", "p WHERE host = 'h0'", "c WHERE pid = 3"):
        connection.execute(f"SELECT * FROM {read}").fetchall()
        connection.rollback()
    connection.execute(sql, parameters).fetchall()
    connection.rollback()
    stats = connection._control.database.store.stats
    before = stats.rows
    connection.execute(sql, parameters).fetchall()
    connection.rollback()
    return stats.rows - before


@pytest.mark.parametrize("sql", STATEMENTS)
def test_results_are_those_of_sqlite(both: tuple[Connection, sqlite3.Connection], sql: str) -> None:
    connection, reference = both
    for host in ("h0", "h1", "none"):
        for limit in (0, 1, 5, 40, 1000):
            expected = reference.execute(sql, (host, limit)).fetchall()
            for _ in range(2):
                assert connection.execute(sql, (host, limit)).fetchall() == expected
            connection.rollback()


@pytest.mark.parametrize("sql", STATEMENTS)
def test_own_changes_are_seen(both: tuple[Connection, sqlite3.Connection], sql: str) -> None:
    connection, reference = both
    for each in both:
        each.execute("UPDATE p SET n = 0 WHERE id % 7 = 0")
        each.execute("DELETE FROM p WHERE id % 11 = 0")
        each.execute("UPDATE c SET pid = 3 WHERE v = 7")
    assert connection.execute(sql, ("h0", 5)).fetchall() == reference.execute(sql, ("h0", 5)).fetchall()


@pytest.mark.parametrize(("sql", "most"), [(STATEMENTS[0], 150), (STATEMENTS[1], 150), (UNION, 400)])
def test_only_the_page_leads_to_other_rows(both: tuple[Connection, sqlite3.Connection], sql: str, most: int) -> None:
    """About 100 parents have a host, and there are 90 members. Five parents come out, with four children each."""
    connection, _ = both
    assert rows_read(connection, sql, ("h0", 5)) <= most


def test_a_value_that_only_sqlite_knows_how_to_treat(both: tuple[Connection, sqlite3.Connection]) -> None:
    """The statement begins compiled, and is evaluated by SQLite over all rows, of which it takes what it wants."""
    sql = (
        "SELECT d.i, c.id, d.n + 9223372036854775807 FROM (SELECT id AS i, n FROM p WHERE host = ? ORDER BY n LIMIT ?) "
        "AS d LEFT JOIN c ON c.pid = d.i"
    )
    connection, _ = both
    rows = connection.execute(sql, ("h0", 6)).fetchall()
    assert len(rows) == 6 * CHILDREN
    assert all(child is not None and child // CHILDREN == parent for parent, child, _ in rows)
