"""Connections that are dropped without being closed."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import closing

import pytest

import rome
from rome.database import registry

WORK = [
    "SELECT * FROM t WHERE id = 1",
    "SELECT n, row_number() OVER () FROM t",
    "INSERT INTO t (n) SELECT n FROM t",
    "UPDATE t SET n = n + 1",
    "SELECT changes(), total_changes()",
    "SELECT * FROM t WHERE id = 1 FOR UPDATE",
]


@pytest.fixture
def url() -> Iterator[str]:
    url = "rome+memory:///dropped"
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")
        connection.execute("INSERT INTO t VALUES (1, 1)")
        connection.commit()
    yield url
    rome.drop_database(url)


@pytest.mark.parametrize("statement", WORK)
def test_a_dropped_connection_is_collected(url: str, statement: str) -> None:
    connection = rome.connect(url)
    connection.execute(statement).fetchall()
    control, workspace = weakref.ref(connection._control), weakref.ref(connection._control.workspace)
    del connection
    gc.collect()
    assert control() is None
    assert workspace() is None


def test_the_database_of_dropped_connections_is_released(url: str) -> None:
    for _ in range(100):
        rome.connect(url).execute("SELECT * FROM t WHERE id = 1").fetchall()
    gc.collect()
    with closing(rome.connect(url)) as connection:
        assert connection.database.users == 1
        database = connection.database
    assert database.users == 0
    assert database not in registry._databases.values()


@pytest.mark.slow
def test_row_locks_of_a_dropped_connection_are_no_longer_renewed(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("SELECT * FROM t WHERE id = 1 FOR UPDATE").fetchall()
    transaction = connection._control.transaction
    assert transaction is not None
    assert transaction.row_locks is not None
    hold = weakref.ref(transaction.row_locks._hold)
    del connection, transaction
    gc.collect()
    assert hold() is None
