"""Copy the rows of a table in batches, in the order of its key. Each batch is one transaction of the target.

The order is the same in both databases. So the greatest key in the target tells how far an interrupted copy came.
"""

from __future__ import annotations

from collections.abc import Iterator
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


def copied_batches(copy: TableCopy, source: Side, target: Side, size: int, last: Row | None) -> Iterator[Rows]:
    """Copy the rows after a key. Yield each batch when it is committed."""
    if not copy.key:  # nobody knows how far an interrupted copy came
        target.connection.execute(copy.target.delete())
        target.connection.commit()
    writer = _writer(copy.target, target)
    for batch in source.batches(copy.source, copy.key, size, after=last):
        try:
            writer.write(batch)
        except (TypeError, ValueError) as error:  # of a driver or a type of SQLAlchemy
            raise CommandFailure(f"table {copy.name}: the target can't store a row: {error}") from error
        yield batch


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
        compiled = self._insert.compile(dialect=target.connection.dialect)
        self._sql = str(compiled) if compiled.positional else None
        self._bind = binder(table, self._names, target.connection.dialect)

    def write(self, rows: Rows) -> None:
        """Write rows, and commit them."""
        names, rows = self._names, self._convert(rows)
        if self._sql is None:
            self._connection.execute(self._insert, [dict(zip(names, row, strict=True)) for row in rows])
        else:  # the driver takes the rows as they are, without a dictionary for each
            self._connection.exec_driver_sql(self._sql, list(self._bind(rows)))
        self._connection.commit()


class _BulkWriter:
    """Writes rows by a bulk loader.

    A thread that commits while the next batch is encoded would save little, as both need Python's lock: for a file it
    doubles the CPU time.
    """

    def __init__(self, loader: BulkLoader, table: Table, target: Side) -> None:
        self._loader = loader
        self._convert = converter(table)
        self._bind = binder(table, [column.name for column in table.columns], target.connection.dialect)

    def write(self, rows: Rows) -> None:
        """Write rows, and commit them."""
        self._loader.commit(self._loader.encode(self._bind(self._convert(rows))))
