"""A statement costs as much after many others of its transaction as after few: nothing walks over all rows each time.

Calls do not show a loop in a comprehension, so executed instructions are counted.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import rome

pytestmark = pytest.mark.slow

NUMBER = itertools.count()
LEVELS = ("SNAPSHOT", "SERIALIZABLE", "READ COMMITTED")
WRITES = {
    "UPDATE by key": "UPDATE p SET n = ?1 WHERE id = ?1",
    "UPDATE in SQLite": "UPDATE p SET n = n + 1 WHERE id = ?1",
    "INSERT": "INSERT INTO p VALUES (?1 + 10000, 'x' || ?1, ?1)",
    "DELETE": "DELETE FROM c WHERE id = ?1",
}
READS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "by key": ("SELECT p.n, c.v FROM p JOIN c ON c.pid = p.id WHERE p.id = ?", int),
    "by a unique column": ("SELECT p.n, c.v FROM p JOIN c ON c.pid = p.id WHERE p.u = ?", "u{}".format),
}
MANY = 200


def instructions(action: Callable[[], Any]) -> int:
    """Return how many instructions of ROME an action executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def connection(level: str) -> rome.Connection:
    opened = rome.connect(f"rome+memory:///flat_{next(NUMBER)}?isolation_level={level.replace(' ', '%20')}")
    opened.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INTEGER)")
    opened.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p (id), v)")
    opened.executemany("INSERT INTO p VALUES (?, ?, 0)", [(number, f"u{number}") for number in range(MANY + 10)])
    opened.executemany("INSERT INTO c VALUES (?, ?, 0)", [(number, number // 2) for number in range(2 * MANY + 20)])
    opened.commit()
    return opened


def check_flat(statements: Callable[[int], Any]) -> None:
    for number in range(10):
        statements(number)
    early = min(instructions(lambda number=number: statements(number)) for number in (10, 11))  # type: ignore[misc]
    for number in range(12, MANY):
        statements(number)
    late = min(instructions(lambda number=number: statements(number)) for number in (MANY, MANY + 1))  # type: ignore[misc]
    assert late < early * 1.1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("read", READS)
def test_a_write_and_a_joined_select_cost_the_same_after_many_of_them(level: str, write: str, read: str) -> None:
    opened = connection(level)
    sql, value = READS[read]

    def statements(number: int) -> None:
        opened.execute(WRITES[write], (number,))
        assert opened.execute(sql, (value(number),)).fetchall() or write == "DELETE"

    check_flat(statements)


@pytest.mark.parametrize("level", LEVELS)
def test_a_savepoint_that_is_rolled_back_costs_the_same_after_many_writes(level: str) -> None:
    opened = connection(level)

    def statements(number: int) -> None:
        opened.execute("UPDATE p SET n = n + 1 WHERE id = ?", (number,))
        opened.execute("SAVEPOINT s")
        opened.execute("UPDATE c SET v = v + 1 WHERE id = ?", (number,))
        opened.execute("ROLLBACK TO s")
        opened.execute("RELEASE s")
        assert opened.execute("SELECT v FROM c WHERE id = ?", (number,)).fetchall() == [(0,)]

    check_flat(statements)
