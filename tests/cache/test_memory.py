"""The memory of a cache stays within its bound, as Python counts it: keys, values, and the rows that are decoded."""

from __future__ import annotations

import gc
import tracemalloc
import uuid
from contextlib import closing

import rome
from tests.cache.test_promises import wait_until

_ROWS = 6000
_BOUND = 512 * 1024


def read_rows(connection: rome.Connection, first: int) -> None:
    connection.execute("SELECT * FROM t WHERE id BETWEEN ? AND ?", (first, first + 99)).fetchall()
    connection.execute("SELECT * FROM t WHERE id = ?", (first + 7,)).fetchall()
    connection.commit()
    connection.execute("SELECT * FROM t WHERE id = ?", (first + 7,)).fetchall()
    connection.commit()


def test_the_bound_is_one_of_the_memory() -> None:
    url = f"rome+memory:///{uuid.uuid4().hex}"
    with closing(rome.connect(url)) as plain, closing(rome.connect(f"{url}?staleness=3600&cache={_BOUND}")) as cached:
        plain.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INT, note TEXT)")
        rows = [(each, f"name {each}", each, "x" * 60) for each in range(_ROWS)]
        plain.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        plain.commit()
        for _ in range(3):
            read_rows(cached, 1)
        reads = cached.database.cached
        assert reads is not None
        wait_until(lambda: reads.age is not None)
        gc.collect()
        tracemalloc.start()
        try:
            most = 0
            for first in range(0, _ROWS, 100):
                read_rows(cached, first)
                assert reads.size <= _BOUND
                most = max(most, tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert reads.stats.hits > 0
        assert _BOUND / 4 < most < 1.5 * _BOUND, f"{most:,} bytes"
    rome.drop_database(url)
