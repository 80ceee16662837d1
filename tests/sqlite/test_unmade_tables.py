"""A connection runs plans of another one, although its own workspace has not made the tables yet."""

from __future__ import annotations

import rome


def test_a_table_that_was_read_by_a_plan_of_another_connection(url: str) -> None:
    first, second = rome.connect(url), rome.connect(url)
    first.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
    first.execute("CREATE TABLE b (id INTEGER PRIMARY KEY)")
    first.execute("INSERT INTO a VALUES (1)")
    first.commit()
    for connection in (first, second):
        assert connection.execute("SELECT * FROM a WHERE id = 1").fetchall() == [(1,)]
        connection.execute("INSERT INTO b DEFAULT VALUES")
        connection.commit()
    assert first.execute("SELECT count(*) FROM b").fetchall() == [(2,)]
    first.close()
    second.close()
