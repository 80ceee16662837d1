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

from collections.abc import Sequence

from rome.sql.syntax.statement import Statement, StatementKind
from rome.sqlite.workspace import Parameters, Result

_MOST_ROWS = 10_000
"""Handed out and handed in."""
_STATEMENT = 10
"""For how many rows it counts that a statement is to be run again."""
_NOT_AGAIN = frozenset({StatementKind.DDL, StatementKind.EXPLAIN})

TRIES = 10
"""How often a transaction is replayed before its conflict surfaces."""


Step = tuple[Statement, str, Sequence[Parameters], Result]
"""A statement, its text, its sets of parameters, and what it handed out."""


def _can_be_again(statement: Statement) -> bool:
    return statement.kind not in _NOT_AGAIN and statement.locking is None


class Script(list[Step]):
    """The statements of one transaction."""

    _rows = 0
    _replay_disabled = False

    @property
    def can_replay(self) -> bool:
        """Whether all of the transaction is here."""
        return not self._replay_disabled

    def note(self, statement: Statement, sql: str, rows: Sequence[Parameters], result: Result) -> None:
        """A statement was run."""
        if self._replay_disabled:
            return
        self.append((statement, sql, rows, result))
        self._rows += len(result.rows) + len(rows) + _STATEMENT
        if self._rows > _MOST_ROWS or not (statement.is_about_rows or _can_be_again(statement)):
            self.disable_replay()

    def disable_replay(self) -> None:
        """Something happened that can't be done again."""
        self._replay_disabled = True
        self.clear()


def is_same(one: Result, other: Result) -> bool:
    """Whether nobody could tell two results apart: also 1 and 1.0 are different."""
    if one.rows != other.rows or one[1:] != other[1:]:
        return False
    return all(
        type(a) is type(b)
        for row, again in zip(one.rows, other.rows, strict=True)
        for a, b in zip(row, again, strict=True)
    )
