"""`classify`: the kind of a statement, and what it is about."""

from typing import Any

import pytest

from rome.sql.syntax.ddl import Alteration
from rome.sql.syntax.statement import StatementKind, classify, limits_rows


def check(sql: str, kind: StatementKind, **expected: Any) -> None:
    statement = classify(sql)
    assert statement.kind is kind
    assert {name: getattr(statement, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", StatementKind.SELECT),
        ("values (1)", StatementKind.SELECT),
        ("WITH a(x) AS (SELECT 1), b AS NOT MATERIALIZED (SELECT 2) SELECT * FROM a, b", StatementKind.SELECT),
        ("with recursive replace as (select 1) select * from replace", StatementKind.SELECT),
        ("COMMIT", StatementKind.COMMIT),
        ("end transaction", StatementKind.COMMIT),
        ("ROLLBACK", StatementKind.ROLLBACK),
        ("ANALYZE", StatementKind.OTHER),
        ("VACUUM", StatementKind.OTHER),
        ("detach x", StatementKind.OTHER),
        ("ATTACH 'x' AS y", StatementKind.ATTACH),
        ("SELEC 1", StatementKind.OTHER),
        ("(SELECT 1)", StatementKind.OTHER),
        ("WITH a SELECT 1", StatementKind.OTHER),
        ("INSERT t VALUES (1)", StatementKind.OTHER),
        ("", StatementKind.EMPTY),
        (" ; -- nothing\n;", StatementKind.EMPTY),
    ],
)
def test_kind(sql: str, kind: StatementKind) -> None:
    assert classify(sql).kind is kind


def test_insert() -> None:
    check(
        'INSERT OR IGNORE INTO main."T t" (a) VALUES (1)',
        StatementKind.INSERT,
        verb="insert",
        schema="main",
        table="t t",
        on_conflict="ignore",
        has_returning=False,
        has_upsert=False,
    )
    check("replace into t default values", StatementKind.INSERT, verb="replace", table="t", on_conflict="replace")
    check("INSERT OR FAIL INTO t SELECT 1", StatementKind.INSERT, may_fail_partly=True)
    check("WITH x AS (SELECT 1) INSERT INTO temp.t SELECT * FROM x RETURNING a", StatementKind.INSERT, temporary=True)
    check(
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING *",
        StatementKind.INSERT,
        has_upsert=True,
        has_returning=True,
    )


def test_update_and_delete() -> None:
    check(
        "UPDATE OR REPLACE t SET a = 1", StatementKind.UPDATE, table="t", on_conflict="replace", may_fail_partly=False
    )
    check(
        "WITH x AS (SELECT 1) UPDATE t SET a = (SELECT 1) WHERE b RETURNING a", StatementKind.UPDATE, has_returning=True
    )
    check("DELETE FROM t WHERE a IN (SELECT returning FROM x)", StatementKind.DELETE, table="t", has_returning=False)


def test_transactions() -> None:
    check("BEGIN", StatementKind.BEGIN)
    check("BEGIN IMMEDIATE TRANSACTION", StatementKind.BEGIN)
    check("SAVEPOINT 'a b'", StatementKind.SAVEPOINT, name="a b")
    check("RELEASE SAVEPOINT Sp", StatementKind.RELEASE, name="Sp")
    check("RELEASE sp", StatementKind.RELEASE, name="sp")
    check("ROLLBACK TO sp", StatementKind.ROLLBACK_TO, name="sp")
    check("ROLLBACK TRANSACTION TO SAVEPOINT sp", StatementKind.ROLLBACK_TO, name="sp")


def test_pragma() -> None:
    check('PRAGMA main.table_info("T")', StatementKind.PRAGMA, schema="main", name="table_info", argument="T")
    check("PRAGMA Foreign_Keys = ON", StatementKind.PRAGMA, schema=None, name="foreign_keys", argument="ON")
    check("PRAGMA cache_size=-2000", StatementKind.PRAGMA, argument="-2000")
    check("PRAGMA user_version", StatementKind.PRAGMA, argument=None)


def test_explain() -> None:
    check("EXPLAIN QUERY PLAN SELECT 1", StatementKind.EXPLAIN)
    check("EXPLAIN DELETE FROM t", StatementKind.EXPLAIN)


TRIGGER = "CREATE TRIGGER IF NOT EXISTS r AFTER UPDATE OF a ON t WHEN 1 BEGIN DELETE FROM t; SELECT 1; END"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE TABLE IF NOT EXISTS T (a)", {"action": "create", "type": "table", "name": "T", "table": "t",
                                              "as_select": False}),
        ("CREATE TEMP TABLE t AS SELECT 1", {"temporary": True, "as_select": True}),
        ("CREATE TABLE temp.t (a)", {"temporary": True, "schema": "temp"}),
        ("CREATE VIRTUAL TABLE t USING fts5(a)", {"virtual": True, "name": "t"}),
        ("CREATE UNIQUE INDEX main.i ON T (a)", {"type": "index", "name": "i", "table": "t"}),
        ("CREATE VIEW v AS SELECT 1", {"type": "view", "name": "v", "table": None, "as_select": False}),
        (TRIGGER, {"type": "trigger", "name": "r", "table": "t"}),
        ("DROP TABLE IF EXISTS t", {"action": "drop", "table": "t"}),
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
    assert statement.kind is StatementKind.DDL
    assert not statement.tail
    assert {name: getattr(statement.change, name) for name in expected} == expected


@pytest.mark.parametrize("sql", ["CREATE", "CREATE TABLE", "DROP x", "ALTER"])
def test_malformed_ddl_is_left_to_sqlite(sql: str) -> None:
    assert classify(sql).kind is StatementKind.OTHER


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


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DELETE FROM t LIMIT 1", True),
        ("UPDATE t SET a = 1 WHERE b ORDER BY c", True),
        ("WITH x AS (SELECT 1 LIMIT 1) DELETE FROM t WHERE a IN (SELECT 1 ORDER BY 1 LIMIT 1)", False),
        ("DELETE FROM `order`", False),
    ],
)
def test_limits_rows(sql: str, expected: bool) -> None:
    assert limits_rows(sql) is expected
