"""Mistakes in statements: SQLite's errors, about the text as it was written."""

from __future__ import annotations

import pytest

import rome
from rome.errors import Error
from tests.dbapi.reference import Reference

SCHEMA = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)",
    "CREATE TABLE w (a, b)",
    "CREATE TABLE x (k TEXT PRIMARY KEY, a) WITHOUT ROWID",
    "CREATE TABLE au (id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
    "CREATE TABLE g (id INTEGER PRIMARY KEY, a, b AS (a))",
    "CREATE TABLE st (id INTEGER PRIMARY KEY, a TEXT) STRICT",
    "CREATE VIEW v AS SELECT 1 a",
]
WRONG = [
    "INSERT INTO {} VALUES (1)",
    "INSERT INTO {} VALUES (1, 2, 3, 4)",
    "INSERT INTO {} (a) VALUES (1, 2)",
    "INSERT INTO {} (a) VALUES (1), (1, 2)",
    "INSERT INTO {} (zz) VALUES (1)",
    "INSERT INTO {} (a) VALUES (zz)",
    "INSERT INTO {} (a) SELECT 1, 2",
    "INSERT INTO {} (a) SELECT * FROM w",
    "INSERT INTO {} (a) SELECT 1 UNION SELECT 1, 2",
    "INSERT INTO {} (a) SELECT zz FROM t",
    "INSERT INTO {} (a) VALUES (1) RETURNING zz",
    "INSERT INTO {} AS q (a) VALUES (1) RETURNING q.zz",
    "INSERT INTO {} (a, a) VALUES (1, 2)",
    "INSERT INTO {} (a) VALUES",
    "INSERT INTO {} () VALUES ()",
    "INSERT INTO {} (a) DEFAULT VALUES",
    "INSERT INTO {} DEFAULT VALUES RETURNING zz",
    "INSERT INTO {} (id, a) VALUES (1)",
    "INSERT INTO {} (rowid, a) VALUES (1)",
    "INSERT INTO {} (a) VALUES (1) ON CONFLICT (zz) DO NOTHING",
    "INSERT INTO {} (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET zz = 1",
    "INSERT INTO {} (a) VALUES (nofn(1))",
    "INSERT INTO {} (a) VALUES (abs())",
    "INSERT INTO {} (a) VALUES ((SELECT 1, 2))",
    "INSERT INTO {} (a) WITH q AS (SELECT 1) SELECT * FROM qq",
    "REPLACE INTO {} (a, zz) VALUES (1, 2)",
    "UPDATE {} SET (a, b) = (1)",
    "DELETE FROM {} WHERE zz",
]


def outcome(connection: object, sql: str) -> object:
    try:
        return connection.execute(sql).fetchall()
    except Error as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("table", ["t", "w", "x", "au", "g", "st", "v", "nowhere"])
def test_mistakes(table, request):
    reference, connection = Reference(), rome.connect(f"rome+memory:///{request.node.name}")
    for sql in SCHEMA:
        reference.execute(sql)
        connection.execute(sql)
    connection.commit()
    for sql in (text.format(table) for text in WRONG):
        reference.execute("SAVEPOINT s")
        assert outcome(connection, sql) == outcome(reference, sql), sql
        reference.execute("ROLLBACK TO s")
        connection.rollback()
    connection.close()
