"""Copy the rows of a table in batches, in the order of its key. Each batch is one transaction of the target.

The order is the same in both databases. So the greatest key in the target tells how far an interrupted copy came.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from sqlalchemy import Table, insert

from rome.cli.copy.bulk import BulkLoader, loader_for
from rome.cli.copy.databases import Side
from rome.cli.copy.plan import TableCopy
from rome.cli.copy.values import Row, Rows, binder, converter
from rome.cli.failures import CommandFailure


class _RowWriter(Protocol):
    def write(self, rows: Rows) -> None:
        """Write rows, and commit them."""

    def end(self) -> None:
        """Return when all rows are committed."""


def copied_batches(copy: TableCopy, source: Side, target: Side, size: int, last: Row | None) -> Iterator[Rows]:
    """Copy the rows after a key. Yield each batch when it is on its way; at the end, all of them are committed."""
    if not copy.key:  # nobody knows how far an interrupted copy came
        target.connection.execute(copy.target.delete())
        target.connection.commit()
    writer = _writer(copy.target, target)
    try:
        for batch in source.batches(copy.source, copy.key, size, last):
            try:
                writer.write(batch)
            except (TypeError, ValueError) as error:  # of a driver or a type of SQLAlchemy
                raise CommandFailure(f"table {copy.name}: the target can't store a row: {error}") from error
            yield batch
    finally:
        writer.end()


def _writer(table: Table, target: Side) -> _RowWriter:
    names = [column.name for column in table.columns]
    loader = loader_for(target.rome, table.name, names) if target.rome else None
    return _StatementWriter(table, target) if loader is None else _BulkWriter(loader, table, target)


class _StatementWriter:
    """Writes rows by INSERT statements."""

    def __init__(self, table: Table, target: Side) -> None:
        self._connection = target.connection
        self._insert = insert(table)
        self._names = [column.name for column in table.columns]
        self._convert = converter(table)

    def write(self, rows: Rows) -> None:
        """Write rows, and commit them."""
        names = self._names
        self._connection.execute(self._insert, [dict(zip(names, row, strict=True)) for row in self._convert(rows)])
        self._connection.commit()

    def end(self) -> None:
        """Return at once: each batch is committed before the next one."""


class _BulkWriter:
    """Writes rows by a bulk loader: one batch is committed while the next one is read and encoded."""

    def __init__(self, loader: BulkLoader, table: Table, target: Side) -> None:
        self._loader = loader
        self._convert = converter(table)
        self._bind = binder(table, [column.name for column in table.columns], target.connection.dialect)
        self._pool = ThreadPoolExecutor(1, "rome copy")
        self._pending: Future[None] | None = None

    def write(self, rows: Rows) -> None:
        """Encode rows, and begin to commit them when the batch before them is committed."""
        encoded = self._loader.encode(self._bind(self._convert(rows)))
        self._await_pending()
        self._pending = self._pool.submit(self._loader.commit, encoded)

    def end(self) -> None:
        """Return when all rows are committed."""
        with self._pool:
            self._await_pending()

    def _await_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()
