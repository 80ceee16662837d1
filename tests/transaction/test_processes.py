"""Several processes on one Redis see each other's commits; nothing is lost or applied twice."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

import rome
from rome.errors import Conflict, IntegrityError
from rome.testing import check_database
from rome.testing.child_processes import exit_with_parent
from rome.testing.servers import RedisServer

PROCESSES = 8
ROUNDS = 12

_context = multiprocessing.get_context("spawn")


def _add_column(url: str) -> None:
    with rome.connect(url) as connection:
        connection.execute("ALTER TABLE t ADD COLUMN b DEFAULT 'other process'")


def _work(url: str, number: int) -> tuple[int, int, int]:
    """Increment one counter, insert rows, compete for names. Send back how many commits were acknowledged."""
    connection = rome.connect(url)
    increments = inserts = names = 0
    for at in range(ROUNDS):
        while True:
            try:
                connection.execute("UPDATE counter SET n = n + 1 WHERE id = 1")
                connection.commit()
                break
            except Conflict:
                connection.rollback()
        increments += 1
        connection.execute("INSERT INTO rows (worker, at) VALUES (?, ?)", (number, at))
        connection.commit()
        inserts += 1
        while True:
            try:
                connection.execute("INSERT INTO names (name) VALUES (?)", (f"name{at}",))
                connection.commit()
                names += 1
                break
            except IntegrityError:
                connection.rollback()
                break
            except Conflict:
                connection.rollback()
    connection.close()
    return increments, inserts, names


def test_ddl_of_one_process_is_seen_by_the_other(redis_server: RedisServer) -> None:
    url = redis_server.url("ddl")
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    connection.execute("INSERT INTO t (a) VALUES ('x')")
    connection.commit()
    with ProcessPoolExecutor(1, _context, exit_with_parent) as pool:
        pool.submit(_add_column, url).result()
    assert connection.execute("SELECT * FROM t").fetchall() == [(1, "x", "other process")]
    connection.close()
    rome.drop_database(url)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_is_doubled(redis_server: RedisServer) -> None:
    url = redis_server.url("processes")
    connection = rome.connect(url)
    connection.execute("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INT)")
    connection.execute("INSERT INTO counter VALUES (1, 0)")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, worker INT, at INT)")
    connection.execute("CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    connection.commit()
    with ProcessPoolExecutor(PROCESSES, _context, exit_with_parent) as pool:
        results = [future.result() for future in [pool.submit(_work, url, number) for number in range(PROCESSES)]]
    assert connection.execute("SELECT n FROM counter").fetchall() == [(sum(done[0] for done in results),)]
    assert connection.execute(
        "SELECT count(*), count(DISTINCT id), count(DISTINCT worker * 1000 + at) FROM rows"
    ).fetchall() == [(PROCESSES * ROUNDS,) * 3]
    assert connection.execute("SELECT count(*), count(DISTINCT name) FROM names").fetchall() == [(ROUNDS, ROUNDS)]
    assert sum(done[2] for done in results) == ROUNDS
    assert check_database(url) == []
    connection.close()
    rome.drop_database(url)
