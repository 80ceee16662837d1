"""Bank transfers: the total of all balances is constant, and each transfer is applied once or not at all.

Every transfer also inserts a row, so that acknowledged transfers can be compared with the rows that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rome.dbapi import Connection
from rome.verify.histories.history import Finding, Outcome
from rome.verify.histories.workload import Record, TransactionContext, rows

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

    def run_statements(self, connection: Connection, context: TransactionContext) -> None:
        """Run a transfer, or in three of ten cases an audit."""
        if context.rng.random() < 0.3:
            context.operations.append(("audit", _audit(connection, context)))
            return
        source, target = context.rng.sample(range(1, ACCOUNTS + 1), 2)
        number, amount = context.unique_value(), context.rng.randint(1, 20)
        if _transfer(connection, context, source, target, amount):
            connection.execute("INSERT INTO transfers VALUES (?, ?, ?, ?)", (number, source, target, amount))
            context.operations.append(("transfer", number))

    def check(
        self, records: Sequence[Record], connection: Connection, level: str, staleness: float
    ) -> Iterable[Finding]:
        """Check the totals that audits saw, each transfer, and the final balances."""
        total = ACCOUNTS * INITIAL
        transfers = rows(connection, "SELECT id, source, target, amount FROM transfers")
        present = {row[0] for row in transfers}
        for record in records:
            for kind, number in record.operations:
                if kind == "audit" and number != total and record.outcome is not Outcome.ABORTED:
                    yield Finding("wrong total", f"{record.name} saw {number} in all accounts, not {total}")
                if kind == "transfer" and record.outcome is Outcome.COMMITTED and number not in present:
                    yield Finding("lost", f"transfer {number} of {record.name} was acknowledged and is missing")
                if kind == "transfer" and record.outcome is Outcome.ABORTED and number in present:
                    yield Finding("G1a", f"transfer {number} of {record.name} was aborted and is there")
        expected = dict.fromkeys(range(1, ACCOUNTS + 1), INITIAL)
        for _, source, target, amount in transfers:
            expected[source] -= amount
            expected[target] += amount
        for account, balance in rows(connection, "SELECT id, balance FROM accounts"):
            if balance != expected[account]:
                yield Finding(
                    "wrong balance", f"account {account} has {balance}; its transfers add up to {expected[account]}"
                )


def _audit(connection: Connection, context: TransactionContext) -> int:
    """Return the sum of all balances; above READ COMMITTED, half of the time by one statement for each account."""
    if context.level == "READ COMMITTED" or context.rng.random() < 0.5:
        return int(rows(connection, "SELECT sum(balance) FROM accounts")[0][0])
    one = "SELECT balance FROM accounts WHERE id = ?"
    return sum(int(rows(connection, one, (account,))[0][0]) for account in range(1, ACCOUNTS + 1))


def _transfer(connection: Connection, context: TransactionContext, source: int, target: int, amount: int) -> bool:
    """Move an amount and return True if the balance allows it.

    Above READ COMMITTED, half of the transfers write balances that were computed from an earlier read.
    """
    add = "UPDATE accounts SET balance = balance + ? WHERE id = ?"
    if context.level == "READ COMMITTED" or context.rng.random() < 0.5:
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
