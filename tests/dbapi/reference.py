"""Plain SQLite, of the version that ROME runs on, with the methods of a ROME connection that tests use."""

from __future__ import annotations

from typing import Any

import apsw

from rome.sqlite.errors import translated


class Answer:
    """The result of `execute`, with the attributes of a cursor."""

    def __init__(self, rows: list[Any], description: Any, rowcount: int) -> None:
        self.fetchall = lambda: rows
        self.description = description
        self.rowcount = rowcount


class Reference:
    """A database in memory. Foreign keys are enforced; transactions are begun and ended by SQL."""

    def __init__(self) -> None:
        self._sqlite = apsw.Connection(":memory:")
        self._sqlite.execute("PRAGMA foreign_keys = ON")

    @property
    def in_transaction(self) -> bool:
        return self._sqlite.in_transaction

    def execute(self, sql: str, parameters: Any = ()) -> Answer:
        """Run a statement. Raises PEP 249's errors."""
        description: list[Any] = []

        def trace(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
            description.extend(cursor.get_description())
            return True

        cursor = self._sqlite.cursor()
        cursor.exec_trace = trace
        before = self._sqlite.total_changes()
        with translated():
            rows = cursor.execute(sql, parameters, can_cache=False).fetchall()
        changed = self._sqlite.changes() if self._sqlite.total_changes() != before else 0
        return Answer(rows, description, changed)

    def close(self) -> None:
        self._sqlite.close()
