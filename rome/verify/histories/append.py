"""List appends: the workload whose history tells the order of its versions.

A list is a row; its values are a text. Lists are found by primary key, by a unique name, and by ranges of keys; rows
are made by the first append, by upsert or by INSERT. A few lists are in use at a time, and give way to new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rome.dbapi import Connection
from rome.verify.histories.checker import check
from rome.verify.histories.history import Append, Finding, History, Operation, Read, Transaction
from rome.verify.histories.records import Record
from rome.verify.histories.workload import Turn, rows

_WINDOW = 8
"""Lists in use at a time."""

_TURNOVER = 8
"""Transactions after which a list gives way to a new one."""

_INSERT = "INSERT INTO lists (id, name, last, items) VALUES (?, ?, ?, ?)"
_UPSERT = _INSERT + " ON CONFLICT (id) DO UPDATE SET items = items || excluded.items, last = excluded.last"
_UPDATE = "UPDATE lists SET items = items || ?, last = ? WHERE name = ?"


class AppendWorkload:
    """Transactions of one to four reads and appends."""

    schema = (
        "CREATE TABLE lists (id INTEGER PRIMARY KEY, name TEXT UNIQUE, last INTEGER, items TEXT NOT NULL)",
        "CREATE INDEX lists_last ON lists (last)",
    )

    def act(self, connection: Connection, turn: Turn) -> None:
        """Each operation is one statement, or two."""
        for _ in range(turn.chance.randint(1, 4)):
            key = 1 + turn.total // _TURNOVER + turn.chance.randrange(_WINDOW)
            act = turn.chance.choice((_append, _append, _read_by_id, _read_by_name, _read_range))
            act(connection, turn, key)

    def judge(self, records: Sequence[Record], connection: Connection, level: str) -> Iterable[Finding]:
        """What the level forbids."""
        final = {key: _values(items) for key, items in rows(connection, "SELECT id, items FROM lists")}
        transactions = [
            Transaction(each.name, tuple(map(_operation, each.operations)), each.outcome, each.begin, each.end)
            for each in records
        ]
        yield from check(History(transactions, _with_empty(final, transactions)), level)


def _append(connection: Connection, turn: Turn, key: int) -> None:
    value = turn.fresh()
    turn.operations.append((key, value))
    items = f",{value}"
    if turn.chance.random() < 0.5:
        connection.execute(_UPSERT, (key, f"k{key}", value, items))
    elif not connection.execute(_UPDATE, (items, value, f"k{key}")).rowcount:
        connection.execute(_INSERT, (key, f"k{key}", value, items))


def _read_by_id(connection: Connection, turn: Turn, key: int) -> None:
    found = rows(connection, "SELECT items FROM lists WHERE id = ?", (key,))
    turn.operations.append((key, _values(found[0][0] if found else "")))


def _read_by_name(connection: Connection, turn: Turn, key: int) -> None:
    found = rows(connection, "SELECT items FROM lists WHERE name = ?", (f"k{key}",))
    turn.operations.append((key, _values(found[0][0] if found else "")))


def _read_range(connection: Connection, turn: Turn, key: int) -> None:
    """Also of lists that are not there: they are empty, and a range that somebody will write into."""
    keys = range(key, key + 3)
    sql = "SELECT id, items FROM lists WHERE id BETWEEN ? AND ?"
    found: dict[int, str] = dict(rows(connection, sql, (keys[0], keys[-1])))
    turn.operations.extend((each, _values(found.get(each, ""))) for each in keys)


def _values(items: str) -> tuple[int, ...]:
    return tuple(map(int, items.split(",")[1:]))


def _operation(recorded: Sequence[Any]) -> Operation:
    key, what = recorded
    return Append(key, what) if isinstance(what, int) else Read(key, tuple(what))


def _with_empty(final: dict[int, tuple[int, ...]], transactions: Iterable[Transaction]) -> dict[int, tuple[int, ...]]:
    """The final lists; empty for keys that have no row in the end."""
    return {append.key: () for each in transactions for append in each.appends} | final
