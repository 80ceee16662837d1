"""Constraint reads: the keys that SQLite must see to judge UNIQUE, PRIMARY KEY and FOREIGN KEY constraints.

SQLite sees only the rows that are loaded. The changes of a statement tell which others matter:

    change                             needed keys
    INSERT, UPDATE of a unique key     rows with the same row key, or the same key of a unique index
    INSERT, UPDATE of a foreign key    the parent with that key
    DELETE, UPDATE of a parent's key   the children with that key

If one of them has not been fetched, the statement is undone, the keys are fetched in one round trip, and it runs again
(`rome.session.dml`). Then SQLite finds the violation, or does the upsert or the cascade. For INSERT … VALUES the needed
keys are known before it runs (`NeededKeys.of_values`).

Each needed key is also a constraint read: commit checks at every isolation level that its range has the same keys.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress

from rome.catalog.model import Catalog, Table
from rome.errors import Error, IntegrityError
from rome.fallback import NotConvertible
from rome.folding import fold_name
from rome.sqlite.workspace import Row
from rome.transaction.constraints.table_keys import ReferenceValues, TableKeys, unique_codecs, unique_key_probe
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.row_cache import TableRequest
from rome.transaction.writes.write_set import RowWrite
from rome.values import SqlValue, convert


class NeededKeys:
    """Finds the keys that changes need, under one catalog."""

    def __init__(
        self, catalog: Catalog, entries: IndexEntries, foreign_keys: bool, allocated: Container[tuple[int, int]]
    ) -> None:
        """`allocated`: table id and id of rows whose ids came from a sequence. No other row has them."""
        self._allocated = allocated
        self._catalog = catalog
        self._entries = entries
        self._foreign_keys = foreign_keys
        self._keys: dict[int, TableKeys] = {}

    def _keys_of(self, table: Table) -> TableKeys:
        found = self._keys.get(table.id)
        if found is None:
            found = self._keys[table.id] = TableKeys(self._catalog, table)
        return found

    def of_writes(self, writes: Sequence[RowWrite], violated: bool) -> Iterator[TableRequest]:
        """Yield the requests for the keys that written rows need. `violated`: SQLite counts foreign key violations.

        SQLite counts the rows that lack their parent: plus one for a new row, minus one for a deleted row (an UPDATE
        is both). Where it may count several rows, or has counted one before, it must see the parents of all of them.
        """
        for write in writes:
            if write.new is not None:
                yield from self._taken(write)
        if not self._foreign_keys:
            return
        changed = list(self._changed_references(writes))
        yield from changed
        if violated or (changed and len(writes) > 1):
            for write in writes:
                for row in (write.old, write.new):
                    yield from _parents(self._keys_of(write.table).needed(None, row))

    def _taken(self, write: RowWrite) -> Iterator[TableRequest]:
        table = write.table
        assert write.new is not None
        assert write.new_key is not None
        if write.new_key != write.old_key and not (table.counted and (table.id, write.new_rowid) in self._allocated):
            yield TableRequest(table, table.row_codec.get(write.new_key))
        with suppress(IntegrityError):  # SQLite refuses the row for a NOT NULL or CHECK before it looks at its keys
            for probe in self._keys_of(table).taken(self._entries, write.old, write.new):
                yield probe.request

    def _changed_references(self, writes: Sequence[RowWrite]) -> Iterator[TableRequest]:
        for write in writes:
            keys = self._keys_of(write.table)
            yield from _parents(keys.needed(write.old, write.new))
            for reference, values in keys.orphaned(write.old, write.new):
                request = reference.children_request(values)
                if request is not None:
                    yield request

    def of_values(self, table: Table, known: dict[str, SqlValue]) -> Iterator[TableRequest]:
        """Yield the requests for the keys that a new row needs. `known`: lower-case column name → value, if known."""
        for codec in unique_codecs(table):
            values = _stored(table, codec.columns, known)
            probe = None if values is None else unique_key_probe(table, codec, values)
            if probe is not None:
                yield probe.request
        yield from self._computed(table, known)
        for reference in self._keys_of(table).parents if self._foreign_keys else ():
            values = _stored(table, reference.key.columns, known)
            if values is not None and None not in values:
                yield from _parents([ReferenceValues(reference, values)])

    def _computed(self, table: Table, known: dict[str, SqlValue]) -> Iterator[TableRequest]:
        """Yield the requests for a new row's keys of computed unique indexes, if all that SQLite needs is known.

        A row that SQLite refuses for one key is not recorded, so a second violated key could not be found later.
        """
        indexes = [index for index in table.indexes if index.unique and index.computed]
        if not indexes or not all(fold_name(each.name) in known for each in table.stored if not each.generated):
            return
        row = tuple([known.get(fold_name(column.name)) for column in table.stored])
        with suppress(Error):  # the row violates another constraint
            for index in indexes:
                values = self._entries.columns(table, index, row)
                probe = None if values is None else unique_key_probe(table, table.index_codecs[index.id], values)
                if probe is not None:
                    yield probe.request


def _parents(references: Iterable[ReferenceValues]) -> Iterator[TableRequest]:
    for reference, values in references:
        request = reference.parent_request(values)
        if request is not None:
            yield request


def _stored(table: Table, columns: Sequence[str], known: dict[str, SqlValue]) -> Row | None:
    """Return the values that columns will store; None if only SQLite can tell."""
    try:
        return tuple(convert(known[fold_name(name)], table.by_name[fold_name(name)].affinity) for name in columns)
    except (KeyError, NotConvertible):
        return None
