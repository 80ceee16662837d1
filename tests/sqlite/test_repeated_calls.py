"""Functions with another result at each call, in statements that run again when rows were fetched for their keys."""

from __future__ import annotations

from itertools import count

import apsw
import pytest

import rome
from rome import errors

RANDOM = [
    "INSERT INTO t (k) VALUES (random())",
    "INSERT INTO t (k) SELECT random() FROM (VALUES (1), (2), (3))",
    "INSERT INTO t (k) VALUES (hex(randomblob(16)))",
    "INSERT INTO t (n) VALUES (1), (2)",
    "UPDATE t SET k = hex(randomblob(8))",
    "INSERT INTO other (k) VALUES (7)",
]


@pytest.fixture
def connection(request):
    connection = rome.connect(f"rome+memory:///{request.node.name}")
    default = "(lower(hex(randomblob(16))))"
    connection.execute(f"CREATE TABLE t (k PRIMARY KEY DEFAULT {default}, u UNIQUE DEFAULT (random()), n)")
    connection.execute("CREATE TABLE other (k)")
    connection.execute("CREATE TRIGGER tr AFTER INSERT ON other BEGIN INSERT INTO t (k) VALUES (random()); END")
    connection.execute("INSERT INTO t (n) VALUES (0)")
    connection.commit()
    yield connection
    connection.close()


@pytest.mark.parametrize("sql", RANDOM)
def test_random_keys(connection, sql):
    connection.execute(sql)
    connection.commit()
    rows = connection.execute("SELECT k, u FROM t").fetchall()
    assert len({k for k, _ in rows}) == len({u for _, u in rows}) == len(rows)


def test_a_row_is_returned_as_it_is_stored(connection):
    (returned,) = connection.execute("INSERT INTO t (n) VALUES (5) RETURNING k, u").fetchall()
    connection.commit()
    assert connection.execute("SELECT k, u FROM t WHERE n = 5").fetchall() == [returned]


def test_a_function_of_the_application_is_called_once_for_each_row(connection):
    numbers = count(100)
    connection.create_function("next_number", 0, lambda: next(numbers))
    connection.execute("INSERT INTO t (k, u) VALUES (next_number(), next_number()), (next_number(), next_number())")
    connection.commit()
    assert connection.execute("SELECT k, u FROM t WHERE u BETWEEN 1 AND 1000").fetchall() == [(100, 101), (102, 103)]
    assert connection.execute("SELECT next_number()").fetchall() == [(104,)]


def test_a_function_that_is_not_as_deterministic_as_it_was_declared(connection):
    """As a time is: it changes from run to run, and nothing can hold it."""
    numbers = count(100)
    connection.create_function("now", 0, lambda: next(numbers), deterministic=True)
    connection.execute("INSERT INTO t (k) VALUES (now())")
    connection.commit()
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(2,)]


def test_results_are_not_kept_from_one_statement_to_the_next(connection):
    rows = [connection.execute("INSERT INTO t (n) VALUES (1) RETURNING k").fetchall() for _ in range(5)]
    assert len({str(row) for row in rows}) == 5
    assert len({connection.execute("SELECT random()").fetchall()[0] for _ in range(5)}) == 5


@pytest.mark.parametrize("size", ["3", "'4'", "2.9", "0", "-5", "NULL", "x'35'"])
def test_the_size_of_a_random_blob(connection, size):
    sql = f"SELECT length(randomblob({size})), typeof(randomblob({size})), typeof(random()), abs(random()) >= 0"
    assert connection.execute(sql).fetchall() == apsw.Connection(":memory:").execute(sql).fetchall()


def test_a_random_blob_that_is_too_large(connection):
    with pytest.raises(errors.DataError, match="too big"):
        connection.execute("SELECT randomblob(99999999999)")
