"""Schema changes about different objects, and rows of tables that others have made: all of them are committed.

Nothing is replayed here: each transaction has a statement that failed, or has read `sqlite_master`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pytest

import rome
from rome.errors import Conflict, OperationalError
from rome.testing import check_database

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)"
PARENT = "CREATE TABLE p (id INTEGER PRIMARY KEY, a INT)"


class Pair(NamedTuple):
    """The statements of two transactions after a setup, and what the schema then has (None: one is refused)."""

    name: str
    setup: Sequence[str]
    one: Sequence[str]
    other: Sequence[str]
    left: Sequence[str] | None


PAIRS = [
    Pair("two-tables", [], ["CREATE TABLE a (n INT)"], ["CREATE TABLE b (n INT)"], ["a", "b"]),
    Pair("column-of-another-table", [], ["CREATE TABLE a (b INT)"], ["CREATE TABLE b (a INT)"], ["a", "b"]),
    Pair("table-and-column", [TABLE], ["CREATE TABLE a (n INT)"], ["ALTER TABLE t ADD COLUMN x INT"], ["a", "t"]),
    Pair("table-and-index", [TABLE], ["CREATE TABLE a (n INT)"], ["CREATE INDEX tn ON t (n)"], ["a", "t", "tn"]),
    Pair("drop-and-create", [TABLE], ["DROP TABLE t"], ["CREATE TABLE a (n INT)"], ["a"]),
    Pair(
        "children-of-one-parent",
        [PARENT],
        ["CREATE TABLE a (x REFERENCES p (id))"],
        ["CREATE TABLE b (x REFERENCES p (id))"],
        ["a", "b", "p"],
    ),
    Pair(
        "triggers-of-one-table",
        [TABLE],
        ["CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END"],
        ["CREATE TRIGGER h AFTER INSERT ON t BEGIN SELECT 1; END"],
        ["g", "h", "t"],
    ),
    Pair(
        "views-of-one-table", [TABLE], ["CREATE VIEW v AS SELECT * FROM t"], ["CREATE VIEW w AS SELECT n FROM t"], "tvw"
    ),
    Pair("rename-and-create", [TABLE], ["ALTER TABLE t RENAME TO u"], ["CREATE TABLE a (n INT)"], ["a", "u"]),
    Pair("one-name", [], [TABLE], ["CREATE VIEW t AS SELECT 1 AS n"], None),
    Pair("one-index-name", [TABLE, PARENT], ["CREATE INDEX i ON t (n)"], ["CREATE INDEX i ON p (a)"], None),
    Pair("one-table", [TABLE], ["ALTER TABLE t ADD COLUMN x INT"], ["CREATE INDEX tn ON t (n)"], None),
    Pair("unresolved-parent", [], ["CREATE TABLE c (x REFERENCES p)"], [PARENT], None),
    Pair("dropped-parent", [PARENT], ["DROP TABLE p"], ["CREATE TABLE c (x REFERENCES p)"], None),
    Pair("renamed-column", [TABLE], ["ALTER TABLE t RENAME n TO x"], ["CREATE VIEW v AS SELECT n FROM t"], None),
    Pair(
        "view-of-view",
        [TABLE, "CREATE VIEW w AS SELECT * FROM t"],
        ["ALTER TABLE t RENAME n TO x"],
        ["CREATE VIEW v AS SELECT n FROM w"],
        None,
    ),
    Pair(
        "trigger-of-renamed-column",
        [TABLE, "CREATE TABLE log (x INT)"],
        ["ALTER TABLE log RENAME x TO y"],
        ["CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log (x) VALUES (new.n); END"],
        None,
    ),
    Pair("user-version", [], ["PRAGMA user_version = 1"], ["PRAGMA user_version = 2"], None),
]


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("pair", [pytest.param(pair, id=pair.name) for pair in PAIRS])
def test_two_schema_changes_at_once(url: str, pair: Pair, is_swapped: bool) -> None:
    _execute(url, pair.setup)
    with _open(url, "SNAPSHOT") as one, _open(url, "SNAPSHOT") as other:
        for connection, statements in ((one, pair.one), (other, pair.other)):
            _refuse_replay(connection)
            for statement in statements:
                connection.execute(statement)
        first, second = (other, one) if is_swapped else (one, other)
        first.commit()
        if pair.left is None:
            with pytest.raises(Conflict):
                second.commit()
        else:
            second.commit()
            assert _schema(url) == sorted(pair.left)
    assert check_database(url) == []


def test_a_transaction_goes_on_with_the_schema_after_both_changes(url: str) -> None:
    with _open(url, "SNAPSHOT") as one, _open(url, "SNAPSHOT") as other:
        _refuse_replay(one)
        one.execute(TABLE)
        one.execute("INSERT INTO t VALUES (1, 1)")
        other.execute(PARENT)
        other.commit()
        one.commit()
        one.execute("INSERT INTO p SELECT id, n FROM t")
        one.commit()
        assert other.execute("SELECT p.a FROM t JOIN p ON p.id = t.id").fetchall() == [(1,)]


def test_changed_rows_are_still_checked(url: str) -> None:
    _execute(url, [TABLE, "INSERT INTO t VALUES (1, 1)"])
    with _open(url, "SNAPSHOT") as one, _open(url, "SNAPSHOT") as other:
        _refuse_replay(one)
        one.execute("CREATE TABLE a (n INT)")
        one.execute("UPDATE t SET n = 2")
        other.execute("CREATE TABLE b (n INT)")
        other.execute("UPDATE t SET n = 3")
        other.commit()
        with pytest.raises(Conflict, match="table t"):
            one.commit()
    assert _schema(url) == ["b", "t"]


def test_serializable_transactions_are_not_merged(url: str) -> None:
    with _open(url, "SERIALIZABLE") as one, _open(url, "SERIALIZABLE") as other:
        assert one.execute("SELECT count(*) FROM sqlite_master").fetchall() == [(0,)]
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchall() == [(0,)]
        one.execute("CREATE TABLE a (n INT)")
        other.execute("CREATE TABLE b (n INT)")
        other.commit()
        with pytest.raises(Conflict, match="schema"):
            one.commit()


# ── tables that were created after the read version ───────────────────────────────────────────────────────────────────

NEW = "CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT UNIQUE, p INT REFERENCES p (id))"


@contextmanager
def _began_before(url: str, *created: str) -> Iterator[tuple[rome.Connection, rome.Connection]]:
    """Yield a transaction that can't be replayed, and a connection that has created tables after it began."""
    _execute(url, [TABLE])
    with _open(url, "SNAPSHOT") as early, _open(url, "SNAPSHOT") as late:
        _refuse_replay(early)
        for statement in created:
            late.execute(statement)
        late.commit()
        yield early, late


def test_rows_of_a_later_table_are_committed(url: str) -> None:
    with _began_before(url, PARENT, NEW) as (early, late):
        assert early.execute("SELECT * FROM new WHERE name = 'x'").fetchall() == []
        early.execute("INSERT INTO p VALUES (1, 1)")
        early.execute("INSERT INTO new (name, p) VALUES ('x', 1)")
        early.commit()
        assert late.execute("SELECT name, p FROM new").fetchall() == [("x", 1)]
    assert check_database(url) == []


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO new (name) VALUES ('x')",
        "ALTER TABLE new ADD COLUMN x INT",
        "DROP TABLE new",
        "CREATE TRIGGER g AFTER INSERT ON new BEGIN SELECT 1; END",
    ],
)
def test_a_later_table_that_is_changed_once_more_is_a_conflict(url: str, change: str) -> None:
    with _began_before(url, PARENT, NEW) as (early, late):
        early.execute("INSERT INTO new (name) VALUES ('x')")
        late.execute(change)
        late.commit()
        with pytest.raises(Conflict):
            early.commit()
    assert check_database(url) == []


def test_a_row_of_a_later_table_that_exists_already_is_a_conflict(url: str) -> None:
    with _began_before(url, PARENT, NEW, "INSERT INTO new (name) VALUES ('x')") as (early, _):
        assert early.execute("SELECT * FROM new").fetchall() == []
        early.execute("INSERT INTO new (name) VALUES ('x')")
        with pytest.raises(Conflict):
            early.commit()


def test_a_later_table_is_seen_after_a_schema_change(url: str) -> None:
    with _began_before(url, PARENT, NEW) as (early, late):
        early.execute("CREATE TABLE own (n INT)")
        early.execute("INSERT INTO new (name) VALUES ('x')")
        early.execute("INSERT INTO own SELECT id FROM new")
        early.commit()
        assert late.execute("SELECT count(*) FROM own JOIN new ON new.id = own.n").fetchall() == [(1,)]
    assert check_database(url) == []


def test_a_later_table_stays_after_rollback_to_a_savepoint(url: str) -> None:
    with _began_before(url, PARENT) as (early, late):
        early.execute("SAVEPOINT s")
        assert early.execute("SELECT * FROM p").fetchall() == []
        early.execute("CREATE TABLE lost (n INT)")
        early.execute("ROLLBACK TO s")
        early.execute("CREATE TABLE own (n INT)")
        early.execute("INSERT INTO p VALUES (1, 1)")
        early.commit()
        assert late.execute("SELECT * FROM p").fetchall() == [(1, 1)]
    assert _schema(url) == ["own", "p", "t"]
    assert check_database(url) == []


@pytest.mark.parametrize("own", ["CREATE TABLE p (x TEXT)", "CREATE VIEW p AS SELECT 1"])
def test_a_later_table_does_not_replace_the_transactions_own(url: str, own: str) -> None:
    with _began_before(url, PARENT, NEW) as (early, _):
        early.execute(own)
        with pytest.raises(OperationalError, match="no such table"):
            early.execute("INSERT INTO new (name) VALUES ('x')")
        with pytest.raises(Conflict):
            early.commit()


def test_a_table_that_the_transaction_has_dropped_does_not_come_back(url: str) -> None:
    with _began_before(url, PARENT) as (early, _):
        early.execute("DROP TABLE t")
        with pytest.raises(OperationalError, match="no such table"):
            early.execute("SELECT * FROM t")
        early.commit()
    assert _schema(url) == ["p"]


@contextmanager
def _open(url: str, level: str) -> Iterator[rome.Connection]:
    connection = rome.connect(url, isolation_level=level)
    try:
        yield connection
    finally:
        connection.close()


def _refuse_replay(connection: rome.Connection) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        connection.execute("SELECT * FROM missing")


def _execute(url: str, statements: Sequence[str]) -> None:
    with _open(url, "SNAPSHOT") as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def _schema(url: str) -> list[str]:
    with _open(url, "SNAPSHOT") as connection:
        return sorted(name for (name,) in connection.execute("SELECT name FROM sqlite_master").fetchall())
