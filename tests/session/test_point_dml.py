"""Point DML without the workspace does what the workspace does, and what SQLite does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rome
from rome.session import run as run_module
from rome.session.point_dml import run_point_dml
from rome.testing import check_database
from tests.dbapi.reference import Reference
from tests.session.workspace_only import workspace_only

NUMBER = itertools.count()

SCHEMA = [
    """CREATE TABLE p (id INTEGER NOT NULL PRIMARY KEY, u TEXT COLLATE NOCASE UNIQUE, n INT, r REAL, d DATETIME,
        x BLOB DEFAULT 'x', b TEXT NOT NULL DEFAULT 7)""",
    "CREATE INDEX p_n ON p (n, r)",
    "CREATE UNIQUE INDEX p_nd ON p (n, d)",
    """CREATE TABLE c (id INTEGER PRIMARY KEY AUTOINCREMENT, p INT NOT NULL REFERENCES p, u TEXT REFERENCES p (u),
        n INT UNIQUE)""",
    "CREATE TABLE e (id INTEGER PRIMARY KEY, c INT REFERENCES c DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TABLE k (a TEXT NOT NULL, b INT NOT NULL, v NUMERIC, w, PRIMARY KEY (a, b))",
    "CREATE TABLE h (v, n INT UNIQUE)",
    "CREATE TABLE s (id INTEGER PRIMARY KEY, n INT CHECK (n < 3), g INT AS (n + 1))",
    "CREATE TABLE l (id INTEGER PRIMARY KEY, n INT)",
    "CREATE TRIGGER t AFTER INSERT ON l BEGIN INSERT INTO h (v, n) VALUES (changes(), new.n); END",
]

NUMBERS = st.sampled_from([1, 2, 3, 4, None, -5, 2**53 + 1, 2**63 - 1])
VALUES = st.one_of(
    NUMBERS,
    st.sampled_from(
        [
            "a",
            "A",
            "b",
            "",
            "2",
            " 3 ",
            "1e2",
            "2024-01-02 03:04:05",
            "\ud800",
            "a\0b",
            "4x",
            ".",
            "e",
            "inf",
            "1\0",
            "2024-01-02",
            "-",
            "1e",
            "+.5",
        ]
    ),
    st.sampled_from([0.5, 2.0, -0.0, 1e300, float("inf"), float("nan")]),
    st.sampled_from([b"", b"a", b"2"]),
)
KEYS = st.sampled_from([1, 2, 3])
# The sequence goes on from the greatest id that is given.
IDS = st.one_of(KEYS, KEYS, KEYS, VALUES.filter(lambda value: value != 2**63 - 1))
TEXTS = st.sampled_from(["a", "b", "A", 5, None])

Step = tuple[str, list[tuple[Any, ...]]]


@st.composite
def steps(draw: st.DrawFn, numbered: bool) -> Step:
    """A statement and its sets of parameters. `numbered`: some ids come from the sequence."""
    sql, *kinds = draw(
        st.sampled_from(
            [
                ("INSERT INTO p (id, u, n, r, d) VALUES (?, ?, ?, ?, ?)", IDS, TEXTS, NUMBERS, VALUES, VALUES),
                ("INSERT INTO p (id, u, n, b) VALUES (?, ?, ?, ?)", IDS, VALUES, VALUES, VALUES),
                ("INSERT INTO p (id, n, x) VALUES (?, 2, ?)", KEYS, VALUES),
                ("INSERT INTO p VALUES (?, ?, ?, 1.5, ?, ?, 'b')", KEYS, TEXTS, NUMBERS, VALUES, VALUES),
                ("INSERT INTO c (id, p, u, n) VALUES (?, ?, ?, ?)", IDS, IDS, TEXTS, NUMBERS),
                ("INSERT INTO e (id, c) VALUES (?, ?)", KEYS, KEYS),
                ("INSERT INTO k (a, b, v, w) VALUES (?, ?, ?, ?)", TEXTS, IDS, VALUES, VALUES),
                ("INSERT INTO p (id, n, r, d) VALUES (?, 3, ?, ?) RETURNING r, id, D, b", KEYS, VALUES, VALUES),
                ("INSERT INTO s (id, n) VALUES (?, ?)", KEYS, NUMBERS),
                ("INSERT INTO l (id, n) VALUES (?, ?)", KEYS, NUMBERS),
                ("INSERT INTO p (id, u) VALUES (?, ?), (5, NULL)", KEYS, TEXTS),
                ("INSERT INTO p (id, u) VALUES (?, ?) ON CONFLICT DO UPDATE SET n = 9", KEYS, TEXTS),
                ("INSERT OR REPLACE INTO p (id, u) VALUES (?, ?)", KEYS, TEXTS),
                ("UPDATE p SET r = ?, x = ? WHERE id = ?", VALUES, VALUES, IDS),
                ("UPDATE p SET d = ?, b = ? WHERE p.id = ?", VALUES, VALUES, KEYS),
                ("UPDATE p SET x = ?, u = ? WHERE id = ?", VALUES, TEXTS, KEYS),
                ("UPDATE p SET r = ?, x = ? WHERE id = ? RETURNING x, id, r", VALUES, VALUES, IDS),
                ("UPDATE p SET r = NULL WHERE id = ? AND n = ?", KEYS, NUMBERS),
                ("UPDATE p SET id = ? WHERE id = ?", KEYS, KEYS),
                ("UPDATE c SET p = ? WHERE id = ?", KEYS, KEYS),
                ("UPDATE k SET v = ?, w = 'w' WHERE b = ? AND a = ?", VALUES, IDS, TEXTS),
                ("UPDATE s SET n = ? WHERE id = ?", NUMBERS, KEYS),
                ("UPDATE p SET n = n + 1 WHERE id > ?", KEYS),
                ("DELETE FROM p WHERE id = ?", KEYS),
                ("DELETE FROM c WHERE p = ?", KEYS),
                ("SELECT * FROM p WHERE id = ?", KEYS),
                ("SELECT * FROM p LEFT JOIN c ON c.p = p.id WHERE p.u = ? ORDER BY p.id, c.id", TEXTS),
                ("SELECT * FROM c ORDER BY id",),
                ("SELECT * FROM k ORDER BY a, b",),
                ("SELECT v, n, typeof(v) FROM h ORDER BY v, n",),
                ("SELECT changes()",),
                ("SAVEPOINT s",),
                ("ROLLBACK TO s",),
                ("RELEASE s",),
                ("COMMIT",),
                ("COMMIT",),
                ("ROLLBACK",),
                *(_NUMBERED if numbered else []),
            ]
        )
    )
    count = draw(st.sampled_from([1, 1, 1, 2, 3])) if sql.startswith(("INSERT", "UPDATE")) and numbered else 1
    return sql, [tuple(draw(kind) for kind in kinds) for _ in range(count)]


_NUMBERED = [
    ("INSERT INTO p (u, n) VALUES (?, ?)", TEXTS, NUMBERS),
    ("INSERT INTO p (b, n) VALUES (?, ?)", VALUES, NUMBERS),
    ("INSERT INTO c (p, u) VALUES (?, ?)", IDS, TEXTS),
    ("INSERT INTO p (u, d) VALUES (?, ?) RETURNING id, d", TEXTS, VALUES),
    ("INSERT INTO c (p, n) VALUES (?, ?)", KEYS, NUMBERS),
    ("INSERT INTO h VALUES (?, ?)", VALUES, NUMBERS),
    ("INSERT INTO h (v) VALUES (?)", VALUES),
    ("INSERT INTO h (rowid, v) VALUES (?, ?)", IDS, VALUES),
    ("INSERT INTO l (n) VALUES (?)", NUMBERS),
    ("INSERT INTO k (a, b) SELECT u, id FROM p",),
    ("SELECT total_changes() > 0",),
    ("SELECT rowid, * FROM h ORDER BY rowid",),
]


def outcome(connection: Any, sql: str, rows: list[tuple[Any, ...]]) -> Any:
    """Return what an application sees of a statement, except the hidden rowid of a new row with a key."""
    try:
        cursor = connection.executemany(sql, rows) if len(rows) > 1 else connection.execute(sql, rows[0])
        fetched = cursor.fetchall()
        names = [column[0] for column in cursor.description] if cursor.description else None
        affected = cursor.rowcount if sql.split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE") else None
        return repr(fetched), names, affected
    except rome.dbapi.DataError:
        return "a text that is not Unicode"
    except rome.dbapi.Error as error:
        return type(error).__name__, str(error)


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.lists(steps(numbered=True), min_size=5, max_size=40), st.sampled_from(["SNAPSHOT", "READ COMMITTED"]))
def test_as_in_the_workspace(script: list[Step], level: str) -> None:
    """Two databases, of which one changes everything in the workspace."""
    number = next(NUMBER)
    urls = [f"rome+memory:///point_dml{number}", f"rome+memory:///workspace{number}"]
    direct, indirect = (rome.connect(url, isolation_level=level) for url in urls)
    for sql in SCHEMA:
        direct.execute(sql)
        indirect.execute(sql)
    direct.commit()
    indirect.commit()
    last = None
    for sql, rows in script:
        ours = outcome(direct, sql, rows)
        with workspace_only():
            assert ours == outcome(indirect, sql, rows), (sql, rows)
        assert direct.in_transaction == indirect.in_transaction
        if sql.startswith("INSERT INTO") and isinstance(ours[-1], int):
            last = sql.split()[2]
        if last not in (None, "k"):
            lastrowids = [each.execute("SELECT last_insert_rowid()").fetchall() for each in (direct, indirect)]
            assert lastrowids[0] == lastrowids[1]
        if sql == "COMMIT":
            assert check_database(urls[0]) == check_database(urls[1]) == []
    for sql in ("ROLLBACK", "SELECT rowid, * FROM p", "SELECT * FROM c", "SELECT * FROM k", "SELECT rowid, * FROM h"):
        assert outcome(direct, sql, [()]) == outcome(indirect, sql, [()])
    for connection, url in zip((direct, indirect), urls, strict=True):
        connection.close()
        rome.drop_database(url)


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.lists(steps(numbered=False), min_size=5, max_size=40))
def test_as_in_sqlite(script: list[Step]) -> None:
    """Ids are given: those of a sequence may have gaps."""
    url = f"rome+memory:///point_dml{next(NUMBER)}"
    ours, theirs = rome.connect(url), Reference()
    theirs.execute("BEGIN")
    for sql in SCHEMA:
        ours.execute(sql)
        theirs.execute(sql)
    for sql, rows in script:
        for connection in (ours, theirs):
            if not connection.in_transaction:
                connection.execute("BEGIN")
        assert outcome(ours, sql, rows) == outcome(theirs, sql, rows), (sql, rows)
        assert ours.in_transaction == theirs.in_transaction
        if sql == "COMMIT":
            assert check_database(url) == []
    ours.close()
    theirs.close()
    rome.drop_database(url)


@contextmanager
def watched() -> Iterator[list[bool]]:
    """Collect for each change whether it was made without the workspace."""
    seen: list[bool] = []

    def change(*arguments: Any) -> Any:
        result = run_point_dml(*arguments)
        seen.append(result is not None)
        return result

    with mock.patch.object(run_module, "run_point_dml", change):
        yield seen


@pytest.fixture
def database(url: str) -> rome.Connection:
    connection = rome.connect(url)
    for sql in SCHEMA:
        connection.execute(sql)
    connection.execute("INSERT INTO p (id, u, n) VALUES (1, 'a', 1), (2, 'b', 2)")
    connection.execute("INSERT INTO k (a, b) VALUES ('a', 1)")
    connection.commit()
    return connection


@pytest.mark.parametrize(
    ("sql", "parameters", "is_direct"),
    [
        ("INSERT INTO p (u, n) VALUES (?, ?)", ("c", 3), True),
        ("INSERT INTO p (u, d) VALUES (?, ?)", ("c", "2024-01-02"), True),
        ("INSERT INTO p (id, u) VALUES (?, NULL)", (7,), True),
        ("INSERT INTO c (p, u) VALUES (?, ?)", (1, "b"), True),
        ("INSERT INTO k VALUES (?, ?, 1.5, 'x')", ("b", 1), True),
        ("INSERT INTO h (v) VALUES (?)", (2.0,), True),
        ("UPDATE p SET r = ? WHERE id = ?", (0.5, 1), True),
        ("UPDATE main.k SET v = ?, w = ? WHERE a = ? AND k.b = 1", (1, None, "a"), True),
        ("INSERT INTO p (u, n) VALUES (?, ?)", ("A", 3), False),
        ("INSERT INTO c (p) VALUES (?)", (9,), False),
        ("INSERT INTO p (u, b) VALUES (?, ?)", ("c", None), False),
        ("INSERT INTO p (n) VALUES (?)", ("7",), False),
        ("INSERT INTO p (n) VALUES (?)", (7.0,), False),
        ("INSERT INTO l (n) VALUES (?)", (1,), False),
        ("INSERT INTO s (n) VALUES (?)", (1,), False),
        ("INSERT INTO p (n) VALUES (? + 1)", (1,), False),
        ("INSERT INTO p (n) VALUES (?) RETURNING id", (5,), True),
        ('INSERT INTO h VALUES (?, 9) RETURNING n, "v";', (5,), True),
        ("INSERT INTO h (v) VALUES (?) RETURNING rowid", (5,), False),
        ("INSERT INTO p (n) VALUES (?) RETURNING id + 1", (5,), False),
        ("INSERT INTO p (n) VALUES (?) RETURNING id AS a", (5,), False),
        ("INSERT INTO p (n) VALUES (?) RETURNING *", (5,), False),
        ("UPDATE p SET r = ? WHERE id = ? RETURNING id", (0.5, 1), True),
        ("UPDATE p SET r = ? WHERE id = ? RETURNING id + 1", (0.5, 1), False),
        ("UPDATE p SET r = ? WHERE id = ?", (0.5, 9), False),
        ("UPDATE p SET u = ? WHERE id = ?", ("c", 1), False),
        ("UPDATE p SET r = r WHERE id = ?", (1,), False),
        ("UPDATE p SET r = 1 WHERE id = ? OR id = ?", (1, 2), False),
        ("UPDATE k SET v = 1 WHERE a = ?", ("a",), False),
    ],
)
def test_which_changes_are_direct(
    database: rome.Connection, sql: str, parameters: tuple[Any, ...], is_direct: bool
) -> None:
    with watched() as seen:
        outcome(database, sql, [parameters])
    assert seen == [is_direct]


def test_the_workspace_is_given_what_was_changed_without_it(database: rome.Connection) -> None:
    with watched() as seen:
        database.execute("INSERT INTO p (id, u) VALUES (5, 'e')")
        database.execute("UPDATE p SET b = 'now' WHERE id = 5")
        database.execute("UPDATE p SET b = 'too' WHERE id = 1")
        database.execute("INSERT INTO c (p) VALUES (5)")
        assert database.execute("SELECT changes(), last_insert_rowid()").fetchall() == [(1, 1)]
        assert database.execute("SELECT id, b FROM p ORDER BY id").fetchall() == [(1, "too"), (2, "7"), (5, "now")]
        with pytest.raises(rome.dbapi.IntegrityError, match="UNIQUE"):
            database.execute("INSERT INTO p (u) VALUES ('E')")
        with pytest.raises(rome.dbapi.IntegrityError, match="FOREIGN KEY"):
            database.execute("DELETE FROM p WHERE id = 5")
        database.execute("SAVEPOINT s")
        database.execute("UPDATE p SET b = 'then' WHERE id = 5")
        database.execute("ROLLBACK TO s")
        database.execute("RELEASE s")
        assert database.execute("SELECT b FROM p WHERE id = 5").fetchall() == [("now",)]
        database.execute("DELETE FROM c")
        database.execute("INSERT INTO p (id) VALUES (6)")
    assert seen == [True] * 4 + [False] * 5
    database.commit()
    assert database.execute("SELECT id, b FROM p ORDER BY id").fetchall() == [
        (1, "too"),
        (2, "7"),
        (5, "now"),
        (6, "7"),
    ]


def test_two_who_insert_one_key(database: rome.Connection, url: str) -> None:
    other = rome.connect(url)
    for connection, u in ((database, "c"), (other, "C")):
        connection.execute("INSERT INTO p (u) VALUES (?)", (u,))
    database.commit()
    with pytest.raises(rome.errors.IntegrityError, match=r"UNIQUE constraint failed: p\.u"):
        other.commit()


def test_a_parent_that_goes_meanwhile(database: rome.Connection, url: str) -> None:
    other = rome.connect(url)
    other.execute("INSERT INTO c (p) VALUES (?)", (2,))
    database.execute("DELETE FROM p WHERE id = 2")
    database.commit()
    with pytest.raises(rome.errors.IntegrityError, match="FOREIGN KEY constraint failed"):
        other.commit()


def test_a_schema_that_changes_meanwhile(database: rome.Connection, url: str) -> None:
    other = rome.connect(url)
    other.execute("INSERT INTO h (v) VALUES (?)", (1,))
    other.commit()
    database.execute("CREATE TRIGGER no BEFORE INSERT ON h BEGIN SELECT raise(ABORT, 'never'); END")
    database.commit()
    other.commit()
    with pytest.raises(rome.dbapi.IntegrityError, match="never"):
        other.execute("INSERT INTO h (v) VALUES (?)", (2,))


@pytest.mark.parametrize("is_direct", [True, False])
@pytest.mark.parametrize("rows", [[(None, 1), (1, 2)], [(1, 1), (None, 2)], [(2, 1), (None, 2), (None, 3)]])
def test_explicit_and_allocated_ids_in_one_statement(is_direct: bool, rows: list[tuple[int | None, int]]) -> None:
    """An allocated id is never one that the application gives to a row before or after it."""
    connection = rome.connect(f"rome+memory:///point_dml{next(NUMBER)}")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")
    with nullcontext() if is_direct else workspace_only():
        connection.executemany("INSERT INTO t (id, n) VALUES (?, ?)", rows)
        connection.executemany("INSERT INTO t (id, n) VALUES (?, ?)", [(9, 9), (None, 10)])
        connection.execute("INSERT INTO t (n) VALUES (11)")
    connection.commit()
    found = connection.execute("SELECT n, id FROM t").fetchall()
    assert sorted(n for n, _ in found) == [*range(1, len(rows) + 1), 9, 10, 11]
    assert {(n, number) for number, n in rows if number is not None} <= set(found)
    connection.close()


@pytest.mark.parametrize("is_direct", [True, False])
def test_an_id_that_was_released_and_then_given(is_direct: bool) -> None:
    connection = rome.connect(f"rome+memory:///point_dml{next(NUMBER)}")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT UNIQUE)")
    connection.commit()
    with nullcontext() if is_direct else workspace_only():
        with pytest.raises(rome.dbapi.IntegrityError):
            connection.executemany("INSERT INTO t (n) VALUES (?)", [(1,), (1,)])
        connection.execute("INSERT INTO t VALUES (1, 1)")
        connection.execute("INSERT INTO t (n) VALUES (2)")
    assert connection.execute("SELECT n FROM t ORDER BY n").fetchall() == [(1,), (2,)]
    connection.close()
