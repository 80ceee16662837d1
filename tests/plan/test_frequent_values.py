"""Values that many rows have: a statement takes the path that is best for the values of each execution."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

import rome

_ROWS = 3000
SQL = "SELECT id FROM image WHERE state = ? AND owner = ? ORDER BY id"
ROUNDS = re.compile(r"rows fetched: ([\d,]+)")


@pytest.fixture
def connection() -> Iterator[rome.Connection]:
    url = f"rome+memory:///{uuid.uuid4().hex}"
    connection = rome.connect(url)
    connection.execute("CREATE TABLE image (id INTEGER PRIMARY KEY, state TEXT, owner TEXT)")
    connection.execute("CREATE INDEX image_state ON image (state)")
    connection.execute("CREATE INDEX image_owner ON image (owner)")
    rows = [(each, "shared" if each % 100 else "public", "one" if each % 3 else f"o{each}") for each in range(_ROWS)]
    connection.executemany("INSERT INTO image VALUES (?, ?, ?)", rows)
    connection.commit()
    yield connection
    connection.close()
    rome.drop_database(url)


def rows_fetched(connection: rome.Connection, *parameters: str) -> int:
    plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN ANALYZE {SQL}", parameters).fetchall())
    connection.rollback()
    found = ROUNDS.search(plan)
    assert found is not None, plan
    return int(found[1].replace(",", ""))


def expected(state: str, owner: str) -> list[tuple[int]]:
    return [
        (each,)
        for each in range(_ROWS)
        if (state == "shared") == bool(each % 100) and owner == ("one" if each % 3 else f"o{each}")
    ]


def test_each_execution_reads_few_rows_whichever_of_its_values_is_frequent(connection: rome.Connection) -> None:
    for state, owner in [
        ("shared", "o3"),
        ("public", "one"),
        ("shared", "o6"),
        ("public", "one"),
        ("shared", "one"),
    ] * 3:
        assert connection.execute(SQL, (state, owner)).fetchall() == expected(state, owner)
        connection.commit()
    assert rows_fetched(connection, "public", "one") == 30
    assert rows_fetched(connection, "shared", "o9") == 1
    assert rows_fetched(connection, "public", "one") == 30


def test_plans_for_both_kinds_of_values_are_kept(connection: rome.Connection) -> None:
    def run(state: str, owner: str) -> None:
        connection.execute(SQL, (state, owner)).fetchall()
        connection.commit()

    for _ in range(3):
        run("shared", "o3")
        run("public", "one")
    before = connection.database.plans.misses
    for number in range(3, 30, 3):
        run("shared", f"o{number}")
        run("public", "one")
    assert connection.database.plans.misses == before


def test_a_value_that_is_not_frequent_any_more(connection: rome.Connection) -> None:
    for _ in range(3):
        assert len(connection.execute(SQL, ("shared", "one")).fetchall()) > 1000
        connection.commit()
    connection.execute("DELETE FROM image WHERE state = 'shared' AND id > 200")
    connection.commit()
    for _ in range(3):
        assert len(connection.execute(SQL, ("shared", "one")).fetchall()) < 200
        connection.commit()
