"""The order of joins: no product of tables that a third one links, and no loops where SQLite's indexes are faster."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

import rome
from rome.fallback import UnsupportedValue
from tests.compiled.harness import Database, same_rows

DDL = """
CREATE TABLE a (id INTEGER PRIMARY KEY, n);
CREATE TABLE b (id INTEGER PRIMARY KEY, n);
CREATE TABLE l (a INTEGER, b INTEGER);
CREATE TABLE m (b INTEGER, n INTEGER);
"""
ROWS = 300
DATA = Database(
    DDL,
    {
        "a": [(number, number % 7) for number in range(ROWS)],
        "b": [(number, number % 7) for number in range(ROWS)],
        "l": [(number, ROWS - 1 - number) for number in range(ROWS)],
        "m": [(number % 50, number) for number in range(ROWS)],
    },
)
LINKS = ["l.a = a.id", "l.b = b.id", "m.b = b.id"]
SLOW = [
    "SELECT count(*) FROM a AS x JOIN a AS y ON y.id > x.id AND y.id < x.id + 3",
    "SELECT count(*) FROM a AS x JOIN a AS y ON y.id = x.id OR y.id = x.n",
    "SELECT count(*) FROM a AS x LEFT JOIN a AS y ON y.id > x.id + 295",
    "SELECT count(*) FROM a AS x WHERE EXISTS (SELECT 1 FROM a AS y WHERE y.id > x.id + 3)",
    "SELECT count(*) FROM a AS x WHERE (SELECT count(*) FROM a AS y WHERE y.id < x.id) = 3",
    "SELECT count(*) FROM l, (SELECT x.id FROM a AS x, b AS y WHERE y.id > x.id + 290) AS d WHERE d.id = l.a",
]


class Counted(list[Any]):
    """Rows that count how many of them were read."""

    read = 0

    def __iter__(self) -> Iterator[Any]:
        for row in super().__iter__():
            self.read += 1
            yield row


@pytest.mark.parametrize("names", list(itertools.permutations("ablm")), ids="".join)
def test_links_are_joined_by_their_keys_in_any_order(names: tuple[str, ...]) -> None:
    """The only rows that are read more than once are those of a product: there is none."""
    sql = f"SELECT a.id, b.id, m.n FROM {', '.join(names)} WHERE {' AND '.join(LINKS)}"
    compiled, tables = DATA.compile(sql)
    rows = [Counted(each) for each in DATA.fetched(tables)]
    found = compiled.run(rows, ())  # type: ignore[union-attr]
    assert same_rows(found, DATA.expected(sql), ordered=False)
    assert [each.read for each in rows] == [ROWS] * 4


def test_a_subquery_begins_with_the_table_that_the_outer_row_has_a_key_of() -> None:
    sql = "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b, l WHERE l.a = a.id AND l.b = b.id AND b.n = 3)"
    compiled, tables = DATA.compile(sql)
    rows = [Counted(each) for each in DATA.fetched(tables)]
    found = compiled.run(rows, ())  # type: ignore[union-attr]
    assert same_rows(found, DATA.expected(sql), ordered=False)
    assert [each.read for each in rows] == [ROWS] * 3


@pytest.mark.parametrize("seed", range(60))
def test_any_chain_of_joins_has_the_rows_of_sqlite(seed: int) -> None:
    chosen = random.Random(seed)
    data = Database(
        "CREATE TABLE s (id INTEGER PRIMARY KEY, n INTEGER, m INTEGER)",
        {"s": [(number, *chosen.choices([None, 0, 1, 2, 3], k=2)) for number in range(4)]},
    )
    source, where, names = "s AS t0", ["1"], ["t0"]
    for number in range(1, chosen.randint(3, 5)):
        name = f"t{number}"
        link = f"{name}.{chosen.choice(['id', 'n'])} = {chosen.choice(names)}.{chosen.choice(['id', 'n', 'm'])}"
        if chosen.random() < 0.4:
            source += f" LEFT JOIN s AS {name} ON {link}"
        else:
            source += f"{chosen.choice([',', ' JOIN', ' CROSS JOIN'])} s AS {name}"
        names.append(name)
    for _ in range(chosen.randint(1, len(names))):
        one, other = chosen.sample(names, 2)
        operator = chosen.choice(["=", "=", "=", "<", "IS"])
        where.append(f"{one}.{chosen.choice(['id', 'n'])} {operator} {other}.{chosen.choice(['id', 'm'])}")
    columns = ", ".join(f"{name}.id" for name in names)
    data.check(f"SELECT {columns} FROM {source} WHERE {' AND '.join(where)}")


@pytest.mark.parametrize("sql", SLOW)
def test_loops_over_many_combinations_are_left_to_sqlite(sql: str) -> None:
    compiled, tables = DATA.compile(sql)
    with pytest.raises(UnsupportedValue):
        compiled.run(DATA.fetched(tables), ())  # type: ignore[union-attr]
    few = [each[:20] for each in DATA.fetched(tables)]
    assert compiled.run(few, ())  # type: ignore[union-attr]
    connection = rome.connect(f"rome+memory:///joins_{SLOW.index(sql)}")
    for statement in filter(str.strip, DDL.split(";")):
        connection.execute(statement)
    for name in "abl":
        rows = [tuple(row) for row in DATA.sqlite.execute(f"SELECT * FROM {name}")]
        connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
    connection.commit()
    assert connection.execute(sql).fetchall() == DATA.expected(sql)


def test_many_members_of_a_compound_are_left_to_sqlite() -> None:
    members = [f"SELECT id FROM a WHERE id = {number}" for number in range(21)]
    compiled, _ = DATA.compile(" UNION ALL ".join(members))
    assert compiled.reason == "a compound SELECT of many members"  # type: ignore[union-attr]
    DATA.check(" UNION ALL ".join(members[:20]))
