"""Unique names: no two claims hold a name at the same time, and no child row outlives its parent.

Workers claim names from a small pool, release names that are held, and add child rows to them. A claim has a unique
number, which identifies the transaction that made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rome.dbapi import Connection, IntegrityError
from rome.verify.histories.history import Finding, Outcome
from rome.verify.histories.workload import Record, TransactionContext, rows

POOL = 12


class NamesWorkload:
    """Claims, releases and children."""

    schema = (
        "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, claim INTEGER NOT NULL UNIQUE)",
        "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES names (id))",
    )

    def run_statements(self, connection: Connection, context: TransactionContext) -> None:
        """Claim, release or add a child to a random name."""
        name = f"n{context.rng.randrange(POOL)}"
        context.rng.choice((_claim, _release, _add_child))(connection, context, name)

    def check(
        self, records: Sequence[Record], connection: Connection, level: str, staleness: float
    ) -> Iterable[Finding]:
        """Check the final tables, the fate of each claim, and the times during which claims were certainly held."""
        held = rows(connection, "SELECT name, claim FROM names")
        present = {claim for _, claim in held}
        if len({name for name, _ in held}) < len(held):
            yield Finding("duplicate name", f"names in the end: {sorted(held)}")
        sql = "SELECT children.id FROM children LEFT JOIN names ON names.id = parent WHERE names.id IS NULL"
        for (child,) in rows(connection, sql):
            yield Finding("orphan", f"child {child} has no parent in the end")
        released = {
            number: record
            for record in records
            if record.outcome is not Outcome.ABORTED
            for kind, _, number in record.operations
            if kind == "release"
        }
        yield from _lost_or_aborted_claims(records, present, released)
        yield from _overlapping_claims(records, released)


def _claim(connection: Connection, context: TransactionContext, name: str) -> None:
    number = context.unique_value()
    try:
        connection.execute("INSERT INTO names (name, claim) VALUES (?, ?)", (name, number))
    except IntegrityError:
        context.operations.append(("taken", name, 0))
    else:
        context.operations.append(("claim", name, number))


def _release(connection: Connection, context: TransactionContext, name: str) -> None:
    row = connection.execute("SELECT id, claim FROM names WHERE name = ?", (name,)).fetchone()
    if row is None:
        return
    connection.execute("DELETE FROM children WHERE parent = ?", (row[0],))
    connection.execute("DELETE FROM names WHERE id = ?", (row[0],))
    context.operations.append(("release", name, row[1]))


def _add_child(connection: Connection, context: TransactionContext, name: str) -> None:
    row = connection.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()
    if row is not None:
        connection.execute("INSERT INTO children (parent) VALUES (?)", row)
        context.operations.append(("add child", name, 0))


def _lost_or_aborted_claims(
    records: Iterable[Record], present: set[Any], released: dict[int, Record]
) -> Iterable[Finding]:
    """Yield aborted claims that took effect, acknowledged claims that are missing, and releases without effect."""
    for record in records:
        for kind, name, number in record.operations:
            if kind != "claim":
                continue
            release = released.get(number)
            if record.outcome is Outcome.ABORTED and (number in present or release):
                yield Finding("G1a", f"claim {number} of {name} by {record.name} was aborted and took effect")
            if record.outcome is Outcome.COMMITTED and number not in present and release is None:
                yield Finding("lost", f"claim {number} of {name} by {record.name} was acknowledged and is missing")
            if release is not None and release.outcome is Outcome.COMMITTED and number in present:
                yield Finding("lost", f"claim {number} of {name} was released by {release.name} and is there")


def _overlapping_claims(records: Iterable[Record], released: dict[int, Record]) -> Iterable[Finding]:
    """Yield claims that held one name at the same time.

    A claim certainly holds its name from the response to its commit until the transaction that releases it begins.
    """
    held: dict[str, list[tuple[float, float, int]]] = {}
    for record in records:
        for kind, name, number in record.operations:
            if kind == "claim" and record.outcome is Outcome.COMMITTED:
                release = released.get(number)
                until = release.begin if release else float("inf")
                if record.end < until:
                    held.setdefault(name, []).append((record.end, until, number))
    for name, spans in held.items():
        latest, holder = 0.0, 0
        for begin, until, number in sorted(spans):
            if begin < latest:
                yield Finding("duplicate name", f"claims {holder} and {number} held {name} at the same time")
            if until > latest:
                latest, holder = until, number
