"""A script on ROME, compared with the oracle step by step, and at the end by all tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import rome
from rome import errors
from rome.testing import check_database
from rome.verify.campaign import new_database
from rome.verify.sql.deferred import DeferredErrors
from rome.verify.sql.oracle import Oracle, contents, described
from rome.verify.sql.script import RECONNECT, Outcome, Row, Script, Step, comparable


@dataclass(frozen=True, slots=True)
class Difference:
    """Where ROME differs from SQLite: the number of the step (None: afterwards), and both outcomes as text."""

    at: int | None
    what: str
    theirs: str
    ours: str

    def __str__(self) -> str:
        return f"{self.what}\n    SQLite: {self.theirs}\n    ROME:   {self.ours}"


class Player:
    """Plays a script on a ROME database of its own."""

    def __init__(self, store: str, level: str) -> None:
        """`store`: the URL of a store, without a database's name; options may follow."""
        self.url = new_database(store)
        self._level = level
        self._connections: dict[int, rome.Connection] = {}

    def run(self, step: Step) -> Outcome:
        """Run one step."""
        if step.sql == RECONNECT:
            old = self._connections.pop(step.connection, None)
            if old is not None:
                old.close()
            return Outcome()
        connection = self._connections.get(step.connection)
        try:
            if connection is None:
                connection = self._connections[step.connection] = self._connect()
            cursor = (
                connection.executemany(step.sql, step.parameters)
                if step.many
                else connection.execute(step.sql + step.locking, step.parameters[0])
            )
            return Outcome(tuple(cursor.fetchall()), cursor.rowcount)
        except Exception as error:  # whatever is raised is the outcome
            return Outcome(error=described(error), rolls_back=connection is not None and not connection.in_transaction)

    def _connect(self) -> rome.Connection:
        return rome.connect(self.url, isolation_level=self._level)

    def tables(self) -> dict[str, Sequence[Row]]:
        """Return the rows of every table as a new connection reads them."""
        for connection in self._connections.values():
            connection.rollback()
        connection = rome.connect(self.url)
        try:
            return contents(lambda sql: connection.execute(sql).fetchall())
        finally:
            connection.close()

    def close(self) -> None:
        """Close all connections and drop the database."""
        for connection in self._connections.values():
            connection.close()
        rome.drop_database(self.url)


def play(script: Script, store: str) -> Difference | None:
    """Play a script on SQLite and on ROME; return the first difference."""
    oracle, player = Oracle(script.level), Player(store, script.level)
    deferred = DeferredErrors(oracle, is_on="constraints=deferred" in store)
    try:
        connection = 0
        for at, step in enumerate(script.steps):
            if step.connection != connection and oracle.sqlite.in_transaction:
                return None  # transactions of two connections overlap: only `races` has an oracle for that
            connection = step.connection
            deferred.begin(step)
            theirs, ours = oracle.run(step), player.run(step)
            difference = compared(at, step, theirs, ours)
            is_allowed = deferred.allows(step, theirs, ours)
            if difference is not None and not is_allowed:
                return difference
            if deferred.undone is not None:
                return next(_differences_afterwards(deferred.undone, player), None)
            if deferred.is_missing(step):
                return Difference(at, "a violated constraint is never reported", str(theirs), str(ours))
            if oracle.is_unsound():
                return None
        return next(_differences_afterwards(oracle.tables(), player), None)
    finally:
        oracle.close()
        player.close()


def compared(at: int, step: Step, theirs: Outcome, ours: Outcome) -> Difference | None:
    """Return the difference between two outcomes of a step."""
    if theirs.error or ours.error:
        same = theirs.error == ours.error
    else:
        same = comparable(theirs.rows, step.ordered) == comparable(ours.rows, step.ordered) and _same_count(
            theirs, ours
        )
    return None if same else Difference(at, str(step), str(theirs), str(ours))


def _same_count(theirs: Outcome, ours: Outcome) -> bool:
    """Return whether the row counts are equal; -1 (unknown, or no change of rows) is 0."""
    return max(theirs.count, 0) == max(ours.count, 0) or ours.count == -1


def _differences_afterwards(theirs: dict[str, Sequence[Row]], player: Player) -> Iterator[Difference]:
    try:
        ours = player.tables()
        faults = check_database(player.url)
    except errors.Error as error:
        yield Difference(None, "afterwards", "no error", described(error))
        return
    for name in theirs.keys() | ours.keys():
        one, two = comparable(theirs.get(name, ()), False), comparable(ours.get(name, ()), False)
        if one != two:
            yield Difference(None, f"afterwards: {name}", str(one), str(two))
    if faults:
        yield Difference(None, "afterwards: check_database", "[]", str(faults))
