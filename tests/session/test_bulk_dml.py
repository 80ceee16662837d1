"""Statements that change many rows at once: without the workspace they do what the workspace, and SQLite, does."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rome
from rome.errors import Conflict
from rome.testing import check_database
from tests.session.workspace_only import workspace_only

NUMBER = itertools.count()

SCHEMA = [
    "CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE COLLATE NOCASE, n INT, r REAL)",
    "CREATE INDEX p_n ON p (n, r)",
    "CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p, u TEXT, t TEXT DEFAULT 'x')",
    "CREATE TABLE k (a TEXT NOT NULL, b INT NOT NULL, v NUMERIC, PRIMARY KEY (a, b))",
    "CREATE INDEX k_v ON k (v)",
    "CREATE TABLE h (v, n INT)",
    "CREATE TABLE g (id INTEGER PRIMARY KEY, n INT, m INT AS (n + 1) STORED, CHECK (n < 100))",
    "CREATE TABLE l (id INTEGER PRIMARY KEY, n INT)",
    "CREATE TRIGGER t AFTER UPDATE ON l BEGIN INSERT INTO h (v, n) VALUES (old.n, new.n); END",
    "CREATE TABLE d (id INTEGER PRIMARY KEY, p INT REFERENCES p ON DELETE CASCADE)",
]
TABLES = ("p", "c", "k", "h", "g", "l", "d")

SMALL = st.integers(1, 4)
NUMBERS = st.sampled_from([0, 1, 2, 3, None, -1, 2**40, 1.0, 2.5])
TEXTS = st.sampled_from(["a", "A", "b", "c", "1", "", None, 5, b"x"])

STATEMENTS: list[tuple[Any, ...]] = [
    ("INSERT INTO p (u, n, r) VALUES (?, ?, ?)", TEXTS, NUMBERS, NUMBERS),
    ("INSERT INTO p (u, n) VALUES (NULL, ?) RETURNING n, id", NUMBERS),
    ("INSERT INTO p (id, u) VALUES (?, ?)", st.integers(1, 30), TEXTS),
    ("INSERT INTO c (p, u) VALUES (?, ?)", SMALL, TEXTS),
    ("INSERT INTO k VALUES (?, ?, ?)", TEXTS, st.integers(0, 9), NUMBERS),
    ("INSERT INTO h (v, n) VALUES (?, ?)", TEXTS, NUMBERS),
    ("INSERT INTO g (n) VALUES (?)", NUMBERS),
    ("INSERT INTO l (n) VALUES (?)", NUMBERS),
    ("INSERT INTO d (p) VALUES (?)", SMALL),
    ("UPDATE p SET n = n + 1",),
    ("UPDATE p SET n = ?, r = n WHERE n > ?", NUMBERS, NUMBERS),
    ("UPDATE p SET r = n * 2, n = coalesce(n, ?) WHERE id > ?", NUMBERS, SMALL),
    ("UPDATE p SET u = ?", TEXTS),
    ("UPDATE p SET n = (SELECT count(*) FROM c WHERE c.p = p.id)",),
    ("UPDATE p SET n = 1 WHERE id IN (SELECT p FROM c)",),
    ("UPDATE p SET n = 7 WHERE n = ? RETURNING id", NUMBERS),
    ("UPDATE p AS q SET n = q.n WHERE q.id = ?", SMALL),
    ("UPDATE OR IGNORE p SET n = 3 WHERE n = 2",),
    ("UPDATE c SET t = u || 'y', u = upper(t)",),
    ("UPDATE p SET n = ?, r = ? WHERE id = ?", NUMBERS, NUMBERS, SMALL),
    ("UPDATE c SET t = ? WHERE id = ?", TEXTS, SMALL),
    ("UPDATE c SET t = CASE WHEN p > ? THEN 'big' ELSE t END", SMALL),
    ("UPDATE k SET v = v + ? WHERE b < ?", NUMBERS, SMALL),
    ("UPDATE k SET b = b + 10",),
    ("UPDATE h SET n = ?", NUMBERS),
    ("UPDATE g SET n = n + 40",),
    ("UPDATE l SET n = n + 1",),
    ("UPDATE d SET p = ?", SMALL),
    ("DELETE FROM p WHERE n = ?", NUMBERS),
    ("DELETE FROM p",),
    ("DELETE FROM c WHERE p > ?", SMALL),
    ("DELETE FROM c",),
    ("DELETE FROM k WHERE a = ? OR v IS NULL", TEXTS),
    ("DELETE FROM k",),
    ("DELETE FROM h WHERE n > ?", NUMBERS),
    ("DELETE FROM g",),
    ("DELETE FROM d WHERE id NOT IN (SELECT id FROM p)",),
    ("INSERT INTO c (p, u) SELECT id, u FROM p ORDER BY id",),
    ("INSERT INTO c (u, p) SELECT u, id + ? FROM p ORDER BY id DESC", st.sampled_from([0, 0, 1])),
    ("INSERT INTO p (n, r) SELECT n, r FROM p WHERE n > ? ORDER BY id", NUMBERS),
    ("INSERT INTO p (u, n) SELECT u || 'x', n FROM p WHERE u > ? ORDER BY id", TEXTS),
    ("INSERT INTO p SELECT id + 50, u, n, r FROM p WHERE u IS NULL",),
    ("INSERT INTO k SELECT u, id, n FROM p WHERE u IS NOT NULL ORDER BY id",),
    ("INSERT INTO k (a, b) SELECT u, count(*) FROM c WHERE u > '' GROUP BY u",),
    ("INSERT INTO h SELECT v, b FROM k ORDER BY a, b",),
    ("INSERT INTO h (n) SELECT n FROM h ORDER BY rowid LIMIT 3",),
    ("INSERT INTO g (n) SELECT n FROM p ORDER BY id",),
    ("INSERT INTO c (p) SELECT p FROM d ORDER BY id RETURNING id",),
    ("INSERT OR IGNORE INTO p (id) SELECT p FROM c",),
    ("SELECT * FROM p ORDER BY id",),
    ("SELECT p.n, c.t FROM p JOIN c ON c.p = p.id ORDER BY c.id",),
    ("SELECT changes(), total_changes() > 0",),
    ("SELECT a, v FROM k ORDER BY a, b",),
    ("SAVEPOINT s",),
    ("ROLLBACK TO s",),
    ("RELEASE s",),
    ("COMMIT",),
    ("COMMIT",),
    ("ROLLBACK",),
]

Step = tuple[str, list[tuple[Any, ...]]]


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """A statement and its sets of parameters."""
    sql, *kinds = draw(st.sampled_from(STATEMENTS))
    count = draw(st.sampled_from([1, 2, 5])) if "VALUES" in sql or sql.endswith("id = ?") else 1
    return sql, [tuple(draw(kind) for kind in kinds) for _ in range(count)]


def outcome(connection: Any, sql: str, rows: list[tuple[Any, ...]]) -> Any:
    """Return what an application sees of a statement."""
    try:
        cursor = connection.executemany(sql, rows) if len(rows) > 1 else connection.execute(sql, rows[0])
        names = [column[0] for column in cursor.description] if cursor.description else None
        return repr(cursor.fetchall()), names, cursor.rowcount
    except rome.dbapi.Error as error:
        return type(error).__name__, str(error)


@pytest.mark.slow
@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(
    st.lists(steps(), min_size=5, max_size=40),
    st.sampled_from(["SNAPSHOT", "READ COMMITTED", "SERIALIZABLE", "AUTOCOMMIT"]),
)
def test_as_in_the_workspace(script: list[Step], level: str) -> None:
    """Two databases, of which one changes everything in the workspace."""
    number = next(NUMBER)
    urls = [f"rome+memory:///bulk{number}", f"rome+memory:///bulk_workspace{number}"]
    direct, indirect = (rome.connect(url, isolation_level=level) for url in urls)
    for connection in (direct, indirect):
        for sql in SCHEMA:
            connection.execute(sql)
        connection.executemany("INSERT INTO p (u, n, r) VALUES (?, ?, ?)", [("a", 1, 1), ("b", 2, None), (None, 3, 0)])
        connection.executemany("INSERT INTO c (p, u) VALUES (?, ?)", [(1, "a"), (2, None)])
        connection.commit()
    for sql, rows in script:
        ours = outcome(direct, sql, rows)
        with workspace_only():
            assert ours == outcome(indirect, sql, rows), (sql, rows)
        assert direct.in_transaction == indirect.in_transaction
        if sql == "COMMIT":
            assert check_database(urls[0]) == check_database(urls[1]) == []
    for end in ("COMMIT", "ROLLBACK"):
        for table in TABLES:
            select = f"SELECT * FROM {table}", [()]
            assert outcome(direct, *select) == outcome(indirect, *select)
        outcome(direct, end, [()])
        outcome(indirect, end, [()])
    assert check_database(urls[0]) == []
    for connection, url in zip((direct, indirect), urls, strict=True):
        connection.close()
        rome.drop_database(url)


@pytest.fixture
def numbers(url: str) -> rome.Connection:
    """A table of 5,000 rows, more than a commit sends in one piece, with an index."""
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v INT)")
    connection.execute("CREATE INDEX t_v ON t (v)")
    connection.executemany("INSERT INTO t (k, v) VALUES (?, ?)", [(f"k{n}", n) for n in range(5000)])
    connection.commit()
    return connection


def test_many_rows_by_key_in_few_rounds(numbers: rome.Connection, url: str) -> None:
    before = numbers.stats.rounds
    cursor = numbers.executemany("UPDATE t SET v = ? WHERE id = ?", [(-n, n) for n in range(1, 5001)])
    assert cursor.rowcount == 5000
    assert numbers.execute("SELECT min(v), max(v), changes() FROM t").fetchall() == [(-5000, -1, 1)]
    numbers.commit()
    # A large commit takes more: it is staged, and done step by step.
    assert numbers.stats.rounds - before <= 25
    assert numbers.execute("SELECT id FROM t WHERE v < -4998 ORDER BY v").fetchall() == [(5000,), (4999,)]
    numbers.commit()
    assert check_database(url) == []


def test_many_rows_in_few_rounds(numbers: rome.Connection, url: str) -> None:
    evaluators = {}
    for sql, rounds in (
        ("UPDATE t SET v = v + 1 WHERE v >= 1000", 2),
        ("INSERT INTO t (k, v) SELECT k, v FROM t WHERE v > 4000", 4),
        ("DELETE FROM t WHERE v > 3000", 2),
    ):
        (first,), *_ = numbers.execute(f"EXPLAIN PLAN FOR {sql}").fetchall()
        evaluators[sql.split()[0]] = first
        numbers.commit()
        before = numbers.stats.rounds
        numbers.execute(sql)
        numbers.commit()
        # A large commit takes more: it is staged, and done step by step.
        assert numbers.stats.rounds - before <= rounds + 20
    assert evaluators == {verb: f"{verb}, compiled" for verb in ("UPDATE", "INSERT", "DELETE")}
    assert numbers.execute("SELECT count(*), sum(v), max(id) FROM t").fetchall() == [
        (3000, 1000 * 999 // 2 + sum(range(1001, 3001)), 3000)
    ]
    numbers.commit()
    assert check_database(url) == []


def test_a_row_that_another_transaction_has_changed_is_a_conflict(numbers: rome.Connection, url: str) -> None:
    other = rome.connect(url)
    numbers.execute("UPDATE t SET v = v + 1")
    assert numbers.execute("SELECT v FROM t WHERE id = 7").fetchall() == [(7,)]  # a replay would answer 71
    other.execute("UPDATE t SET v = 70 WHERE id = 7")
    other.commit()
    with pytest.raises(Conflict):
        numbers.commit()
    assert numbers.execute("SELECT v FROM t WHERE id IN (7, 8) ORDER BY id").fetchall() == [(70,), (7,)]


def test_an_update_is_replayed(numbers: rome.Connection, url: str) -> None:
    other = rome.connect(url)
    numbers.execute("UPDATE t SET v = v + 1")
    other.execute("UPDATE t SET v = 70 WHERE id = 7")
    other.commit()
    numbers.commit()
    assert numbers.execute("SELECT v FROM t WHERE id IN (7, 8) ORDER BY id").fetchall() == [(71,), (8,)]


def test_a_unique_key_that_another_transaction_takes(url: str) -> None:
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT UNIQUE)")
    one.commit()
    rows = [(f"k{n}",) for n in range(2000)]
    one.executemany("INSERT INTO t (k) VALUES (?)", rows)
    other.execute("INSERT INTO t (k) VALUES ('k1999')")
    other.commit()
    with pytest.raises(rome.dbapi.IntegrityError):
        one.commit()
    with pytest.raises(rome.dbapi.IntegrityError):
        one.executemany("INSERT INTO t (k) VALUES (?)", rows)
    one.rollback()
    assert one.execute("SELECT k FROM t").fetchall() == [("k1999",)]


def test_statements_about_rows_of_blocks_see_them(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, n INT)")
    connection.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p)")
    connection.executemany("INSERT INTO p VALUES (?, ?)", [(n, n) for n in range(1, 9)])
    connection.executemany("INSERT INTO c (p) VALUES (?)", [(n,) for n in range(1, 5)])
    with pytest.raises(rome.dbapi.IntegrityError):
        connection.executemany("INSERT INTO c (p) VALUES (?)", [(8,), (9,)])
    connection.execute("UPDATE p SET n = 50 WHERE id > 6")
    connection.execute("SAVEPOINT s")
    connection.execute("DELETE FROM c")
    connection.execute("ROLLBACK TO s")
    connection.execute("INSERT INTO p (n) VALUES (9)")
    joined = connection.execute("SELECT p.n FROM p JOIN c ON c.p = p.id WHERE c.id > 2 ORDER BY 1").fetchall()
    assert joined == [(3,), (4,)]
    connection.commit()
    assert connection.execute("SELECT id, n FROM p WHERE n > 6 ORDER BY id").fetchall() == [(7, 50), (8, 50), (9, 9)]
    assert connection.execute("SELECT count(*) FROM c").fetchall() == [(4,)]
    assert check_database(url) == []
