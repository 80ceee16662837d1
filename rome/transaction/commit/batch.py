"""From a transaction's net changes to the batch that commit sends: rows, index entries, catalog entries, checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rome.catalog.codec import catalog_key, encode_object
from rome.catalog.model import Catalog, Index, SchemaObject, Table
from rome.catalog.rows import encode_row, migrate_row
from rome.database.counters import row_counter
from rome.fast_tuples import tuple_maker
from rome.sqlite.workspace import Row
from rome.storage.keys import encode
from rome.storage.store import CATALOG, LAST, Batch, Check, Demand, Write, index_space, rows_space
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.read_set import check_of, key_range
from rome.transaction.reads.row_cache import UNREAD, CachedRow, RowCache
from rome.transaction.writes.write_set import FinalRow

_GREATEST_ID = 2**63 - 1

TABLE_IDS = b"n"
"""The space of the ids that tables and indexes have, or had: so that none has an id of another, even if a server that
lost commits gives out numbers of a counter again.
"""


_write = tuple_maker(Write)


class BatchBuilder:
    """Collects one batch. `base` is the catalog that the transaction began with, `catalog` the one that it leaves."""

    def __init__(
        self, base: Catalog, catalog: Catalog, entries: IndexEntries, row_cache: RowCache, version: int
    ) -> None:
        self._base = base
        self._catalog = catalog
        self._entries = entries
        self._loaded = row_cache
        self._version = version
        self._tables = catalog.by_id
        self._old_tables = base.by_id
        self._net: Mapping[tuple[int, bytes], FinalRow] = {}
        self._writes: dict[tuple[bytes, bytes], bytes | None] = {}
        self._checks: list[Check] = []
        self._drops: list[bytes] = []
        self._advances: dict[bytes, int] = {}

    def rows(self, net: Mapping[tuple[int, bytes], FinalRow]) -> None:
        """Write rows and their entries. Tables that the transaction dropped are left out."""
        self._net = net
        written: set[int] = set()
        for (table_id, key), state in net.items():
            table = self._tables.get(table_id)
            if table is None:
                continue
            known = self._loaded.known.get(table_id, {}).get(key)
            old = known.values if known else None
            if old == state.row and (known is None or known.table is state.table) and _same_classes(old, state.row):
                continue
            space = rows_space(table_id)
            data = state.data
            if data is None and state.row is not None:
                data = encode_row(state.table.schema, state.row)
            self._writes[space, key] = data
            if known is None or known.version == UNREAD:
                self._checks.append(check_of((space, key, key + b"\0", self._version, Demand.NO_KEYS)))
            else:
                self._checks.append(check_of((space, key, key + b"\0", known.version, Demand.UNWRITTEN)))
            before = None if old is None or known is None else migrate_row(old, known.table, table)
            after = None if state.row is None else migrate_row(state.row, state.table, table)
            self._index_row(table, key, before, after)
            written.add(table_id)
        for table_id in written:
            self._check_definition(self._tables[table_id])

    def touch(self, locked: Mapping[tuple[int, bytes], CachedRow | None], only_check: bool) -> None:
        """Write rows that are locked as they are, unless they are written anyway: so others find them written.

        `only_check`: the transaction writes nothing; that nobody else has written them is checked all the same.
        """
        for (table_id, key), known in locked.items():
            table = self._tables.get(table_id)
            space = rows_space(table_id)
            if table is None or known is None or known.values is None or (space, key) in self._writes:
                continue
            if not only_check:
                self._writes[space, key] = encode_row(known.table.schema, known.values)
            self._checks.append(Check(space, *key_range(key), known.version))
            self._check_definition(table)

    def _index_row(self, table: Table, key: bytes, before: Row | None, after: Row | None) -> None:
        base = self._old_tables.get(table.id)
        if base is table or base is None:
            indexes = table.indexes
        else:
            # A new index is filled as a whole.
            old_ids = {index.id for index in base.indexes}
            indexes = tuple(index for index in table.indexes if index.id in old_ids)
        for index in indexes:
            self._index_change(table, index, key, before, after)

    def _index_change(self, table: Table, index: Index, key: bytes, before: Row | None, after: Row | None) -> None:
        if before is not None and after is not None and not index.computed:
            take = table.index_codecs[index.id].take
            if take(before) == take(after):
                return  # equal values have equal keys
        old = None if before is None else self._entries.of(table, index, before, key)
        new = None if after is None else self._entries.of(table, index, after, key)
        if old == new:
            return
        space = index_space(index.id)
        if old is not None:
            self._writes[space, old] = None
        if new is not None:
            self._writes[space, new] = b""

    def _check_definition(self, table: Table) -> None:
        """The table must still be as we know it. (The key of a table that we made ourselves is checked as written.)"""
        base = self._old_tables.get(table.id)
        if base is not None:
            key = catalog_key(base.name)
            self._checks.append(check_of((CATALOG, key, key + b"\0", self._version, Demand.UNWRITTEN)))

    def advance(self, greatest: Mapping[int, int]) -> None:
        """Move the counters of tables past these numbers."""
        for table_id, number in greatest.items():
            if table_id in self._tables and 0 < number < _GREATEST_ID:
                self._advances[row_counter(table_id)] = number

    # ── the schema ────────────────────────────────────────────────────────────────────────────────────────────────

    def schema(self) -> None:
        """Write the differences of the catalogs; drop what is gone; fill new indexes."""
        old = self._items(self._base)
        new = self._items(self._catalog)
        for name in old.keys() - new.keys():
            self._write_catalog(name, None)
        for name, item in new.items():
            if old.get(name) != item:
                self._write_catalog(name, item)
        for table_id, table in self._old_tables.items():
            if table_id not in self._tables:
                self._drops.append(rows_space(table_id))
                self._drops.extend(index_space(index.id) for index in table.indexes)
        self._claim_ids()
        for table_id, table in self._tables.items():
            before = self._old_tables.get(table_id)
            if before != table:
                self._touch_parents(table, before)
            if before is not None:
                self._change_indexes(before, table)

    @staticmethod
    def _items(catalog: Catalog) -> dict[str, Table | SchemaObject]:
        return {**catalog.tables, **catalog.objects}

    def _write_catalog(self, name: str, item: Table | SchemaObject | None) -> None:
        key = catalog_key(name)
        self._writes[CATALOG, key] = None if item is None else encode_object(item)
        self._checks.append(Check(CATALOG, *key_range(key), self._version))

    def _claim_ids(self) -> None:
        """Ids of new tables and indexes must be nobody's, and nobody must have had them."""
        for number in sorted(self._catalog.ids - self._base.ids):
            key = encode((number,))
            self._writes[TABLE_IDS, key] = b""
            self._checks.append(Check(TABLE_IDS, *key_range(key), self._version, Demand.NO_KEYS))

    def _touch_parents(self, table: Table, before: Table | None) -> None:
        """A new foreign key concerns those who write to the parent: let them find its definition written."""
        if before is not None and before.foreign_keys == table.foreign_keys:
            return
        for key in table.foreign_keys:
            parent = self._catalog.table(key.parent)
            if parent is not None and parent.id in self._old_tables:
                self._write_catalog(parent.name.lower(), parent)

    def _change_indexes(self, before: Table, table: Table) -> None:
        ids = {index.id for index in table.indexes}
        self._drops.extend(index_space(index.id) for index in before.indexes if index.id not in ids)
        old_ids = {index.id for index in before.indexes}
        added = [index for index in table.indexes if index.id not in old_ids]
        if added:
            self._checks.append(Check(rows_space(table.id), b"", LAST, self._version))
            for key, row in self._present_rows(table):
                for index in added:
                    self._index_change(table, index, key, None, row)

    def _present_rows(self, table: Table) -> Iterable[tuple[bytes, Row]]:
        """Every row of the table after this transaction. The statement that made the index has loaded them all."""
        for key, known in self._loaded.known.get(table.id, {}).items():
            if known.values is not None and (table.id, key) not in self._net:
                yield key, migrate_row(known.values, known.table, table)
        for (table_id, key), state in self._net.items():
            if table_id == table.id and state.row is not None:
                yield key, migrate_row(state.row, state.table, table)

    # ── the batch ─────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, token: bytes, reads: Iterable[Check], seen: Mapping[int, bytes]) -> Batch:
        """The batch. `reads`: checks of what was read; `seen`: the digests of the versions that were read."""
        checks = list(dict.fromkeys([*self._checks, *reads]))
        writes = [_write((*place, value)) for place, value in self._writes.items()]
        return Batch(token, checks, writes, self._advances, self._drops, rests_on(checks, seen))

    def committed_catalog(self, version: int, digest: bytes) -> Catalog:
        """The catalog that the batch leaves, when it was committed as `version`, and nothing since it was begun."""
        return replace(self._catalog, version=version, digest=digest)


def rests_on(checks: Iterable[Check], seen: Mapping[int, bytes]) -> dict[int, bytes]:
    """Of the digests of the versions that were read, those that checks rest on. Version 0 has none."""
    versions = {check.since for check in checks if check.demand is not Demand.NO_KEYS}
    return {version: seen[version] for version in sorted(versions) if version}


def _same_classes(old: Row | None, new: Row | None) -> bool:
    """Equal rows may still differ in storage classes: 1 = 1.0 in Python as in SQL."""
    return old is None or new is None or all(type(a) is type(b) for a, b in zip(old, new, strict=True))
