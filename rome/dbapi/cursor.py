"""PEP 249 cursors. Results are complete when `execute` returns; fetching hands them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rome.dbapi.parameters import checked
from rome.errors import InterfaceError, ProgrammingError
from rome.sql.syntax.tokens import split_script
from rome.sqlite.workspace import Result, Row

if TYPE_CHECKING:
    from rome.dbapi.connection import Connection


class Cursor:
    """Runs statements on its connection. Attributes beside the methods: `description`, `rowcount`, `lastrowid`."""

    arraysize = 1
    description: tuple[tuple[Any, ...], ...] | None = None
    rowcount = -1
    lastrowid: int | None = None
    _rows: list[Row] = []
    _next = 0
    _closed = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Run one statement. Answers itself. Raises PEP 249's errors."""
        self._begin(sql)
        self._keep(self.connection.run(sql, [checked(parameters)]))
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Cursor:
        """Run one statement for each set of parameters, all or none. RETURNING's rows come in their order."""
        self._begin(sql)
        rows = [checked(each) for each in parameters]
        if rows:
            self._keep(self.connection.run(sql, rows))
        return self

    def executescript(self, script: str) -> Cursor:
        """Commit, then run the statements of a script, one after the other."""
        self._begin(script)
        self.connection.commit()
        for sql in split_script(script):
            self._keep(self.connection.run(sql, [()]))
        return self

    def _begin(self, sql: str) -> None:
        if self._closed:
            raise ProgrammingError("Cannot operate on a closed cursor.")
        if not isinstance(sql, str):
            raise ProgrammingError(f"a statement must be a str, not {type(sql).__name__}")
        self.description = None
        self.rowcount = -1
        self._rows, self._next = [], 0

    def _keep(self, result: Result) -> None:
        self._rows, self.description, self.rowcount, lastrowid = result
        if lastrowid is not None:
            self.lastrowid = lastrowid

    def fetchone(self) -> Row | None:
        """The next row, or None."""
        self._check()
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next `size` rows (default: `arraysize`)."""
        self._check()
        start = self._next
        self._next = min(start + (self.arraysize if size is None else size), len(self._rows))
        return self._rows[start : self._next]

    def fetchall(self) -> list[Row]:
        """The rows that are left."""
        self._check()
        start, self._next = self._next, len(self._rows)
        return self._rows[start:]

    def _check(self) -> None:
        if self._closed:
            raise ProgrammingError("Cannot operate on a closed cursor.")

    def __iter__(self) -> Iterator[Row]:
        while (row := self.fetchone()) is not None:
            yield row

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def setinputsizes(self, sizes: Any) -> None:
        """Does nothing, as PEP 249 allows."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Does nothing, as PEP 249 allows."""

    def close(self) -> None:
        """Close the cursor; it can't be used any more."""
        self._closed = True
        self._rows = []

    def __enter__(self) -> Cursor:
        if self._closed:
            raise InterfaceError("Cannot operate on a closed cursor.")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
