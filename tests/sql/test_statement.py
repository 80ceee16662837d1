"""Texts and what `classify` makes of them."""

from typing import Any

import pytest

from rome.sql.syntax.ddl import Alteration
from rome.sql.syntax.statement import Kind, classify


def check(sql: str, kind: Kind, **expected: Any) -> None:
    statement = classify(sql)
    assert statement.kind is kind
    assert {name: getattr(statement, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", Kind.SELECT),
        ("values (1)", Kind.SELECT),
        ("WITH a(x) AS (SELECT 1), b AS NOT MATERIALIZED (SELECT 2) SELECT * FROM a, b", Kind.SELECT),
        ("with recursive replace as (select 1) select * from replace", Kind.SELECT),
        ("COMMIT", Kind.COMMIT),
        ("end transaction", Kind.COMMIT),
        ("ROLLBACK", Kind.ROLLBACK),
        ("ANALYZE", Kind.OTHER),
        ("VACUUM", Kind.OTHER),
        ("detach x", Kind.OTHER),
        ("ATTACH 'x' AS y", Kind.ATTACH),
        ("SELEC 1", Kind.OTHER),
        ("(SELECT 1)", Kind.OTHER),
        ("WITH a SELECT 1", Kind.OTHER),
        ("INSERT t VALUES (1)", Kind.OTHER),
        ("", Kind.EMPTY),
        (" ; -- nothing\n;", Kind.EMPTY),
    ],
)
def test_kind(sql: str, kind: Kind) -> None:
    assert classify(sql).kind is kind


def test_insert() -> None:
    check(
        'INSERT OR IGNORE INTO main."T t" (a) VALUES (1)',
        Kind.INSERT,
        verb="insert",
        schema="main",
        table="t t",
        on_conflict="ignore",
        has_returning=False,
        has_upsert=False,
    )
    check("replace into t default values", Kind.INSERT, verb="replace", table="t", on_conflict="replace")
    check("INSERT OR FAIL INTO t SELECT 1", Kind.INSERT, may_fail_partly=True)
    check("WITH x AS (SELECT 1) INSERT INTO temp.t SELECT * FROM x RETURNING a", Kind.INSERT, temporary=True)
    check(
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING *", Kind.INSERT, has_upsert=True, has_returning=True
    )


def test_update_and_delete() -> None:
    check("UPDATE OR REPLACE t SET a = 1", Kind.UPDATE, table="t", on_conflict="replace", may_fail_partly=False)
    check("WITH x AS (SELECT 1) UPDATE t SET a = (SELECT 1) WHERE b RETURNING a", Kind.UPDATE, has_returning=True)
    check("DELETE FROM t WHERE a IN (SELECT returning FROM x)", Kind.DELETE, table="t", has_returning=False)


def test_transactions() -> None:
    check("BEGIN", Kind.BEGIN, mode="deferred")
    check("BEGIN IMMEDIATE TRANSACTION", Kind.BEGIN, mode="immediate")
    check("SAVEPOINT 'a b'", Kind.SAVEPOINT, name="a b")
    check("RELEASE SAVEPOINT Sp", Kind.RELEASE, name="Sp")
    check("RELEASE sp", Kind.RELEASE, name="sp")
    check("ROLLBACK TO sp", Kind.ROLLBACK_TO, name="sp")
    check("ROLLBACK TRANSACTION TO SAVEPOINT sp", Kind.ROLLBACK_TO, name="sp")


def test_pragma() -> None:
    check('PRAGMA main.table_info("T")', Kind.PRAGMA, schema="main", name="table_info", argument="T")
    check("PRAGMA Foreign_Keys = ON", Kind.PRAGMA, schema=None, name="foreign_keys", argument="ON")
    check("PRAGMA cache_size=-2000", Kind.PRAGMA, argument="-2000")
    check("PRAGMA user_version", Kind.PRAGMA, argument=None)


def test_explain() -> None:
    check("EXPLAIN QUERY PLAN SELECT 1", Kind.EXPLAIN, explained="SELECT 1")
    check("EXPLAIN DELETE FROM t", Kind.EXPLAIN, explained="DELETE FROM t")


TRIGGER = "CREATE TRIGGER IF NOT EXISTS r AFTER UPDATE OF a ON t WHEN 1 BEGIN DELETE FROM t; SELECT 1; END"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE TABLE IF NOT EXISTS T (a)", {"action": "create", "type": "table", "name": "T", "table": "t",
                                              "if_exists": True, "as_select": False}),
        ("CREATE TEMP TABLE t AS SELECT 1", {"temporary": True, "as_select": True}),
        ("CREATE TABLE temp.t (a)", {"temporary": True, "schema": "temp"}),
        ("CREATE VIRTUAL TABLE t USING fts5(a)", {"virtual": True, "name": "t"}),
        ("CREATE UNIQUE INDEX main.i ON T (a)", {"type": "index", "name": "i", "table": "t", "unique": True}),
        ("CREATE VIEW v AS SELECT 1", {"type": "view", "name": "v", "table": None, "as_select": False}),
        (TRIGGER, {"type": "trigger", "name": "r", "table": "t"}),
        ("DROP TABLE IF EXISTS t", {"action": "drop", "table": "t", "if_exists": True}),
        ("DROP INDEX i", {"action": "drop", "type": "index", "name": "i", "table": None}),
        ("ALTER TABLE t RENAME TO U", {"alteration": Alteration("rename table", new_name="U")}),
        ("ALTER TABLE t RENAME a TO b", {"alteration": Alteration("rename column", "a", "b")}),
        ("ALTER TABLE t RENAME COLUMN a TO b", {"alteration": Alteration("rename column", "a", "b")}),
        ("ALTER TABLE t ADD COLUMN c INT", {"alteration": Alteration("add column", "c")}),
        ("ALTER TABLE t ADD c", {"alteration": Alteration("add column", "c")}),
        ("ALTER TABLE t DROP COLUMN c", {"action": "alter", "alteration": Alteration("drop column", "c")}),
        ("ALTER TABLE t DROP CONSTRAINT c", {"alteration": Alteration("other")}),
    ],
)  # fmt: skip
def test_ddl(sql: str, expected: dict[str, Any]) -> None:
    statement = classify(sql)
    assert statement.kind is Kind.DDL
    assert not statement.tail
    assert {name: getattr(statement.change, name) for name in expected} == expected


@pytest.mark.parametrize("sql", ["CREATE", "CREATE TABLE", "DROP x", "ALTER"])
def test_malformed_ddl_is_left_to_sqlite(sql: str) -> None:
    assert classify(sql).kind is Kind.OTHER


@pytest.mark.parametrize(
    ("sql", "tail"),
    [
        ("SELECT 1; ;-- done", False),
        ("SELECT 1; SELECT 2", True),
        (TRIGGER + ";", False),
        (TRIGGER + "; SELECT 1", True),
        ("SAVEPOINT a; x", True),
        ("ANALYZE; x", True),
    ],
)
def test_tail(sql: str, tail: bool) -> None:
    assert classify(sql).tail is tail
