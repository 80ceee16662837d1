"""The outcomes that `constraints=deferred` allows beside SQLite's: a violated constraint is reported later.

A statement that SQLite refuses may pass. Then one of the next statements of the transaction or its commit raises the
same error and undoes the transaction, unless the statement is rolled back before that.
"""

from __future__ import annotations

from collections.abc import Sequence

from rome.verify.sql.oracle import Oracle
from rome.verify.sql.script import RECONNECT, Outcome, Row, Step


class DeferredErrors:
    """The errors of one transaction that SQLite has raised and ROME has not."""

    def __init__(self, oracle: Oracle, *, is_on: bool) -> None:
        """`is_on`: whether constraints are deferred; else nothing is allowed."""
        self._oracle = oracle
        self._is_on = is_on
        self._missed: set[str] = set()
        self._before: dict[str, Sequence[Row]] = {}
        self.undone: dict[str, Sequence[Row]] | None = None
        """The tables that must be left when ROME has undone a transaction; None until then."""

    def begin(self, step: Step) -> None:
        """Note the tables before a transaction. Call this before each step."""
        if self._is_on and not self._oracle.sqlite.in_transaction:
            self._before = self._oracle.tables()
        if step.sql == RECONNECT or step.sql.startswith("ROLLBACK"):
            self._missed.clear()

    def allows(self, step: Step, theirs: Outcome, ours: Outcome) -> bool:
        """Return True if a step may end differently, and note what must follow."""
        if ours.error in self._missed:
            self.undone = self._before
            return True
        if self._is_on and theirs.error.startswith("IntegrityError") and not ours.error:
            self._missed.add(theirs.error)
            return True
        return bool(self._missed) and "changes()" in step.sql

    def is_missing(self, step: Step) -> bool:
        """Return True if an error of the transaction should have been raised by now."""
        return bool(self._missed) and step.sql == "COMMIT"
