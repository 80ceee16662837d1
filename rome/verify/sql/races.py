"""Two transactions that overlap: their outcome must be that of a serial order, or one of them is refused.

    setup           tables and rows, committed
    A: BEGIN …      a few statements      │  interleaved,
    B: BEGIN …      a few statements      │  then both commit

Under SERIALIZABLE, the transactions that have committed must have returned what they return in one of the two serial
orders on SQLite, and have left the same tables. At every level the tables that are left must be sound: SQLite takes the
schema and the rows, and its `integrity_check` and `foreign_key_check` find nothing.

Schema changes are frequent: a column is added while another transaction inserts, a parent is dropped while another one
refers to it, a view is created over what is renamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import apsw

from rome.testing import check_database
from rome.verify.sql.ddl import schema_changes
from rome.verify.sql.dml import change
from rome.verify.sql.generator import generate
from rome.verify.sql.oracle import Oracle, described
from rome.verify.sql.plain import plain_change
from rome.verify.sql.play import Difference, Player
from rome.verify.sql.queries import query
from rome.verify.sql.schema import read_schema
from rome.verify.sql.script import Outcome, Row, Script, Step, comparable

_LEVELS = ("SERIALIZABLE", "SERIALIZABLE", "SNAPSHOT", "READ COMMITTED")
_COMMIT = Step("COMMIT")
_FAILS = Step("SELECT * FROM missing")
"""A transaction with it is not replayed: it is committed, merged or refused as it is."""


@dataclass(frozen=True, slots=True)
class Race:
    """A setup, and the steps of both transactions in the order in which they are run (COMMIT included)."""

    setup: Script
    level: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join([str(self.setup), f"-- {self.level}", *map(str, self.steps)])


def generate_race(seed: int) -> Race:
    """Return the race of a seed."""
    random = Random(seed)  # noqa: S311 (no secret)
    setup = generate(random.randrange(10**9), random.randint(6, 14), "SNAPSHOT")
    setup = replace(setup, steps=tuple(replace(step, connection=0) for step in setup.steps))
    oracle = Oracle("SNAPSHOT")
    _set_up(oracle, setup)
    transactions = [_transaction(random, oracle, number) for number in (0, 1)]
    oracle.close()
    steps: list[Step] = []
    while any(transactions):
        steps.append(random.choice([each for each in transactions if each]).pop(0))
    return Race(setup, random.choice(_LEVELS), tuple(steps))


def _transaction(random: Random, oracle: Oracle, number: int) -> list[Step]:
    """Return the steps of one transaction, which begins with what the setup has left."""
    steps: list[Step] = []
    if random.random() < 0.3:
        oracle.run(_FAILS)
        steps.append(replace(_FAILS, connection=number))
    for _ in range(random.randint(1, 3)):
        schema = read_schema(oracle.sqlite)
        draw = random.random()
        if draw < 0.3:
            added = [Step(sql) for sql in schema_changes(random, schema)]
        else:
            maker = change if draw < 0.55 else plain_change if draw < 0.8 else query
            added = [maker(random, schema) or Step("SELECT 1")]
        for step in added:
            oracle.run(step)
            steps.append(replace(step, connection=number))
    oracle.run(Step("ROLLBACK"))
    return [*steps, replace(_COMMIT, connection=number)]


def play_race(race: Race, store: str) -> Difference | None:
    """Play a race on ROME; return what is wrong with its outcome."""
    player = Player(store, race.level)
    try:
        if not _is_set_up(race, player):
            return None  # a fault of the setup is one of a single transaction: `play` finds it
        outcomes = [player.run(step) for step in race.steps]
        for step, outcome in zip(race.steps, outcomes, strict=True):
            if outcome.error.partition(":")[0] in _NEVER:
                return Difference(None, f"race: {step}", "no such error", outcome.error)
        try:
            left = player.tables()
            faults = [*_unsound(left), *check_database(player.url)]
        except Exception as error:  # whatever is raised is the outcome
            return Difference(None, "race: afterwards", "no error", described(error))
        if faults and not _has_faults_of_sqlite(race, outcomes, faults):
            return Difference(None, "race: unsound tables", "[]", str(faults))
        return _not_serial(race, outcomes, left) if race.level == "SERIALIZABLE" else None
    finally:
        player.close()


_NEVER = frozenset(
    {
        "InternalError",
        "FormatError",
        "IndexError",
        "KeyError",
        "ValueError",
        "AssertionError",
        "AttributeError",
        "TypeError",
        "RecursionError",
    }
)
"""Errors that no statement may raise."""


def _set_up(runner: Oracle | Player, setup: Script) -> None:
    """Run a setup and commit it (or roll it back, where a deferred foreign key is violated)."""
    for step in (*setup.steps, _COMMIT, Step("ROLLBACK")):
        runner.run(step)


def _is_set_up(race: Race, player: Player) -> bool:
    """Run the setup; return whether its tables are those of SQLite, and sound."""
    oracle = Oracle("SNAPSHOT")
    try:
        _set_up(oracle, race.setup)
        _set_up(player, race.setup)
        ours, theirs = player.tables(), oracle.tables()
        return (
            not check_database(player.url)
            and not _unsound(theirs)
            and all(
                comparable(ours.get(name, ()), False) == comparable(theirs.get(name, ()), False)
                for name in ours.keys() | theirs.keys()
            )
        )
    finally:
        oracle.close()


def _unsound(left: dict[str, Sequence[Row]]) -> list[str]:
    """Return what SQLite finds wrong with these tables."""
    sqlite = apsw.Connection(":memory:")
    try:
        schema = left["sqlite_master"]
        for kind in ("table", "index", "view", "trigger"):
            for type_, name, _, sql in schema:
                if type_ == kind and sql:
                    sqlite.execute(str(sql))
                    if kind == "table":
                        _fill(sqlite, str(name), left[str(name)])
        found = [str(row[0]) for row in sqlite.execute("PRAGMA integrity_check").fetchall() if row[0] != "ok"]
        try:
            return found + [str(row) for row in sqlite.execute("PRAGMA foreign_key_check").fetchall()]
        except apsw.Error:
            return found  # a foreign key that does not match its parent: SQLite checks none of them
    except apsw.Error as error:
        return [described(error)]
    finally:
        sqlite.close()


def _fill(sqlite: apsw.Connection, table: str, rows: Sequence[Row]) -> None:
    columns = sqlite.execute(f'PRAGMA table_xinfo("{table}")').fetchall()
    kept = [at for at, column in enumerate(columns) if column[6] == 0]
    named = ", ".join(f'"{columns[at][1]}"' for at in kept)
    sqlite.execute("PRAGMA ignore_check_constraints = ON")  # integrity_check reports them
    for row in rows:
        sqlite.execute(
            f'INSERT INTO "{table}" ({named}) VALUES ({", ".join("?" * len(kept))})', [row[at] for at in kept]
        )
    sqlite.execute("PRAGMA ignore_check_constraints = OFF")


def _has_faults_of_sqlite(race: Race, outcomes: list[Outcome], faults: list[str]) -> bool:
    """Return whether SQLite leaves the same faults in one of the serial orders.

    REPLACE of a row that refers to its own table is not always refused where the parent is missing.
    """
    for order in _serial_orders(race, outcomes):
        oracle = Oracle("SNAPSHOT")
        _set_up(oracle, race.setup)
        for part in order:
            for step, _ in part:
                oracle.run(step)
        left = oracle.tables()
        oracle.close()
        if _unsound(left) == faults:
            return True
    return False


def _not_serial(race: Race, outcomes: list[Outcome], left: dict[str, Sequence[Row]]) -> Difference | None:
    """Return a difference if no serial order of what has committed explains what was returned and left."""
    differences = [_played(race, order, left) for order in _serial_orders(race, outcomes)]
    return None if None in differences else differences[0]


def _serial_orders(race: Race, outcomes: list[Outcome]) -> list[list[list[tuple[Step, Outcome]]]]:
    """Return both orders of the transactions that have committed."""
    parts: list[list[tuple[Step, Outcome]]] = [[], []]
    for step, outcome in zip(race.steps, outcomes, strict=True):
        parts[step.connection].append((step, outcome))
        if outcome.rolls_back:
            parts[step.connection].clear()
    done = [part for part in parts if _has_committed(part)]
    return [done, done[::-1]]


def _has_committed(part: list[tuple[Step, Outcome]]) -> bool:
    return (
        bool(part)
        and part[-1][0].sql == "COMMIT"
        and not any(_is_refusal(each) for _, each in part)
        and not part[-1][1].error
    )


def _is_refusal(outcome: Outcome) -> bool:
    return outcome.error.partition(":")[0] in ("Conflict", "SnapshotTooOld")


def _played(race: Race, order: list[list[tuple[Step, Outcome]]], left: dict[str, Sequence[Row]]) -> Difference | None:
    oracle = Oracle("SNAPSHOT")
    try:
        _set_up(oracle, race.setup)
        for part in order:
            for step, ours in part:
                theirs = oracle.run(step)
                if theirs.error != ours.error or comparable(theirs.rows, step.ordered) != comparable(
                    ours.rows, step.ordered
                ):
                    return Difference(None, f"race: {step}", str(theirs), str(ours))
        tables = oracle.tables()
        for name in tables.keys() | left.keys():
            if comparable(tables.get(name, ()), False) != comparable(left.get(name, ()), False):
                return Difference(None, f"race: {name}", str(tables.get(name)), str(left.get(name)))
        return None
    finally:
        oracle.close()
