"""SQLite as the oracle: plain apsw, with the implicit transactions of a PEP 249 driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apsw

from rome import errors
from rome.sql.syntax.tokens import quoted
from rome.sqlite.computed_texts import ComputedColumns
from rome.sqlite.errors import translated
from rome.verify.sql.script import RECONNECT, Outcome, Row, Step

_CONTROL = ("COMMIT", "ROLLBACK")


class Oracle:
    """One in-memory SQLite database; all connections of a script are this one, since their transactions are serial."""

    def __init__(self, level: str) -> None:
        """`level`: the isolation level. Under AUTOCOMMIT no transaction is opened."""
        self.sqlite = apsw.Connection(":memory:")
        self.sqlite.execute("PRAGMA foreign_keys = ON")
        self.sqlite.execute("CREATE TEMP TABLE rome_none (n)")
        self._begins = level != "AUTOCOMMIT"
        self._connection = 0
        self._last_rowids: dict[int, int] = {}

    def run(self, step: Step) -> Outcome:
        """Run one step."""
        if step.connection != self._connection:
            self._last_rowids[self._connection] = self.sqlite.last_insert_rowid()
            self._connection = step.connection
            self._forget_changes()
        if step.sql == RECONNECT:
            if self.sqlite.in_transaction:
                self.sqlite.execute("ROLLBACK")
            self._last_rowids.pop(self._connection, None)
            self._forget_changes()
            return Outcome()
        try:
            with translated():
                if self._begins and not self.sqlite.in_transaction and step.sql not in _CONTROL:
                    self.sqlite.execute("BEGIN")
                return self._run(step)
        except errors.Error as error:
            if step.sql.startswith("ALTER "):
                # SQLite does not always undo what a refused ALTER TABLE has done to its own copy of the schema.
                self.sqlite.execute("PRAGMA writable_schema = RESET")
            return Outcome(error=described(error))

    def _forget_changes(self) -> None:
        """Let last_insert_rowid() be that of the connection, and changes() that of a new one."""
        self.sqlite.set_last_insert_rowid(self._last_rowids.get(self._connection, 0))
        self.sqlite.execute("DELETE FROM temp.rome_none")

    def is_unsound(self) -> bool:
        """Return whether SQLite has committed rows that violate its foreign keys.

        It does so where a row that refers to its own table is replaced, or inserted with others in one statement. From
        then on it judges other rows wrongly, too.
        """
        if self.sqlite.in_transaction:
            return False
        try:
            return self.sqlite.execute("PRAGMA foreign_key_check").fetchone() is not None
        except apsw.Error:
            return False  # a foreign key that does not match its parent: SQLite checks none of them

    def _run(self, step: Step) -> Outcome:
        before = self.sqlite.total_changes()
        changed = 0
        rows: list[Row] = []
        if step.many:
            rows, changed = self._run_many(step)
        else:
            rows = self.sqlite.execute(step.sql, step.parameters[0]).fetchall()
            changed = self.sqlite.changes() if self.sqlite.total_changes() != before else 0
        return Outcome(tuple(rows), changed)

    def _run_many(self, step: Step) -> tuple[list[Row], int]:
        """Run a statement for each row of parameters, all or nothing."""
        rows: list[Row] = []
        changed = 0
        self.sqlite.execute("SAVEPOINT many")
        try:
            for parameters in step.parameters:
                rows += self.sqlite.execute(step.sql, parameters).fetchall()
                changed += self.sqlite.changes()
        except apsw.Error:
            if self.sqlite.in_transaction:  # else RAISE(ROLLBACK) has ended it
                self.sqlite.execute("ROLLBACK TO many")
            raise
        finally:
            if self.sqlite.in_transaction:
                self._release_many()
        return rows, changed

    def _release_many(self) -> None:
        """End the savepoint of `_run_many`; under AUTOCOMMIT this commits, and may find a deferred foreign key
        violated.
        """
        try:
            self.sqlite.execute("RELEASE many")
        except apsw.Error:
            self.sqlite.execute("ROLLBACK")
            raise

    def tables(self) -> dict[str, Sequence[Row]]:
        """Return the rows of every table, and the schema under the name `sqlite_master`."""
        if self.sqlite.in_transaction:
            self.sqlite.execute("ROLLBACK")
        return contents(self._rows)

    def _rows(self, sql: str) -> Sequence[Row]:
        with translated():
            return self.sqlite.execute(sql).fetchall()

    def close(self) -> None:
        """Let SQLite go."""
        self.sqlite.close()


def contents(run: Callable[[str], Sequence[Any]]) -> dict[str, Sequence[Row]]:
    """Return the rows of every table by its name; `run` runs a SELECT."""
    schema = run("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    found: dict[str, Sequence[Row]] = {"sqlite_master": schema}
    for kind, name, *_ in schema:
        if kind == "table":
            try:
                found[name] = run(f'SELECT * FROM "{name}"')
            except errors.DataError:  # a generated text is not UTF-8
                columns: Sequence[Any] = run(f'PRAGMA table_xinfo("{name}")')
                generated = {quoted(column) for _, column, *_, hidden in columns if hidden}
                terms = ComputedColumns([quoted(column) for _, column, *_ in columns], generated)
                found[name] = [terms.read(row) for row in run(f'SELECT {terms.sql} FROM "{name}"')]
    return found


def described(error: BaseException) -> str:
    """Return an error's class and text."""
    return f"{type(error).__name__}: {error}"
