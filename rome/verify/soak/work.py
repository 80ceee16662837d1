"""The work of a client of a soak: transactions of many kinds, chosen at random, until it is stopped.

The number of rows stays about the same, so that memory that grows is a leak. Transfers keep the sum of all balances.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, MutableSequence
from contextlib import suppress
from typing import Any

import rome
from rome.dbapi import Connection
from rome.errors import Conflict, IntegrityError, LockTimeout, SnapshotTooOld, StoreUnavailable
from rome.testing.child_processes import exit_with_parent

ACCOUNTS = 200
BALANCE = 1000
_NOTES = 50
"""Notes that each client keeps."""

SCHEMA = (
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, CHECK (balance > -1000000))",
    (
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER REFERENCES accounts (id), "
        "client INTEGER, number INTEGER, text TEXT, UNIQUE (client, number))"
    ),
    "CREATE INDEX notes_account ON notes (account)",
)

_LEVELS = ("SNAPSHOT", "SERIALIZABLE")
"""READ COMMITTED lets a transfer by values that were read lose another one."""

_SHORTAGE = 0.1
"""Seconds to wait after the server could not be reached."""


def transfer(connection: Connection, rng: random.Random, _client: int) -> None:
    """Move money between two accounts; half of the time by values that were read."""
    one, other = rng.sample(range(ACCOUNTS), 2)
    amount = rng.randint(1, 9)
    if rng.random() < 0.5:
        connection.execute("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, one))
        connection.execute("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, other))
        return
    for account, change in ((one, -amount), (other, amount)):
        balance = _number(connection, "SELECT balance FROM accounts WHERE id = ?", account)
        connection.execute("UPDATE accounts SET balance = ? WHERE id = ?", (balance + change, account))


def locked_transfer(connection: Connection, rng: random.Random, client: int) -> None:
    """Lock some accounts, and transfer."""
    first = rng.randrange(ACCOUNTS - 3)
    connection.execute("SELECT * FROM accounts WHERE id BETWEEN ? AND ? FOR UPDATE", (first, first + 3)).fetchall()
    transfer(connection, rng, client)


def write_note(connection: Connection, rng: random.Random, client: int) -> None:
    """Add a note, and delete the oldest ones of this client."""
    newest = _number(connection, "SELECT coalesce(max(number), 0) FROM notes WHERE client = ?", client)
    connection.execute(
        "INSERT INTO notes (account, client, number, text) VALUES (?, ?, ?, ?)",
        (rng.randrange(ACCOUNTS), client, newest + 1, "x" * rng.randrange(2000)),
    )
    connection.execute("DELETE FROM notes WHERE client = ? AND number <= ?", (client, newest - _NOTES))


def undo_in_savepoint(connection: Connection, rng: random.Random, client: int) -> None:
    """Change rows, take that back, and write a note."""
    connection.execute("SAVEPOINT s")
    connection.execute("UPDATE accounts SET balance = 0 WHERE id < ?", (rng.randrange(20),))
    connection.execute("ROLLBACK TO s")
    write_note(connection, rng, client)


def read_a_join(connection: Connection, rng: random.Random, _client: int) -> None:
    """Read the notes of some accounts."""
    accounts = tuple(rng.sample(range(ACCOUNTS), 5))
    connection.execute(
        "SELECT a.id, a.balance, n.text FROM accounts a LEFT JOIN notes n ON n.account = a.id "
        "WHERE a.id IN (?, ?, ?, ?, ?) ORDER BY a.id, n.id",
        accounts,
    ).fetchall()


def read_in_sqlite(connection: Connection, rng: random.Random, _client: int) -> None:
    """Run a statement that is not compiled; its text is another one each time."""
    connection.execute(
        f"SELECT id, sum(balance) OVER (ORDER BY id) FROM accounts WHERE id < {rng.randrange(50)}"
    ).fetchall()


def change_the_schema(connection: Connection, _rng: random.Random, client: int) -> None:
    """Make a table of this client's own, and drop it."""
    connection.execute(f"CREATE TABLE own_{client} (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    connection.execute(f"INSERT INTO own_{client} (u) VALUES ('a'), ('b')")
    connection.commit()
    connection.execute(f"DROP TABLE own_{client}")


def _number(connection: Connection, sql: str, parameter: int) -> int:
    row: Any = connection.execute(sql, (parameter,)).fetchone()
    return int(row[0])


_KINDS: dict[Callable[[Connection, random.Random, int], None], int] = {
    transfer: 30,
    locked_transfer: 5,
    write_note: 25,
    undo_in_savepoint: 5,
    read_a_join: 25,
    read_in_sqlite: 10,
    change_the_schema: 0,
}
"""Kind of transaction → its weight."""

_SCHEMA_CHANGES = 0.001
"""The share of transactions that change the schema: each client then reads it anew."""


def work(url: str, client: int, slot: int, done: MutableSequence[int]) -> None:
    """Run transactions for ever, and count them in `done[slot]`. `client` is a number that no other client ever had."""
    exit_with_parent()
    rng = random.Random(client)  # noqa: S311 - no secret
    kinds, weights = list(_KINDS), list(_KINDS.values())
    connection: Connection | None = None
    while True:
        try:
            if connection is None:
                connection = rome.connect(url, isolation_level=rng.choice(_LEVELS))
            (kind,) = [change_the_schema] if rng.random() < _SCHEMA_CHANGES else rng.choices(kinds, weights)
            kind(connection, rng, client)
            connection.commit()
            done[slot] += 1
        except (Conflict, SnapshotTooOld, LockTimeout):
            _roll_back(connection)
        except IntegrityError as error:
            _roll_back(connection)
            if not error.is_race:
                raise
        except StoreUnavailable:
            _roll_back(connection)
            time.sleep(_SHORTAGE)
        if connection is not None and rng.random() < 0.01:
            connection.close()
            connection = None


def _roll_back(connection: Connection | None) -> None:
    if connection is not None:
        with suppress(StoreUnavailable):
            connection.rollback()
