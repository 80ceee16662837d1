"""UNION ALL of members that differ only in values: SQLite's rows and errors, and one plan for all members."""

from __future__ import annotations

import random
from typing import Any

import apsw
import pytest

import rome
from rome.errors import ProgrammingError

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY, n, name TEXT COLLATE NOCASE);
CREATE INDEX t_name ON t (name);
CREATE TABLE u (id INTEGER PRIMARY KEY, t INTEGER);
INSERT INTO t VALUES (0, 1, 'a'), (1, 2, 'A'), (2, NULL, 'b'), (3, '1', NULL), (4, 2.5, 'c'), (5, 1, 'x');
INSERT INTO u VALUES (1, 1), (2, 1), (3, 4), (4, NULL)
"""

MEMBERS = [
    "SELECT id FROM t WHERE id = {}",
    "SELECT * FROM t WHERE name = {} AND n < {}",
    "select count(*), max(n) from t where n >= {}",
    "SELECT t.name, u.id FROM t LEFT JOIN u ON u.t = t.id WHERE t.id IN ({}, {})",
    "SELECT id FROM t WHERE id = {} AND EXISTS (SELECT 1 FROM u WHERE u.t = t.id AND u.id < {})",
    "SELECT id + 1 FROM t WHERE id = {} AND n = 1",
]
VALUES: list[Any] = [0, 1, 2, 3, 4, 1.0, 2.5, "a", "B", "1", None, b"a"]


def both() -> tuple[rome.Connection, apsw.Connection]:
    ours, theirs = rome.connect("rome+memory:///equal_members"), apsw.Connection(":memory:")
    for statement in ["DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS u", *SCHEMA.split(";")]:
        ours.execute(statement)
        theirs.execute(statement)
    ours.commit()
    return ours, theirs


def operand(chooser: random.Random, parameters: list[Any]) -> str:
    """Return a literal, a new parameter, or the number of one that occurred before."""
    kind = chooser.choice(["literal", "new", "again"])
    if kind == "literal":
        return str(chooser.choice([0, 1, 2, "'a'", "'C'", 2.5]))
    if kind == "new" or not parameters:
        parameters.append(chooser.choice(VALUES))
        return f"?{len(parameters)}"
    return f"?{chooser.randint(1, len(parameters))}"


@pytest.mark.parametrize("member", MEMBERS)
def test_rows_are_sqlites(member: str) -> None:
    ours, theirs = both()
    chooser = random.Random(member)
    for count in (2, 4, 9):
        parameters: list[Any] = []
        texts = [
            member.format(*[operand(chooser, parameters) for _ in range(member.count("{}"))]) for _ in range(count)
        ]
        sql = " UNION ALL ".join(texts)
        for change in (None, "UPDATE t SET n = 7 WHERE id = 1"):
            for each in (ours, theirs) if change else ():
                each.execute(change)
            found = ours.execute(sql, parameters).fetchall()
            assert sorted(map(repr, found)) == sorted(map(repr, theirs.execute(sql, parameters))), (sql, parameters)


@pytest.mark.parametrize(
    "sql",
    [
        " UNION ".join(["SELECT id FROM t WHERE id = 1"] * 5),
        " UNION ALL ".join(["SELECT id FROM t WHERE id = 1"] * 5) + " ORDER BY 1 LIMIT 2",
        " UNION ALL ".join(["SELECT id FROM t WHERE id = 1"] * 4) + " EXCEPT SELECT 1",
        " UNION ALL ".join([f"SELECT id, {at} FROM t WHERE id = {at}" for at in range(5)]),
        "WITH c AS (SELECT 1 AS id) " + " UNION ALL ".join(["SELECT id FROM c WHERE id = 1"] * 5),
        "SELECT count(*) FROM (" + " UNION ALL ".join(["SELECT id FROM t WHERE id = 1"] * 5) + ")",
    ],
)
def test_other_compounds_stay_whole(sql: str) -> None:
    ours, theirs = both()
    assert ours.execute(sql).fetchall() == theirs.execute(sql).fetchall()
    assert "equal members" not in ours.execute(f"EXPLAIN PLAN FOR {sql}").fetchone()[0]


def test_a_wrong_number_of_parameters_is_an_error() -> None:
    ours, _ = both()
    sql = " UNION ALL ".join(["SELECT id FROM t WHERE id = ?"] * 4)
    assert ours.execute(sql, (1, 1, 2, 9)).fetchall() == [(1,), (1,), (2,)]
    for wrong in [(1, 2, 3), (1, 2, 3, 4, 5)]:
        with pytest.raises(ProgrammingError):
            ours.execute(sql, wrong)
    named = " UNION ALL ".join(["SELECT id FROM t WHERE id = :a"] * 4)
    assert ours.execute(named, {"a": 1}).fetchall() == [(1,)] * 4


def test_members_are_planned_once() -> None:
    ours, _ = both()
    sql = " UNION ALL ".join(f"SELECT id FROM t WHERE id = {number}" for number in range(400))
    plan = [line for (line,) in ours.execute(f"EXPLAIN PLAN FOR {sql}")]
    assert plan[0] == "SELECT, compiled, for each of 400 equal members"
    assert [line.split("  ")[1] for line in plan[2:]] == ["primary key lookup on t (id = ?1)"]
    assert ours.execute(sql).fetchall() == [(number,) for number in range(6)]
