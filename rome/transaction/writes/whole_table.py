"""DELETE of a whole table: nothing is read but the number of its rows, if the store can empty a space at once.

    DELETE FROM t

    run       count the rows at the read version
    settle    a statement or a savepoint needs the rows after all: they are read, and are a row block that was deleted
    commit    empties the spaces of the table and of its indexes, if nobody has written to the table since

If somebody has written to it, that need be no conflict: a row that was inserted meanwhile stays. Then commit reads the
rows, as of the read version, and deletes them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from rome.catalog.model import Table
from rome.sqlite.workspace import Row
from rome.storage.store import index_space, rows_space
from rome.transaction.writes.row_block import RowBlock


@dataclass(frozen=True)
class WholeTable:
    """All rows of a table, which one statement has deleted. They take the place of a row block."""

    table: Table
    since: int
    """The version that the rows were counted at."""
    read: Callable[[], Sequence[Row]]
    """Reads the rows at that version."""
    news: None = None
    rowids: None = None
    explicit_id: None = None

    @property
    def spaces(self) -> list[bytes]:
        """The spaces of the table and of its indexes."""
        return [rows_space(self.table.id), *(index_space(index.id) for index in self.table.indexes)]

    def taken_keys(self, space: bytes) -> Set[bytes]:
        """Return no keys: nothing is inserted."""
        return frozenset()

    def row_block(self) -> RowBlock:
        """Return the block of the deleted rows: round trips."""
        return deleted_rows(self.table, self.read(), self.since)


def deleted_rows(table: Table, rows: Sequence[Row], since: int) -> RowBlock:
    """Return the block of rows that were deleted. `since`: the version that they were read at."""
    columns = list(zip(*rows, strict=True)) or [()] * len(table.stored)
    return RowBlock(table, table.row_codec.encode_each(columns), columns, None, None, since)


Written = RowBlock | WholeTable
"""Rows that one statement has written."""
