"""Rows that violate two unique keys: SQLite judges them by the first, also if its row was not fetched before."""

from __future__ import annotations

import itertools

import pytest

import rome
from rome.errors import Error
from tests.dbapi.reference import Reference

TABLES = {
    "columns": "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE, n DEFAULT 0)",
    "stored": "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, n DEFAULT 0, g AS (a || '') STORED UNIQUE, UNIQUE (b))",
    "virtual": "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, n DEFAULT 0, g AS (a + 0) UNIQUE, UNIQUE (b))",
    "without-rowid": "CREATE TABLE t (id INTEGER, a UNIQUE, b, n DEFAULT 0, PRIMARY KEY (b)) WITHOUT ROWID",
    "ignore": "CREATE TABLE t (id INTEGER PRIMARY KEY, b UNIQUE ON CONFLICT IGNORE, a UNIQUE, n DEFAULT 0)",
    "replace": "CREATE TABLE t (id INTEGER PRIMARY KEY, b UNIQUE ON CONFLICT REPLACE, a UNIQUE, n DEFAULT 0)",
    "rollback": "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE ON CONFLICT ROLLBACK, n DEFAULT 0)",
    "expressions": "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, n DEFAULT 0)",
}
INDEXES = {
    "expressions": ("CREATE UNIQUE INDEX i ON t (abs(a))", "CREATE UNIQUE INDEX j ON t (b) WHERE b > 0"),
}
COPY = "INSERT INTO t (id, a, b) SELECT 9, x, y FROM s WHERE k = 1"
STATEMENTS = [
    COPY,
    "INSERT INTO t (id, a, b) SELECT 2, x, y FROM s WHERE k = 1",
    "INSERT INTO t (id, a, b) VALUES (9, (SELECT x FROM s WHERE k = 1), (SELECT y FROM s WHERE k = 1))",
    f"{COPY} ON CONFLICT (b) DO UPDATE SET n = n + 1",
    f"{COPY} ON CONFLICT (a) DO NOTHING",
    f"{COPY} ON CONFLICT (b) DO NOTHING ON CONFLICT (a) DO UPDATE SET n = n + 1",
    f"{COPY} ON CONFLICT (a) DO UPDATE SET n = n + 1 ON CONFLICT (b) DO UPDATE SET n = n + 10",
    "INSERT OR IGNORE INTO t (id, a, b) SELECT 9, x, y FROM s WHERE k = 1",
    "REPLACE INTO t (id, a, b) SELECT 9, x, y FROM s WHERE k = 1",
    "UPDATE t SET a = (SELECT x FROM s), b = (SELECT y FROM s) WHERE id = 3",
    "UPDATE t SET id = 1, a = x, b = y FROM s WHERE t.id = 3",
    "UPDATE OR ROLLBACK t SET a = 3, b = y FROM s WHERE t.id < 3",
    "INSERT OR ROLLBACK INTO t (id, a, b) SELECT id + y, a + x, b + y FROM t, s",
    "INSERT INTO log SELECT x, y FROM s",
]
TRIGGER = "CREATE TRIGGER tr AFTER INSERT ON log BEGIN INSERT INTO t (id, a, b) VALUES (9, new.x, new.y); END"


def outcome(connection: object, sql: str) -> object:
    try:
        return connection.execute(sql).fetchall()
    except Error as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("number", range(len(STATEMENTS)))
def test_two_violated_keys(table, number, request):
    sql = STATEMENTS[number]
    for x, y in itertools.product((1, 2, 3, 7), repeat=2):
        setup = [
            TABLES[table],
            *INDEXES.get(table, ()),
            "CREATE TABLE s (k INTEGER PRIMARY KEY, x, y)",
            "CREATE TABLE log (x, y)",
            TRIGGER,
            "INSERT INTO t (id, a, b) VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
            f"INSERT INTO s VALUES (1, {x}, {y})",
        ]
        url = f"rome+memory:///{request.node.name}{x}{y}"
        reference, before = Reference(), rome.connect(url)
        for text in setup:
            reference.execute(text)
            before.execute(text)
        before.commit()
        before.close()
        connection = rome.connect(url)
        for warm in ("SELECT 1", "SELECT * FROM t WHERE a = 1"):
            reference.execute("BEGIN")
            connection.execute(warm)
            texts = (sql, "SELECT * FROM t ORDER BY id")
            ours, theirs = ([outcome(each, text) for text in texts] for each in (connection, reference))
            assert ours == theirs, (warm, x, y)
            connection.rollback()
            if reference.in_transaction:
                reference.execute("ROLLBACK")
        connection.close()
