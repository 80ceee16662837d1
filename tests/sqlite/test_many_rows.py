"""Many rows are loaded into SQLite at once, whatever their table is like."""

from __future__ import annotations

import apsw
import pytest

import rome

TABLES = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n, s TEXT)",
    "CREATE TABLE t (n INTEGER, s TEXT)",
    "CREATE TABLE t (s TEXT, n INTEGER, twice AS (n * 2) STORED, PRIMARY KEY (s, n)) WITHOUT ROWID",
    "CREATE TABLE t (rowid TEXT, n INTEGER, s TEXT, twice AS (n * 2))",
]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("count", [63, 64, 65, 160])
def test_a_window_over_many_rows(table: str, count: int) -> None:
    ours, theirs = rome.connect("rome+memory:///many_rows"), apsw.Connection(":memory:")
    ours.execute("DROP TABLE IF EXISTS t")
    for engine in (ours, theirs):
        engine.execute(table)
        engine.executemany("INSERT INTO t (n, s) VALUES (?, ?)", [(at % 7, f"s{at}") for at in range(count)])
    ours.commit()
    sql = "SELECT t.*, sum(n) OVER (ORDER BY s) FROM t ORDER BY s"
    assert ours.execute(sql).fetchall() == theirs.execute(sql).fetchall()
    ours.execute("DELETE FROM t WHERE n = 3")
    theirs.execute("DELETE FROM t WHERE n = 3")
    assert ours.execute("SELECT changes(), total_changes() - ?", (count,)).fetchall() == [
        theirs.execute("SELECT changes(), total_changes() - ?", (count,)).fetchone()
    ]
    ours.close()
