"""INSERTs that take their ids from a function, run in SQLite; and the rows that they give values for."""

from typing import Any

import apsw
import pytest

from rome.catalog.model import Table
from rome.sql.rewrite.counter_ids import (
    insert_value_rows,
    original_trigger,
    trigger_with_counter_ids,
    with_counter_ids,
)
from rome.sql.syntax.operands import Const, Param
from tests.sql.schema import catalog_from, catalog_of, open_sqlite

DDL = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b DEFAULT 'dflt');
CREATE TABLE h (a UNIQUE, b);
CREATE TABLE odd ("rowid" TEXT, "my col" AS (upper("rowid")) STORED, c);
CREATE TABLE mid (a, "Id" INTEGER PRIMARY KEY, b AS (a || 'x'));
CREATE TABLE k (a TEXT PRIMARY KEY NOT NULL, b);
CREATE TABLE s (x, y);
INSERT INTO s VALUES (2, 'two'), (1, 'one');
"""


def next_of(table: Table) -> str:
    return f"rome_next('{table.name}')"


@pytest.fixture
def sqlite() -> apsw.Connection:
    connection = open_sqlite()
    connection.execute(DDL)
    return connection


def run(sqlite: apsw.Connection, name: str, sql: str, parameters: Any = ()) -> list[Any]:
    table = catalog_of(sqlite).tables[name]
    text = with_counter_ids(sql, table, next_of(table))
    sqlite.execute(text, parameters)
    which = {"h": "rowid, *", "odd": "_rowid_, *"}.get(name, "*")
    return sqlite.execute(f"SELECT {which} FROM {name}").fetchall()


@pytest.mark.parametrize(
    ("name", "sql", "parameters", "rows"),
    [
        ("t", "INSERT INTO t (a) VALUES (?), (?)", (7, 8), [(101, 7, "dflt"), (102, 8, "dflt")]),
        ("t", "INSERT INTO t VALUES (?, ?, ?)", (5, 7, 8), [(5, 7, 8)]),
        ("t", "INSERT INTO t VALUES (NULL, 1+(2), 'x,y'), (?, 9, 9)", (None,), [(101, 3, "x,y"), (102, 9, 9)]),
        ("t", "INSERT INTO t (b, ID, a) VALUES (?, ?, ?)", (1, None, 3), [(101, 3, 1)]),
        ("t", "INSERT INTO t (b, oid) VALUES (?, ?)", (1, None), [(101, None, 1)]),
        ("t", "INSERT INTO t (b, oid) VALUES (?, ?)", (1, 6), [(6, None, 1)]),
        ("t", "INSERT INTO t DEFAULT VALUES", (), [(101, None, "dflt")]),
        ("t", "REPLACE INTO main.t AS alias (a) VALUES (?2), (?1);", (7, 8), [(101, 8, "dflt"), (102, 7, "dflt")]),
        ("t", "INSERT INTO t (a) SELECT x FROM s ORDER BY x", (), [(101, 1, "dflt"), (102, 2, "dflt")]),
        ("t", "INSERT INTO t (a) SELECT x FROM s WHERE y = ? LIMIT ?", ("two", 5), [(101, 2, "dflt")]),
        ("t", "INSERT INTO t SELECT NULL, x, x FROM s WHERE x = 1", (), [(101, 1, 1)]),
        ("t", "INSERT INTO t (a) VALUES (1) UNION SELECT 2", (), [(101, 1, "dflt"), (102, 2, "dflt")]),
        ("t", "WITH q AS (SELECT ? AS v) INSERT INTO t (a) SELECT v FROM q", (4,), [(101, 4, "dflt")]),
        ("t", "INSERT INTO t (a) WITH q AS (SELECT 4) SELECT * FROM q", (), [(101, 4, "dflt")]),
        ("t", "INSERT INTO t (a) VALUES (1), (1) ON CONFLICT (a) DO UPDATE SET b = 'again'", (), [(101, 1, "again")]),
        ("t", "INSERT INTO t (a) SELECT 1 UNION ALL SELECT 1 WHERE true ON CONFLICT (a) DO UPDATE SET b = excluded.id",
         (), [(101, 1, 102)]),
        ("t", "INSERT INTO t (a) SELECT x FROM s ON CONFLICT DO NOTHING", (), [(101, 2, "dflt"), (102, 1, "dflt")]),
        ("t", "INSERT INTO t (a, b) VALUES (:v, :w) RETURNING id", {"v": 1, "w": 2}, [(101, 1, 2)]),
        ("h", "INSERT INTO h VALUES (1, 2), (3, 4)", (), [(101, 1, 2), (102, 3, 4)]),
        ("h", "INSERT INTO h (a) VALUES (?)", (1,), [(101, 1, None)]),
        ("h", "INSERT INTO h (a, rowid) VALUES (1, 5), (2, NULL)", (), [(5, 1, None), (101, 2, None)]),
        ("h", "INSERT INTO h DEFAULT VALUES", (), [(101, None, None)]),
        ("h", "INSERT INTO h SELECT * FROM s", (), [(101, 2, "two"), (102, 1, "one")]),
        ("odd", "INSERT INTO odd VALUES ('a', 'b')", (), [(101, "a", "A", "b")]),
        ("odd", 'INSERT INTO odd ("rowid") VALUES (?)', ("a",), [(101, "a", "A", None)]),
        ("mid", "INSERT INTO mid VALUES (1, ?)", (None,), [(1, 101, "1x")]),
        ("k", "INSERT INTO k VALUES ('a', 1)", (), [("a", 1)]),
    ],
)  # fmt: skip
def test_rows(sqlite: apsw.Connection, name: str, sql: str, parameters: Any, rows: list[Any]) -> None:
    assert run(sqlite, name, sql, parameters) == rows


def test_a_wrong_insert_stays_wrong(sqlite: apsw.Connection) -> None:
    for sql in ("INSERT INTO t VALUES (1)", "INSERT INTO h (a) VALUES (1, 2)", "INSERT INTO t (a) VALUES ()",
                "INSERT INTO t (a)", "INSERT t VALUES (1)", "INSERT INTO t (a) SELECT 1, 2"):  # fmt: skip
        with pytest.raises(apsw.SQLError):
            run(sqlite, sql.split()[2] if "INTO" in sql else "t", sql)


def test_trigger(sqlite: apsw.Connection) -> None:
    sql = """CREATE TRIGGER r AFTER INSERT ON s WHEN new.x > 0 BEGIN
        INSERT INTO h VALUES (new.x, CASE WHEN 1 THEN ';' END);
        UPDATE s SET y = 1 WHERE x = new.x;
        INSERT OR IGNORE INTO t (a) SELECT x FROM s WHERE x = new.x;
        INSERT INTO k VALUES (new.y, 1);
    END"""
    sqlite.execute(trigger_with_counter_ids(sql, catalog_of(sqlite), next_of))
    sqlite.execute("INSERT INTO s VALUES (9, 'nine')")
    assert sqlite.execute("SELECT rowid, * FROM h").fetchall() == [(101, 9, ";")]
    assert sqlite.execute("SELECT * FROM t").fetchall() == [(102, 9, "dflt")]


@pytest.mark.parametrize(
    "body",
    [
        "INSERT INTO h VALUES (new.x, 1)",
        "INSERT INTO h /* a */ VALUES /* b */ (1, 2), (3, /*c*/ 4)",
        "INSERT INTO t (a) SELECT x FROM s; INSERT INTO h SELECT * FROM s",
        "INSERT INTO h VALUES ('/*rome<*/', '/*rome>*/'); INSERT INTO h VALUES ('/*rome<*/x/*rome>*/', 2)",
        "REPLACE INTO t (id, a) VALUES (NULL, '--')",
    ],
)
def test_the_original_text_of_a_trigger(body: str) -> None:
    sql = f"CREATE TRIGGER r AFTER INSERT ON s BEGIN {body}; END"
    changed = trigger_with_counter_ids(sql, catalog_from(DDL), next_of)
    assert "next" in changed
    assert original_trigger(changed) == sql


def test_a_trigger_without_inserts_is_left_alone() -> None:
    sql = "CREATE TRIGGER r AFTER INSERT ON s BEGIN DELETE FROM s; END"
    assert trigger_with_counter_ids(sql, catalog_from(DDL), next_of) == sql


VALUES = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a DEFAULT 5, b TEXT DEFAULT 'x', c DEFAULT (1 + 1),
    d DEFAULT CURRENT_TIMESTAMP, e DEFAULT -1.5, f AS (a))
"""
OMITTED = {"id": Const(None), "a": Const(5), "b": Const("x"), "c": None, "d": None, "e": Const(-1.5), "f": None}


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("INSERT INTO t DEFAULT VALUES", [{}]),
        ("INSERT INTO t (A, b) VALUES (?, 'y'), (?1, lower(?))",
         [{"a": Param(0), "b": Const("y")}, {"a": Param(0), "b": None}]),
        ("INSERT INTO t VALUES (?, :x, NULL, x'00', (1), -7)",
         [{"id": Param(0), "a": Param(1, "x"), "b": Const(None), "c": Const(b"\0"), "d": Const(1), "e": Const(-7)}]),
        ("INSERT INTO t (rowid, a, a) VALUES (3, 1, 2) ON CONFLICT (id) DO UPDATE SET a = ?",
         [{"id": Const(3), "a": None}]),
        ("WITH q AS (SELECT ?) INSERT INTO t (id) VALUES (?)", [{"id": Param(1)}]),
    ],
)  # fmt: skip
def test_values(sql: str, rows: list[dict[str, Any]]) -> None:
    found = insert_value_rows(sql, catalog_from(VALUES).tables["t"])
    assert found is not None
    assert [dict(row) for row in found.rows] == [{**OMITTED, **row} for row in rows]


@pytest.mark.parametrize("sql", ["INSERT INTO t SELECT 1", "INSERT INTO t (a) VALUES (1, 2)", "INSERT INTO t"])
def test_values_that_are_not_known(sql: str) -> None:
    assert insert_value_rows(sql, catalog_from(VALUES).tables["t"]) is None


def test_hidden_rowid_is_a_value_too() -> None:
    found = insert_value_rows("INSERT INTO h VALUES (?, ?)", catalog_from("CREATE TABLE h (a, b)").tables["h"])
    assert found is not None
    assert found.rows == ({"rowid": Const(None), "a": Param(0), "b": Param(1)},)
