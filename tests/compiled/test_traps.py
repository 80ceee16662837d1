"""Statements that sqlglot or Python treat differently from SQLite: each is compiled correctly or left to SQLite."""

import random
from pathlib import Path

import apsw
import pytest

from rome.compiled.compile import NotCompiled
from rome.fallback import UnsupportedValue
from tests.compiled.harness import Database, same_rows

DDL = """
CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, x TEXT, r REAL, n NUMERIC, b, c TEXT COLLATE NOCASE, o BLOB);
CREATE TABLE g (id INTEGER PRIMARY KEY, v INTEGER GENERATED ALWAYS AS (id * 2) VIRTUAL);
CREATE TABLE h (a, b INTEGER);
CREATE VIEW w AS SELECT id FROM t;
"""
ROWS = {
    "t": [
        (1, 1, "1", 1.0, 1, "1", "a", b"a"),
        (2, 10, "10", 2.5, "x", 10, "A", None),
        (3, None, "abc", None, 0, 1.5, "b", ""),
        (4, "z", "", -0.5, None, b"1", None, 5),
        (5, 5, " 5", 5.0, 5.5, None, "ab ", "x"),
        (6, 2**62, "Ä", 1e15, -1, "", "Ä", 0),
    ],
    "h": [(1, 2), ("x", None)],
}
DATA = Database(DDL, ROWS)


EXPRESSIONS = Path(__file__).with_name("expressions.txt").read_text().splitlines()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_has_the_value_of_sqlite(expression: str) -> None:
    for sql in (
        f"SELECT id, {expression} FROM t",
        f"SELECT id FROM t WHERE {expression}",
        f"SELECT id FROM t WHERE NOT ({expression})",
        f"SELECT id FROM t ORDER BY {expression}, id",
        f"SELECT d.id, d.v FROM (SELECT id, {expression} AS v FROM t) AS d WHERE d.v = '1' OR d.v = 1 OR d.v < 'b'",
        f"SELECT ({expression}), count(*) FROM t GROUP BY 1",
    ):
        compiled, tables = DATA.compile(sql)
        if isinstance(compiled, NotCompiled):
            continue
        try:
            expected = DATA.expected(sql)
            found = compiled.run(DATA.fetched(tables, random.Random(1)), ())
        except (UnsupportedValue, apsw.SQLError):
            continue
        assert same_rows(found, expected, ordered="ORDER" in sql), sql


@pytest.mark.parametrize("sql", Path(__file__).with_name("statements.txt").read_text().splitlines())
def test_a_statement_returns_the_rows_of_sqlite(sql: str) -> None:
    DATA.check(sql, ordered="ORDER BY" in sql)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT row_number() OVER (ORDER BY id) FROM t", "window functions"),
        ("SELECT json_extract(x, '$.a') FROM t", "function json_extract"),
        ("SELECT x -> 'a' FROM t", "function json_extract"),
        ("SELECT date('now')", "function date"),
        ("SELECT strftime('%Y', x) FROM t", "function"),
        ("SELECT random()", "function rand"),
        ("WITH RECURSIVE c(n) AS (SELECT 1) SELECT n FROM c", "WITH RECURSIVE"),
        ("SELECT v FROM g", "virtual generated column g.v"),
        ("SELECT * FROM g", "virtual generated column g.v"),
        ("SELECT id FROM w", "w is not a table of the catalog"),
        ("SELECT name FROM sqlite_master", "sqlite_master is not a table of the catalog"),
        ("SELECT * FROM t JOIN h USING (id)", "NATURAL JOIN or USING"),
        ("SELECT * FROM t NATURAL JOIN h", "NATURAL JOIN or USING"),
        ("SELECT * FROM t RIGHT JOIN h ON t.id = h.a", "RIGHT JOIN"),
        ("SELECT * FROM t FULL OUTER JOIN h ON t.id = h.a", "FULL OUTER JOIN"),
        ("SELECT x, count(*) FROM t", "a bare column in an aggregate query"),
        ("SELECT x AS i, count(*) FROM t GROUP BY i", "a bare column in an aggregate query"),
        ("SELECT max(i), x FROM t", "a bare column in an aggregate query"),
        ("SELECT id FROM t WHERE x COLLATE NOCASE = 'a'", "collate"),
        ("SELECT id FROM t ORDER BY x COLLATE foo", "collate"),
        ("SELECT id FROM t WHERE i IS TRUE", "IS TRUE"),
        ("SELECT max(c, x) FROM t", "function greatest with a collation"),
        ("SELECT nullif(x, c) FROM t", "function nullif with a collation"),
        ("SELECT round(r) FROM t", "function round"),
        ("SELECT trim(x, 'a') FROM t", "trim with expression"),
        ("SELECT CAST(x AS BLOB) FROM t", "CAST to BLOB"),
        ("SELECT total(i) FILTER (WHERE i > 1) FROM t", "filter"),
        ("SELECT id FROM t WHERE x GLOB 'a*'", "glob"),
        ("SELECT id FROM t WHERE i IN (x, 1)", "IN of expressions"),
        ("SELECT group_concat(x) FROM t", "function group_concat"),
        ("SELECT i FROM t EXCEPT SELECT id FROM t", "except"),
        ('SELECT "no such name" FROM t', "the name"),
        ("SELECT rowid FROM h", "hidden column h.rowid"),
        ('SELECT d.id FROM (SELECT id, i AS "true" FROM t) AS d WHERE true', "not parsed"),
        ('WITH d("false") AS (SELECT id FROM t) SELECT 1 FROM d WHERE NOT false', "not parsed"),
        ("SELECT id FROM t WHERE ~i", "unary plus"),
        ("SELECT id FROM t WHERE x MATCH 'a'", "match"),
        ("SELECT id FROM t WHERE i = 1 = 1", "a comparison of a comparison"),
        ("SELECT id FROM t WHERE i IN ((SELECT i FROM t))", "a query in parentheses"),
        ("SELECT id FROM t WHERE id IN t", "in with field"),
        ("SELECT DISTINCT c FROM t", "DISTINCT or UNION with a collation"),
        ("SELECT c, count(*) FROM t GROUP BY c", "GROUP BY with a collation"),
        ("SELECT DISTINCT i FROM t ORDER BY NOT i", "DISTINCT with ORDER BY of another column"),
        ("SELECT DISTINCT x FROM t ORDER BY lower(x)", "DISTINCT with ORDER BY of another column"),
        (
            "SELECT i, count(*) FROM t GROUP BY i HAVING i IN (SELECT a FROM h WHERE a = t.x)",
            "a correlated subquery in an aggregate query",
        ),
        ("SELECT CURRENT_TIMESTAMP", "function current_timestamp"),
        ("VALUES (1), (2)", "values"),
        ("SELECT id FROM t INDEXED BY t_i", "table with"),
    ],
)
def test_an_uncertain_construct_is_refused_with_a_reason(sql: str, reason: str) -> None:
    compiled, _ = DATA.compile(sql)
    assert isinstance(compiled, NotCompiled), compiled.source
    assert reason in compiled.reason


def test_true_may_be_a_column_of_any_table() -> None:
    """SQLite takes the word for a column, if there is one of that name."""
    compiled, _ = Database('CREATE TABLE h (a, "true" INTEGER)').compile("SELECT a FROM h WHERE true")
    assert isinstance(compiled, NotCompiled)


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT r || 'a' FROM t WHERE id = 2", ()),
        ("SELECT sum(i) FROM (SELECT i FROM t UNION ALL SELECT i FROM t UNION ALL SELECT i FROM t) WHERE i < 'a'", ()),
        ("SELECT id FROM t LIMIT ?", ("a",)),
        ("SELECT id FROM t LIMIT ?", (None,)),
        ("SELECT id FROM t WHERE id = ?", ()),
        ("SELECT id FROM t WHERE id = ?", (1, 2)),
        ("SELECT id FROM t WHERE id = :a", {}),
        ("SELECT id FROM t WHERE id = ?", (object(),)),
        ("SELECT id FROM t WHERE id = ?", (2**63,)),
        ("SELECT id FROM t WHERE x = ?", ("\ud800",)),
        ("SELECT id FROM t WHERE x = ?", (1.5,)),
        ("SELECT (SELECT i FROM t)", ()),
        ("SELECT ? * 10", (1e308,)),
        ("SELECT id FROM t WHERE x LIKE 'a' ESCAPE ?", ("ab",)),
    ],
)  # fmt: skip
def test_a_value_that_only_sqlite_can_treat_raises_unsupported_value(sql: str, parameters: object) -> None:
    with pytest.raises(UnsupportedValue):
        DATA.run(sql, parameters)


def test_values_of_other_types_run_the_exact_program() -> None:
    compiled = DATA.compiled("SELECT id FROM t WHERE i < ? ORDER BY id")
    rows = [DATA.rows(DATA.catalog.tables["t"])]
    assert compiled.run(rows, ("a",)) == DATA.expected("SELECT id FROM t WHERE i < 'a' ORDER BY id")
    assert compiled.run(rows, (10,)) == DATA.expected("SELECT id FROM t WHERE i < 10 ORDER BY id")
    assert compiled.run(rows, (None,)) == []
    assert compiled.run(rows, (b"",)) == DATA.expected("SELECT id FROM t WHERE i < x'' ORDER BY id")


def test_one_function_serves_lists_of_any_length() -> None:
    compiled = DATA.compiled("SELECT id FROM t WHERE id IN (?, ?) AND i > ?")
    other = DATA.compiled("SELECT id FROM t WHERE id IN (?, 5, ?, ?) AND i > ?")
    assert compiled.source == other.source
    rows = [DATA.rows(DATA.catalog.tables["t"])]
    assert compiled.with_lists(other.lists).run(rows, (1, 2, 4, 1)) == [(2,), (4,), (5,)]


def test_a_deep_expression_is_compiled_or_refused() -> None:
    sql = "SELECT id FROM t WHERE " + " OR ".join(f"id = {number}" for number in range(300))
    compiled, tables = DATA.compile(sql)
    if not isinstance(compiled, NotCompiled):
        assert len(compiled.run(DATA.fetched(tables), ())) == 6
