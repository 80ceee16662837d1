"""Bank transfers: money is neither made nor lost, and each transfer happens once or not at all.

Every transfer also writes a row of its own, so that what was acknowledged can be compared with what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rome.dbapi import Connection
from rome.verify.histories.history import Finding, Outcome
from rome.verify.histories.records import Record
from rome.verify.histories.workload import Turn, rows

ACCOUNTS = 8
INITIAL = 100


class BankWorkload:
    """Transfers between accounts, and audits that add up all balances."""

    schema = (
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))",
        "CREATE INDEX accounts_balance ON accounts (balance)",
        """CREATE TABLE transfers (id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES accounts (id),
        target INTEGER NOT NULL REFERENCES accounts (id), amount INTEGER NOT NULL)""",
        "INSERT INTO accounts (id, balance) VALUES " + ", ".join(f"({n}, {INITIAL})" for n in range(1, ACCOUNTS + 1)),
    )

    def act(self, connection: Connection, turn: Turn) -> None:
        """A transfer, or now and then an audit."""
        if turn.chance.random() < 0.3:
            turn.operations.append(("audit", _audit(connection, turn)))
            return
        source, target = turn.chance.sample(range(1, ACCOUNTS + 1), 2)
        number, amount = turn.fresh(), turn.chance.randint(1, 20)
        if _transfer(connection, turn, source, target, amount):
            connection.execute("INSERT INTO transfers VALUES (?, ?, ?, ?)", (number, source, target, amount))
            turn.operations.append(("transfer", number))

    def judge(self, records: Sequence[Record], connection: Connection, level: str) -> Iterable[Finding]:
        """Totals seen and left, and each transfer acknowledged or not."""
        total = ACCOUNTS * INITIAL
        transfers = rows(connection, "SELECT id, source, target, amount FROM transfers")
        present = {row[0] for row in transfers}
        for record in records:
            for kind, number in record.operations:
                if kind == "audit" and number != total and record.outcome is not Outcome.ABORTED:
                    yield Finding("wrong total", f"{record.name} saw {number} in all accounts, not {total}")
                if kind == "transfer" and record.outcome is Outcome.COMMITTED and number not in present:
                    yield Finding("lost", f"transfer {number} of {record.name} was acknowledged, and is not there")
                if kind == "transfer" and record.outcome is Outcome.ABORTED and number in present:
                    yield Finding("G1a", f"transfer {number} of {record.name} was refused, and is there")
        expected = dict.fromkeys(range(1, ACCOUNTS + 1), INITIAL)
        for _, source, target, amount in transfers:
            expected[source] -= amount
            expected[target] += amount
        for account, balance in rows(connection, "SELECT id, balance FROM accounts"):
            if balance != expected[account]:
                yield Finding(
                    "wrong balance", f"account {account} has {balance}; its transfers make {expected[account]}"
                )


def _audit(connection: Connection, turn: Turn) -> int:
    """The sum of all balances; above READ COMMITTED also by one statement for each account."""
    if turn.level == "READ COMMITTED" or turn.chance.random() < 0.5:
        return int(rows(connection, "SELECT sum(balance) FROM accounts")[0][0])
    one = "SELECT balance FROM accounts WHERE id = ?"
    return sum(int(rows(connection, one, (account,))[0][0]) for account in range(1, ACCOUNTS + 1))


def _transfer(connection: Connection, turn: Turn, source: int, target: int, amount: int) -> bool:
    """Move the money, if there is enough. Above READ COMMITTED, half of the time by values that were read before."""
    add = "UPDATE accounts SET balance = balance + ? WHERE id = ?"
    if turn.level == "READ COMMITTED" or turn.chance.random() < 0.5:
        take = "UPDATE accounts SET balance = balance - ? WHERE id = ? AND balance >= ?"
        if not connection.execute(take, (amount, source, amount)).rowcount:
            return False
        connection.execute(add, (amount, target))
        return True
    sql = "SELECT id, balance FROM accounts WHERE id IN (?, ?)"
    balances: dict[int, int] = dict(rows(connection, sql, (source, target)))
    if balances[source] < amount:
        return False
    for account, balance in ((source, balances[source] - amount), (target, balances[target] + amount)):
        connection.execute("UPDATE accounts SET balance = ? WHERE id = ?", (balance, account))
    return True
