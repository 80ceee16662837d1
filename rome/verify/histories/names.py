"""Unique names: nobody holds a name while another does, and no child outlives its parent.

Workers claim names from a small pool, release names that they find held, and hang children on them. A claim has a
number of its own, which tells in the end whose it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rome.dbapi import Connection, IntegrityError
from rome.verify.histories.history import Finding, Outcome
from rome.verify.histories.records import Record
from rome.verify.histories.workload import Turn, rows

POOL = 12


class NamesWorkload:
    """Claims, releases and children."""

    schema = (
        "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, claim INTEGER NOT NULL UNIQUE)",
        "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES names (id))",
    )

    def act(self, connection: Connection, turn: Turn) -> None:
        """One of the three, with a random name."""
        name = f"n{turn.chance.randrange(POOL)}"
        turn.chance.choice((_claim, _release, _hang))(connection, turn, name)

    def judge(self, records: Sequence[Record], connection: Connection, level: str) -> Iterable[Finding]:
        """The tables in the end, and the times during which each claim was certainly held."""
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
        yield from _fates(records, present, released)
        yield from _overlaps(records, released)


def _claim(connection: Connection, turn: Turn, name: str) -> None:
    number = turn.fresh()
    try:
        connection.execute("INSERT INTO names (name, claim) VALUES (?, ?)", (name, number))
    except IntegrityError:
        turn.operations.append(("taken", name, 0))
    else:
        turn.operations.append(("claim", name, number))


def _release(connection: Connection, turn: Turn, name: str) -> None:
    row = connection.execute("SELECT id, claim FROM names WHERE name = ?", (name,)).fetchone()
    if row is None:
        return
    connection.execute("DELETE FROM children WHERE parent = ?", (row[0],))
    connection.execute("DELETE FROM names WHERE id = ?", (row[0],))
    turn.operations.append(("release", name, row[1]))


def _hang(connection: Connection, turn: Turn, name: str) -> None:
    row = connection.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()
    if row is not None:
        connection.execute("INSERT INTO children (parent) VALUES (?)", row)
        turn.operations.append(("hang", name, 0))


def _fates(records: Iterable[Record], present: set[Any], released: dict[int, Record]) -> Iterable[Finding]:
    """Claims that are there and must not be, and the other way round."""
    for record in records:
        for kind, name, number in record.operations:
            if kind != "claim":
                continue
            release = released.get(number)
            if record.outcome is Outcome.ABORTED and (number in present or release):
                yield Finding("G1a", f"claim {number} of {name} by {record.name} was refused, and took place")
            if record.outcome is Outcome.COMMITTED and number not in present and release is None:
                yield Finding("lost", f"claim {number} of {name} by {record.name} was acknowledged, and is not there")
            if release is not None and release.outcome is Outcome.COMMITTED and number in present:
                yield Finding("lost", f"claim {number} of {name} was released by {release.name}, and is there")


def _overlaps(records: Iterable[Record], released: dict[int, Record]) -> Iterable[Finding]:
    """Two claims of one name, both certainly held at the same time: from the answer to when a release began."""
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
