"""Replay: a transaction that met a conflict is run again where nobody can tell.

What its statements were, and what they handed out, is noted. After a conflict they are run again at a newer version.
If every result is the same to the last value, then the program would have done the same had it begun later, and the
transaction commits as of then. If one differs, the conflict surfaces, and the program decides.

So an `UPDATE t SET n = n + 1` hardly ever surfaces a conflict, and a value that was read, changed in Python and written
back always does, unless it is what it was. Nothing is applied blindly: each statement runs as if for the first time,
with its constraints, and commit checks everything anew.

Not replayed: changes of the schema, statements that failed, locks and fences (their order is the program's business),
functions of the program's own that are not deterministic, and transactions that handed out very much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rome.execution.workspace import Parameters, Result
from rome.sql.statement import Kind, Statement

_MOST_STATEMENTS = 1000
_MOST_ROWS = 10_000
_NOT_AGAIN = frozenset({Kind.DDL, Kind.EXPLAIN})

TRIES = 10
"""How often a transaction is replayed before its conflict surfaces."""


class Step(NamedTuple):
    """One statement, and what it handed out."""

    statement: Statement
    sql: str
    rows: Sequence[Parameters]
    result: Result


class Script:
    """The statements of one transaction."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._rows = 0
        self._spoiled = False

    @property
    def can_replay(self) -> bool:
        """Whether all of the transaction is here."""
        return not self._spoiled

    def note(self, statement: Statement, sql: str, rows: Sequence[Parameters], result: Result) -> None:
        """A statement was run."""
        self._rows += len(result.rows) + len(rows)
        if statement.kind in _NOT_AGAIN or statement.locking or self._rows > _MOST_ROWS:
            self.spoil()
        elif not self._spoiled:
            self._steps.append(Step(statement, sql, rows, result))
            if len(self._steps) > _MOST_STATEMENTS:
                self.spoil()

    def spoil(self) -> None:
        """Something happened that can't be done again."""
        self._spoiled = True
        self._steps.clear()

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)


def is_same(one: Result, other: Result) -> bool:
    """Whether nobody could tell two results apart: also 1 and 1.0 are different."""
    if one.rows != other.rows or one[1:] != other[1:]:
        return False
    return all(
        type(a) is type(b)
        for row, again in zip(one.rows, other.rows, strict=True)
        for a, b in zip(row, again, strict=True)
    )
