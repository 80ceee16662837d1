"""Joins to rows that the transaction itself has written: they are found by the values that they have now."""

from __future__ import annotations

import random
from typing import Any

import apsw
import pytest

import rome

DDL = (
    "CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT, c TEXT COLLATE NOCASE, n)",
    "CREATE INDEX p_u ON p (u, n)",
    "CREATE INDEX p_c ON p (c)",
    "CREATE INDEX p_n ON p (n) WHERE n > 1",
    "CREATE TABLE l (a TEXT NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b))",
    "CREATE TABLE q (id INTEGER PRIMARY KEY, pid INTEGER, v)",
    "CREATE INDEX q_pid ON q (pid)",
)
READS = (
    "SELECT p.id, q.v FROM p JOIN q ON q.pid = p.id WHERE p.u = ?",
    "SELECT p.id, q.v FROM p JOIN q ON q.pid = p.id WHERE p.u = ? AND p.n > 1",
    "SELECT p.id, q.v FROM p JOIN q ON q.pid = p.id WHERE p.c = ?",
    "SELECT p.id, q.v FROM p JOIN q ON q.pid = p.n WHERE p.n > 1 AND p.u <> ?",
    "SELECT p.id, q.v FROM p JOIN q ON q.pid = p.n WHERE p.id = length(?) OR p.u = ?1",
    "SELECT l.b, q.v FROM l JOIN q ON q.pid = l.b WHERE l.a = ?",
    "SELECT l.b, q.v FROM l JOIN q ON q.pid = l.b WHERE l.a > ?",
    "SELECT p.id, q.v FROM q JOIN p ON p.id = q.pid WHERE q.v = ?",
)
VALUES = (None, "a", "A", "b", "bb", 1, 2, 3)


class Writer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.is_open = False

    def value(self) -> Any:
        return self.random.choice(VALUES)

    def number(self) -> int:
        return self.random.randrange(12)

    def statement(self) -> tuple[str, tuple[Any, ...]]:
        kind = self.random.randrange(12)
        if kind < 3:
            return "UPDATE p SET u = ?, n = ? WHERE id = ?", (self.value(), self.value(), self.number())
        if kind == 3:
            return "UPDATE p SET c = ? WHERE u = ?", (self.value(), self.value())
        if kind == 4:
            return "UPDATE OR IGNORE p SET id = ? WHERE id = ?", (self.number(), self.number())
        if kind == 5:
            values = (self.number(), self.value(), self.value(), self.value())
            return "INSERT OR REPLACE INTO p (id, u, c, n) VALUES (?, ?, ?, ?)", values
        if kind == 6:
            return "INSERT OR IGNORE INTO l VALUES (?, ?)", (str(self.value()), self.number())
        if kind == 7:
            return "DELETE FROM p WHERE id = ?", (self.number(),)
        if kind == 8:
            return "UPDATE q SET pid = ?, v = ? WHERE id = ?", (self.number(), self.value(), self.number())
        if kind == 9 and self.random.random() < 0.1:
            return f"ALTER TABLE p ADD COLUMN x{self.random.randrange(10**9)} DEFAULT 1", ()
        self.is_open, was_open = not self.is_open, self.is_open
        return ("ROLLBACK TO s" if was_open else "SAVEPOINT s"), ()


@pytest.mark.parametrize("level", ["SNAPSHOT", "READ COMMITTED"])
@pytest.mark.parametrize("seed", range(40))
def test_joins_find_written_rows_by_what_they_are_now(seed: int, level: str) -> None:
    writer = Writer(seed)
    theirs = apsw.Connection(":memory:")
    url = f"rome+memory:///written_{level[0]}{seed}?isolation_level={level.replace(' ', '%20')}"
    ours = rome.connect(url)
    rows: dict[str, list[tuple[Any, ...]]] = {
        "p": [(number, writer.value(), writer.value(), writer.value()) for number in range(0, 12, 2)],
        "q": [(number, writer.number(), writer.value()) for number in range(12)],
        "l": [("a", 1), ("b", 2), ("bb", 3)],
    }
    engines: list[Any] = [theirs, ours]
    for engine in engines:
        for sql in DDL:
            engine.execute(sql)
        for table, values in rows.items():
            engine.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)
    ours.commit()
    theirs.execute("BEGIN")
    for _ in range(40):
        sql, parameters = writer.statement()
        for engine in engines:
            engine.execute(sql, parameters)
        read, value = writer.random.choice(READS), writer.value()
        expected, found = (sorted(engine.execute(read, (value,)).fetchall(), key=repr) for engine in engines)
        assert found == expected, f"{read} {value!r}"


def test_a_row_that_is_written_in_place_of_an_undone_write_is_found() -> None:
    connection = rome.connect("rome+memory:///written_again")
    for sql in DDL:
        connection.execute(sql)
    connection.executemany("INSERT INTO q VALUES (?, ?, ?)", [(number, number, f"v{number}") for number in range(5)])
    connection.commit()
    read = "SELECT p.id, q.v FROM p JOIN q ON q.pid = p.id WHERE p.u = ?"
    connection.execute("SAVEPOINT s")
    connection.execute("INSERT INTO p (id, u) VALUES (1, 'one')")
    assert connection.execute(read, ("one",)).fetchall() == [(1, "v1")]
    connection.execute("ROLLBACK TO s")
    connection.execute("INSERT INTO p (id, u) VALUES (2, 'two')")
    assert connection.execute(read, ("two",)).fetchall() == [(2, "v2")]
    assert connection.execute(read, ("one",)).fetchall() == []
