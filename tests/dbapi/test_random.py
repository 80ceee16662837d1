"""Random statements in random transactions: ROME and SQLite agree, and rows and index entries stay consistent."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rome
from rome.testing import check_database
from tests.dbapi.reference import Reference
from tests.dbapi.test_against_sqlite import outcome

NUMBER = itertools.count()

SCHEMA = [
    "CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INT, w INT AS (n + 1) STORED)",
    "CREATE INDEX p_n ON p (n, u)",
    "CREATE UNIQUE INDEX p_part ON p (n) WHERE n > 3",
    """CREATE TABLE c (a TEXT NOT NULL, b INT NOT NULL, p INT REFERENCES p (id) ON DELETE CASCADE ON UPDATE SET NULL,
        u TEXT REFERENCES p (u) ON UPDATE CASCADE, PRIMARY KEY (a, b))""",
    "CREATE TABLE d (x INT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED, y, z INT AS (x * 2))",
    "CREATE INDEX d_z ON d (z)",
    "CREATE TABLE log (what TEXT, n INT)",
    "CREATE TRIGGER t AFTER UPDATE OF n ON p BEGIN INSERT INTO log VALUES (old.u, new.n); END",
]

NUMBERS = st.sampled_from(["1", "2", "3", "4", "5", "NULL", "'3'", "2.0"])
TEXTS = st.sampled_from(["'a'", "'b'", "'c'", "NULL", "5"])
CONFLICT = st.sampled_from(["", "", "", "OR IGNORE", "OR REPLACE", "OR FAIL"])


@st.composite
def statements(draw: st.DrawFn) -> str:
    n, m, t, s = draw(NUMBERS), draw(NUMBERS), draw(TEXTS), draw(TEXTS)
    other = draw(CONFLICT)
    where = draw(
        st.sampled_from(
            ["", f"WHERE id = {n}", f"WHERE n = {n}", f"WHERE u = {t}", f"WHERE n > {n}", f"WHERE id IN ({n}, {m})"]
        )
    )
    of_p = where.replace("u ", "p.u ")
    return draw(
        st.sampled_from(
            [
                f"INSERT {other} INTO p (id, u, n) VALUES ({n.replace('NULL', '7')}, {t}, {m})",
                f"INSERT INTO p (id, u, n) VALUES (8, {t}, {m}), (9, {s}, {n})",
                f"INSERT INTO p (id, u, n) VALUES (6, {t}, {n}) ON CONFLICT (u) DO UPDATE SET n = {m} RETURNING id, n",
                f"INSERT {other} INTO c VALUES ({t}, {n}, {m}, {s})",
                f"INSERT INTO d (x, y) VALUES ({n}, {t})",
                f"INSERT INTO c (a, b, p) SELECT {t}, id, id FROM p {where}",
                f"UPDATE {other} p SET n = {m} {where}",
                f"UPDATE {other} p SET u = {t} {where}",
                f"UPDATE p SET id = id + 10 {where}",
                f"UPDATE c SET p = {m} WHERE a = {t}",
                f"UPDATE d SET x = {n} WHERE z = {m}",
                f"DELETE FROM p {where}",
                f"DELETE FROM c WHERE b = {n}",
                f"DELETE FROM d WHERE x = {n}",
                f"SELECT id, u, n, w FROM p {where} ORDER BY id",
                f"SELECT id, a, b FROM p LEFT JOIN c ON c.p = id AND b = {m} {of_p} ORDER BY 1, 2, 3",
                f"SELECT x, y, z FROM d WHERE z >= {n} ORDER BY 1, 2",
                "SELECT a, b, p, u FROM c ORDER BY a, b",
                "SELECT count(*), sum(n) FROM log",
                f"SELECT id FROM p WHERE EXISTS (SELECT 1 FROM d WHERE d.x = p.id AND d.y = {t}) ORDER BY id",
                "SAVEPOINT s",
                "ROLLBACK TO s",
                "RELEASE s",
                "COMMIT",
                "COMMIT",
                "ROLLBACK",
            ]
        )
    )


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(statements(), min_size=5, max_size=40))
def test_random_transactions(script: list[str]) -> None:
    url = f"rome+memory:///random{next(NUMBER)}"
    ours, theirs = rome.connect(url), Reference()
    theirs.execute("BEGIN")
    for sql in SCHEMA:
        ours.execute(sql)
        theirs.execute(sql)
    for sql in script:
        if not ours.in_transaction:
            ours.execute("BEGIN")
        if not theirs.in_transaction:
            theirs.execute("BEGIN")
        assert outcome(ours, sql) == outcome(theirs, sql), sql
        assert ours.in_transaction == theirs.in_transaction
        if sql == "COMMIT":
            assert check_database(url) == []
    ours.close()
    theirs.close()
    rome.drop_database(url)
