"""Joins of two to six table references with conditions of all kinds: the rows are SQLite's, and keys are looked up."""

from __future__ import annotations

import random
from typing import Any

import apsw
import pytest

import rome

SCHEMA = """
CREATE TABLE a (id INTEGER PRIMARY KEY, n, s TEXT);
CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT, k);
CREATE INDEX b_t ON b (t);
CREATE INDEX b_k ON b (k);
CREATE TABLE l (a INTEGER, b INTEGER);
CREATE INDEX l_a ON l (a);
CREATE TABLE m (b TEXT COLLATE NOCASE PRIMARY KEY, n REAL)
"""
COLUMNS = {"a": "id n s", "b": "id t k", "l": "a b", "m": "b n"}
VALUES: list[Any] = [0, 1, 2, 3, 4, "1", "2", "a", "A", 1.5, 2.0, None]


def make_rows(chooser: random.Random) -> dict[str, list[tuple[Any, ...]]]:
    def some(count: int) -> list[Any]:
        return chooser.choices(VALUES, k=count)

    return {
        "a": [(number, *some(2)) for number in range(5)],
        "b": [(number, *some(2)) for number in range(5)],
        "l": [tuple(chooser.choices([0, 1, 2, 3, None], k=2)) for _ in range(6)],
        "m": [(key, chooser.choice([0, 1, 2.5, None])) for key in ("1", "2", "a", "b")],
    }


def condition(chooser: random.Random, names: list[str], number: int) -> str:
    """Return a condition on table reference `number` and the ones before it."""

    def column(of: int) -> str:
        return f"r{of}.{chooser.choice(COLUMNS[names[of]].split())}"

    own, other = column(number), column(chooser.randrange(max(number, 1)))
    more = column(chooser.randrange(max(number, 1)))
    forms = [f"{own} = {other}"] * 4 + [
        f"{own} IN ({other}, {more})",
        f"{own} IN ({other})",
        f"{own} = {other} OR {own} = {more}",
        f"{own} = {other} AND {column(number)} = {more}",
        f"{own} > {other} AND {own} < {other} + 2",
        f"{own} BETWEEN {other} AND {more}",
        f"({own} = {other} OR {other} IS NULL)",
        f"{own} IS {other}",
        f"{own} NOT IN ({other}, {more})",
    ]
    return chooser.choice(forms)


def make_join(chooser: random.Random) -> str:
    names = chooser.choices(list(COLUMNS), k=chooser.randint(2, 5))
    parts, where = [], []
    for number, name in enumerate(names):
        kind = chooser.choice([",", "JOIN", "LEFT JOIN"]) if number else ""
        on = condition(chooser, names, number) if number else ""
        if kind == ",":
            where.append(f"({on})")
        parts.append(f"{kind} {name} AS r{number}" + (f" ON {on}" if kind.endswith("JOIN") else ""))
    if chooser.random() < 0.7:
        where.append(f"r0.{COLUMNS[names[0]].split()[0]} = {chooser.choice([1, 2, 3])}")
    shown = ", ".join(f"r{number}.{COLUMNS[name].split()[0]}" for number, name in enumerate(names))
    return f"SELECT {shown} FROM {' '.join(parts)}" + (f" WHERE {' AND '.join(where)}" if where else "")


@pytest.mark.parametrize("seed", range(10))
def test_joins_have_the_rows_of_sqlite(seed: int) -> None:
    chooser = random.Random(seed)
    ours, theirs = rome.connect("rome+memory:///joins"), apsw.Connection(":memory:")
    rows = make_rows(chooser)
    for engine in (ours, theirs):
        for name in COLUMNS:
            engine.execute(f"DROP TABLE IF EXISTS {name}")
        for statement in SCHEMA.split(";"):
            engine.execute(statement)
        for name, values in rows.items():
            engine.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values[0]))})", values)
    ours.commit()
    for _ in range(12):
        sql = make_join(chooser)
        expected = sorted(map(repr, theirs.execute(sql)))
        assert sorted(map(repr, ours.execute(sql))) == expected, sql
        ours.rollback()


@pytest.mark.parametrize("condition", ["y.id = x.id OR y.id = x.n", "y.id IN (x.id, x.n)", "y.id IN (x.n)"])
def test_a_column_in_columns_of_another_row_is_looked_up(condition: str) -> None:
    connection = rome.connect("rome+memory:///joins_by_keys")
    connection.execute("DROP TABLE IF EXISTS a")
    connection.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, n)")
    connection.executemany("INSERT INTO a VALUES (?, ?)", [(number, number * 7 % 500) for number in range(500)])
    connection.commit()
    stats = connection.database.store.stats
    before = stats.snapshot()
    found = connection.execute(f"SELECT y.id FROM a AS x JOIN a AS y ON {condition} WHERE x.id = 5").fetchall()
    assert (35,) in found
    _, _, rows, _ = (now - then for now, then in zip(stats.snapshot(), before, strict=True))
    assert rows <= 3
