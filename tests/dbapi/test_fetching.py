"""Enough is fetched where a plan's keys come from rows that change, and where a temporary table hides another."""

from __future__ import annotations

import rome


def test_each_of_several_changes_finds_what_the_ones_before_did(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")
    connection.execute("CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT)")
    connection.execute("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
    connection.execute("INSERT INTO u VALUES (1, 'one'), (2, 'two'), (9, 'nine')")
    connection.commit()
    first = "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id > ? ORDER BY id LIMIT 1)"
    assert connection.executemany(first, [(0,), (0,), (0,)]).rowcount == 3
    assert connection.execute("SELECT id FROM t").fetchall() == [(4,)]
    connection.rollback()
    connection.execute("CREATE TABLE log (v TEXT)")
    connection.commit()
    change = "UPDATE t SET n = coalesce((SELECT 9 FROM u WHERE u.id = t.n AND u.v <> ?), n) WHERE id = 1"
    connection.executemany(change, [("x",), ("y",)])
    assert connection.execute("SELECT n FROM t WHERE id = 1").fetchall() == [(9,)]


def test_a_temporary_table_that_hides_another(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, k INT)")
    connection.execute("CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT)")
    connection.execute("INSERT INTO t VALUES (1, 100)")
    connection.execute("INSERT INTO u VALUES (7, 'seven')")
    connection.commit()
    connection.execute("CREATE TEMPORARY TABLE t (id INTEGER PRIMARY KEY, k INT)")
    connection.execute("INSERT INTO t VALUES (1, 7)")
    assert connection.execute("SELECT u.v FROM t JOIN u ON u.id = t.k WHERE t.id = 1").fetchall() == [("seven",)]
