"""Bad input: an error of the right class that names the thing; the connection stays usable and nothing is written."""

from __future__ import annotations

import decimal
import itertools
import time

import pytest

import rome
from rome import dbapi
from rome.storage.memory import MemoryStore
from rome.storage.registry import open_store
from rome.storage.store import CATALOG, Batch, Write, rows_space
from rome.url import parse_url

NUMBER = itertools.count()


@pytest.fixture
def url() -> str:
    return f"rome+memory:///errors{next(NUMBER)}"


@pytest.fixture
def connection(url: str) -> rome.Connection:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    connection.execute("INSERT INTO t VALUES (1, 'one')")
    connection.commit()
    return connection


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("sqlite:///x", "not a ROME URL"),
        ("rome+nowhere:///x", "nowhere"),
        ("rome+memory:///x?colour=red", "colour"),
        ("rome+memory:///x?isolation_level=HIGH", "HIGH"),
        ("rome+memory:///x?foreign_keys=perhaps", "foreign_keys"),
        ("rome+redis://localhost:port/x", "port"),
        ("rome+memory:///x?foreign_keys=on&foreign_keys=off", "twice"),
    ],
)
def test_urls(wrong: str, message: str) -> None:
    with pytest.raises(dbapi.InterfaceError, match=message):
        rome.connect(wrong)


def test_an_unreachable_server() -> None:
    with pytest.raises(dbapi.OperationalError, match="localhost:1"):
        rome.connect("rome+redis://:secret@localhost:1/x")


@pytest.mark.parametrize(
    ("sql", "parameters", "error", "message"),
    [
        ("SELEC 1", (), dbapi.OperationalError, 'near "SELEC": syntax error'),
        ("SELECT * FROM missing", (), dbapi.OperationalError, "no such table: missing"),
        ("SELECT b FROM t", (), dbapi.OperationalError, "no such column: b"),
        ("SELECT ?", (), dbapi.ProgrammingError, "bindings"),
        ("SELECT ?", (1, 2), dbapi.ProgrammingError, "bindings"),
        ("SELECT ?", (decimal.Decimal(1),), dbapi.ProgrammingError, "type 'Decimal' is not supported"),
        ("INSERT INTO t (a) VALUES (?)", ({},), dbapi.ProgrammingError, "type 'dict' is not supported"),
        ("INSERT INTO t (a) VALUES (?)", (2**63,), dbapi.DataError, "too large"),
        ("INSERT INTO t (a) VALUES (?)", ("\ud800",), dbapi.DataError, "UTF-8"),
        ("SELECT 1; SELECT 2", (), dbapi.ProgrammingError, "one statement"),
        ("ATTACH 'x' AS y", (), dbapi.NotSupportedError, "ATTACH"),
        ("CREATE VIRTUAL TABLE v USING fts5(a)", (), dbapi.NotSupportedError, "virtual tables"),
        ("ROLLBACK TO nothing", (), dbapi.OperationalError, "no such savepoint: nothing"),
        ("INSERT INTO t VALUES (1, 'again')", (), dbapi.IntegrityError, "UNIQUE constraint failed: t.id"),
        ("CREATE TABLE t (a)", (), dbapi.OperationalError, "table t already exists"),
        ("DROP TABLE missing", (), dbapi.OperationalError, "no such table: missing"),
    ],
)
def test_statements(
    connection: rome.Connection,
    url: str,
    sql: str,
    parameters: tuple[object, ...],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        connection.execute(sql, parameters)
    assert connection.execute("SELECT * FROM t").fetchall() == [(1, "one")]
    connection.commit()
    assert rome.connect(url).execute("SELECT * FROM t").fetchall() == [(1, "one")]


def test_a_row_that_does_not_decode_is_named(connection: rome.Connection, url: str) -> None:
    store = open_store(parse_url(url))
    store.commit(
        Batch(b"x", writes=[Write(rows_space(connection.database.newest.tables["t"].id), b"\x15\x01\x00", b"?")])
    )
    with pytest.raises(dbapi.InternalError, match=r"row \(1,\) of table t does not decode"):
        connection.execute("SELECT * FROM t")
    connection.rollback()
    assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_catalog_that_does_not_decode_is_said_so(connection: rome.Connection, url: str) -> None:
    open_store(parse_url(url)).commit(Batch(b"x", writes=[Write(CATALOG, b"bad", b"\xc1")]))
    with pytest.raises(dbapi.InternalError, match="catalog"):
        connection.execute("SELECT * FROM t")


def test_closed_things(connection: rome.Connection) -> None:
    cursor = connection.cursor()
    cursor.close()
    with pytest.raises(dbapi.ProgrammingError, match="closed cursor"):
        cursor.execute("SELECT 1")
    connection.close()
    connection.close()
    with pytest.raises(dbapi.ProgrammingError, match="closed database"):
        connection.execute("SELECT 1")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t LIMIT 1",
        "DELETE FROM t WHERE a = 'one' ORDER BY id LIMIT 1",
        "UPDATE t SET a = 'x' ORDER BY id LIMIT 1",
        "WITH q AS (SELECT 1) UPDATE t SET a = 'x' WHERE id IN (SELECT * FROM q) LIMIT 1 OFFSET 2",
    ],
)
def test_a_limited_write_is_refused_with_a_way_out(connection: rome.Connection, sql: str) -> None:
    with pytest.raises(dbapi.NotSupportedError, match=r"WHERE rowid IN \(SELECT rowid FROM t ORDER BY … LIMIT …\)"):
        connection.execute(sql)
    connection.execute("UPDATE t SET a = 'x' WHERE rowid IN (SELECT rowid FROM t ORDER BY id LIMIT 1)")
    assert connection.execute("SELECT a FROM t").fetchall() == [("x",)]


@pytest.mark.parametrize("sql", ["DELETE FROM order", "DELETE FROM t WHERE (ORDER BY 1)", "UPDATE limit SET a = 1"])
def test_other_syntax_errors_keep_sqlites_words(connection: rome.Connection, sql: str) -> None:
    with pytest.raises(dbapi.OperationalError, match=r'near "(?i:order|limit)": syntax error'):
        connection.execute(sql)


@pytest.mark.parametrize(
    ("before", "opening", "middle", "closing"),
    [
        ("INSERT INTO t (a) VALUES (", "(", "1", ")"),
        ("UPDATE t SET a = ", "(", "1", ")"),
        ("SELECT ", "(", "1", ")"),
        ("SELECT * FROM t WHERE ", "NOT ", "id = 1", ""),
        ("SELECT ", "CASE WHEN id = 1 THEN ", "1", " END"),
        ("SELECT * FROM ", "(SELECT * FROM ", "t", ")"),
        ("CREATE INDEX i ON t (", "(", "a", ")"),
    ],
)
def test_deep_nesting_is_an_error_in_linear_time(
    connection: rome.Connection, before: str, opening: str, middle: str, closing: str
) -> None:
    depth = 30_000
    end = ")" if before.endswith("(") else ""
    began = time.process_time()
    with pytest.raises(dbapi.Error):
        connection.execute(before + opening * depth + middle + closing * depth + end)
    assert time.process_time() - began < 5
    assert connection.execute("SELECT a FROM t").fetchall() == [("one",)]


def test_a_value_that_the_store_does_not_take_is_refused_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryStore, "longest_value", 10_000)  # as Redis's 512 MiB
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    for sql in ("INSERT INTO t (a) VALUES (?)", "INSERT INTO t (a) SELECT ? WHERE true"):
        with pytest.raises(dbapi.DataError, match="too big"):
            connection.execute(sql, ("x" * 10_001,))
        connection.execute(sql, ("x" * 9_000,))
    with pytest.raises(dbapi.DataError, match="too big"):
        connection.execute("UPDATE t SET a = a || a")
    connection.commit()
    assert connection.execute("SELECT length(a) FROM t").fetchall() == [(9_000,), (9_000,)]
