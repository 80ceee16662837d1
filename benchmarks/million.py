"""Compare the same workloads on a small and on a large table, in one run.

    python -m benchmarks.million [--small 10000] [--large 1000000]

If a plan needs only a few rows, latency and the number of fetched rows must not grow with the table. Both tables are on
one Valkey server, and the measurements alternate, so that the ratio is valid on a noisy machine.
"""

from __future__ import annotations

import statistics
import time
from contextlib import closing

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

import rome
from rome.testing.servers import own_valkey_server

TURNS = 30
BATCH = 5000

# `:middle` is half the size of the table.
WORKLOADS = {
    "get by key": "SELECT * FROM t WHERE id = :middle",
    "unique column": "SELECT * FROM t WHERE uuid = 'uuid 777'",
    "ORDER BY indexed LIMIT 1": "SELECT * FROM t ORDER BY stamp DESC LIMIT 1",
    "page 2": "SELECT * FROM t WHERE stamp > 20 ORDER BY stamp LIMIT 20",
    "a page in the middle": "SELECT * FROM t WHERE stamp > :middle ORDER BY stamp LIMIT 20",
    "page 10 by OFFSET": "SELECT * FROM t ORDER BY stamp LIMIT 20 OFFSET 180",
    "a page of a filter": "SELECT * FROM t WHERE uuid LIKE '%7' ORDER BY stamp DESC LIMIT 20",
    "a page of a join": "SELECT t.* FROM t JOIN t AS o ON o.id = t.stamp WHERE o.uuid <> 'a' ORDER BY t.id LIMIT 20",
    "count of an index range": "SELECT count(*) FROM t WHERE stamp >= 100 AND stamp < 600",
}


def fill(connection: rome.Connection, size: int) -> None:
    """Create a table with rows of about 150 bytes."""
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, uuid TEXT UNIQUE, stamp INT NOT NULL, note TEXT)")
    connection.execute("CREATE INDEX t_stamp ON t (stamp)")
    connection.commit()
    for first in track(range(1, size + 1, BATCH), f"{size:,} rows"):
        numbers = range(first, min(first + BATCH, size + 1))
        rows = [(number, f"uuid {number}", number, "x" * 80) for number in numbers]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        connection.commit()


def run(connection: rome.Connection, sql: str, size: int) -> tuple[float, int]:
    """Run a statement; return microseconds and the number of rows that the store returned."""
    parameters = {"middle": size // 2}
    before = connection.stats.rows
    began = time.perf_counter()
    connection.execute(sql, parameters).fetchall()
    took = time.perf_counter() - began
    connection.rollback()
    return took * 1e6, connection.stats.rows - before


@click.command()
@click.option("--small", default=10_000, help="Rows of the small table.")
@click.option("--large", default=1_000_000, help="Rows of the large table.")
def main(small: int, large: int) -> None:
    """Compare a small table with a large one."""
    table = Table("workload", f"{small:,} rows, µs", f"{large:,} rows, µs", "ratio", "rows fetched")
    with own_valkey_server() as server:
        one, other = rome.connect(server.url("small")), rome.connect(server.url("large"))
        with closing(one), closing(other):
            fill(one, small)
            fill(other, large)
            for name, sql in WORKLOADS.items():
                times: list[tuple[float, float]] = []
                for _ in range(TURNS):
                    (first, rows), (second, more) = run(one, sql, small), run(other, sql, large)
                    times.append((first, second))
                low, high = (statistics.median(column) for column in zip(*times, strict=True))
                table.add_row(name, f"{low:,.0f}", f"{high:,.0f}", f"{high / low:.2f}", f"{rows} / {more}")
    Console().print(table)


if __name__ == "__main__":
    main()
