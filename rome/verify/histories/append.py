"""List appends: the workload whose history reveals the order of its versions.

A list is a row, and its values are a text: `,101,102`. Transactions read lists by primary key, by a unique name, and by
key ranges. The first append creates the row, by upsert or INSERT. A few lists are in use at a time and are replaced by
new ones after some transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from rome.dbapi import Connection
from rome.verify.histories.checker import check as check_history
from rome.verify.histories.history import Append, Finding, History, Operation, Read, Transaction
from rome.verify.histories.workload import Record, TransactionContext, rows

_WINDOW = 8
"""Lists that are in use at a time."""

_TURNOVER = 8
"""Transactions after which a list is replaced by a new one."""

_INSERT = "INSERT INTO lists (id, name, last, items) VALUES (?, ?, ?, ?)"
_UPSERT = _INSERT + " ON CONFLICT (id) DO UPDATE SET items = items || excluded.items, last = excluded.last"
_UPDATE = "UPDATE lists SET items = items || ?, last = ? WHERE name = ?"


class AppendWorkload:
    """Transactions of one to four reads and appends."""

    schema = (
        "CREATE TABLE lists (id INTEGER PRIMARY KEY, name TEXT UNIQUE, last INTEGER, items TEXT NOT NULL)",
        "CREATE INDEX lists_last ON lists (last)",
    )

    def run_statements(self, connection: Connection, context: TransactionContext) -> None:
        """Run one to four operations; each is one statement, or two."""
        for _ in range(context.rng.randint(1, 4)):
            key = 1 + context.total // _TURNOVER + context.rng.randrange(_WINDOW)
            operation = context.rng.choice((_append, _append, _read_by_id, _read_by_name, _read_range))
            operation(connection, context, key)

    def check(
        self, records: Sequence[Record], connection: Connection, level: str, staleness: float
    ) -> Iterable[Finding]:
        """Return the anomalies that the level forbids."""
        final = {key: _values(items) for key, items in rows(connection, "SELECT id, items FROM lists")}
        transactions = [
            _as_of_snapshot(
                Transaction(
                    each.name,
                    tuple(map(_operation, each.operations)),
                    each.outcome,
                    each.begin,
                    each.end,
                    each.name.partition(".")[0],
                ),
                level,
                staleness,
            )
            for each in records
        ]
        yield from check_history(History(transactions, _with_empty(final, transactions)), level)


def _append(connection: Connection, context: TransactionContext, key: int) -> None:
    value = context.unique_value()
    context.operations.append((key, value))
    items = f",{value}"
    if context.rng.random() < 0.5:
        connection.execute(_UPSERT, (key, f"k{key}", value, items))
    elif not connection.execute(_UPDATE, (items, value, f"k{key}")).rowcount:
        connection.execute(_INSERT, (key, f"k{key}", value, items))


def _read_by_id(connection: Connection, context: TransactionContext, key: int) -> None:
    found = rows(connection, "SELECT items FROM lists WHERE id = ?", (key,))
    context.operations.append((key, _values(found[0][0] if found else "")))


def _read_by_name(connection: Connection, context: TransactionContext, key: int) -> None:
    found = rows(connection, "SELECT items FROM lists WHERE name = ?", (f"k{key}",))
    context.operations.append((key, _values(found[0][0] if found else "")))


def _read_range(connection: Connection, context: TransactionContext, key: int) -> None:
    """Read three lists, including ones without a row: those are empty, and others may insert them."""
    keys = range(key, key + 3)
    sql = "SELECT id, items FROM lists WHERE id BETWEEN ? AND ?"
    found: dict[int, str] = dict(rows(connection, sql, (keys[0], keys[-1])))
    context.operations.extend((each, _values(found.get(each, ""))) for each in keys)


def _values(items: str) -> tuple[int, ...]:
    return tuple(map(int, items.split(",")[1:]))


def _operation(recorded: Sequence[Any]) -> Operation:
    key, content = recorded
    return Append(key, content) if isinstance(content, int) else Read(key, tuple(content))


def _as_of_snapshot(transaction: Transaction, level: str, staleness: float) -> Transaction:
    """Return a transaction that may have read behind with the earliest begin that its reads may have had.

    One that writes under SERIALIZABLE is validated as of its commit.
    """
    if level == "SERIALIZABLE" and transaction.appends:
        return transaction
    return replace(transaction, begin=transaction.begin - round(staleness * 1e9))


def _with_empty(final: dict[int, tuple[int, ...]], transactions: Iterable[Transaction]) -> dict[int, tuple[int, ...]]:
    """Return the final lists, with empty ones for keys that have no row in the end."""
    return {append.key: () for each in transactions for append in each.appends} | final
