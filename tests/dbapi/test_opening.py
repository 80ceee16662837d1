"""The round trips of opening a connection, with a pool and without."""

import pytest

import rome
from rome.database.registry import open_database, release_database
from rome.errors import OperationalError, StoreUnavailable
from rome.testing.servers import own_valkey_server
from rome.url import parse_url


@pytest.fixture
def rounds(url):
    """Return how many round trips there were since the last call."""
    database = open_database(parse_url(url))
    release_database(database)
    last = 0

    def since() -> int:
        nonlocal last
        now = database.store.stats.rounds
        last, before = now, last
        return now - before

    return since


def test_further_connections_cost_nothing(url, rounds):
    with rome.connect(url) as one:
        one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    rounds()
    others = [rome.connect(url) for _ in range(3)]
    assert rounds() == 0
    assert others[0].execute("SELECT a FROM t WHERE id = 1").fetchall() == []
    assert rounds() == 1


def test_without_a_pool_the_schema_and_the_plans_are_still_known(url, rounds):
    def once(sql: str) -> list[tuple[int]]:
        connection = rome.connect(url)
        rows = connection.execute(sql).fetchall()
        connection.commit()
        connection.close()
        return rows

    once("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    once("SELECT a FROM t WHERE id = 1")
    rounds()
    assert once("SELECT a FROM t WHERE id = 1") == []
    assert rounds() == 2  # one to reach the server, one for the row
    once("INSERT INTO t (a) VALUES (1)")
    rounds()
    once("INSERT INTO t (a) VALUES (2)")
    assert rounds() == 3  # ids are left in the block of the first row


@pytest.mark.server
def test_an_unreachable_server_is_an_error_of_the_first_connection():
    with own_valkey_server() as server:
        url = server.url("app")
        rome.connect(url).close()
    with pytest.raises(StoreUnavailable, match="can't connect"):
        rome.connect(url)


def test_a_database_that_was_dropped_by_another_process_is_a_new_one(url):
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    database = open_database(parse_url(url))
    database.store.clear()
    release_database(database)
    connection = rome.connect(url)
    with pytest.raises(OperationalError, match="no such table: t"):
        connection.execute("SELECT * FROM t")
    connection.close()


def test_isolation_level_none_is_autocommit_as_in_the_sqlite3_module():
    connection = rome.connect("rome+memory:///opening_none")
    connection.isolation_level = None
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    assert not connection.in_transaction
    connection.execute("BEGIN")
    connection.execute("INSERT INTO t VALUES (1)")
    assert connection.in_transaction
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT * FROM t").fetchall() == []
    connection.close()
