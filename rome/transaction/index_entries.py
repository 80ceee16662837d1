"""Index entries of rows: by the index's key codec, or computed by SQLite for expressions and partial indexes."""

from __future__ import annotations

from typing import Any

import apsw

from rome.catalog.model import Index, Table
from rome.folding import fold_name
from rome.sql.syntax.tokens import quoted, tokenize
from rome.sqlite.computed_texts import ComputedColumns
from rome.sqlite.errors import translated
from rome.sqlite.workspace import Row
from rome.storage.keys import entry
from rome.values import SqlValue


class IndexEntries:
    """Finds the entries of rows. For computed indexes, SQLite evaluates their terms in a scratch copy of the table."""

    def __init__(self) -> None:
        self._scratch: apsw.Connection | None = None
        self._made: dict[tuple[int, str], int] = {}

    def of(self, table: Table, index: Index, row: Row, key: bytes) -> bytes | None:
        """Return the entry of a row in an index; None if a partial index excludes the row."""
        codec = table.index_codecs[index.id]
        if not index.computed:
            return codec.entry(row, key)
        values = self._computed(table, index, row)
        return None if values is None else entry(codec.encode(values), key)

    def columns(self, table: Table, index: Index, row: Row) -> tuple[SqlValue, ...] | None:
        """Return the collated values of a row in an index; None if a partial index excludes the row."""
        codec = table.index_codecs[index.id]
        values = self._computed(table, index, row) if index.computed else codec.take(row)
        return None if values is None else codec.collated(values)

    def _computed(self, table: Table, index: Index, row: Row) -> Row | None:
        if self._scratch is None:
            self._scratch = apsw.Connection(":memory:")
        name = self._copy_of(table)
        written = [column for column in table.stored if not column.generated]
        values = [row[table.position[fold_name(column.name)]] for column in written]
        listed = ", ".join(quoted(column.name) for column in written)
        with translated():
            self._scratch.execute(f"INSERT INTO {name} ({listed}) VALUES ({', '.join('?' * len(values))})", values)
        where = f" WHERE {index.where}" if index.where else ""
        terms = ComputedColumns(index.terms, frozenset(index.terms))
        cursor = self._scratch.cursor()
        try:
            with translated():
                found: Any = cursor.execute(f"SELECT {terms.sql} FROM {name}{where}").fetchall()
        finally:
            cursor.close(True)
            self._scratch.execute(f"DELETE FROM {name}")
        return terms.read(found[0]) if found else None

    def _copy_of(self, table: Table) -> str:
        assert self._scratch is not None
        key = (table.id, table.sql)
        if key not in self._made:
            self._made[key] = len(self._made)
            body = next(token.start for token in tokenize(table.sql) if token.text == "(")
            self._scratch.execute(f"CREATE TABLE {_alias(self._made[key])} {table.sql[body:]}")
        return _alias(self._made[key])


def _alias(number: int) -> str:
    return f"rome_copy_{number}"
