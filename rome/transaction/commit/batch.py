"""From a transaction's write set to the batch that commit sends: checks, and writes of rows, index entries, catalog.

    UPDATE t SET a = 2 WHERE id = 1       (t has an index on a; the row was read at version 7)

    writes   row of key 1 → its bytes; index entry (1, key 1) → deleted; index entry (2, key 1) → empty
    checks   key 1 of t was not written since 7; the definition of t was not written since the snapshot

What commit demands of a key range (`Demand`)
    UNWRITTEN   no commit has written to it since it was read: rows that are written, and read ranges under SERIALIZABLE
    SAME_KEYS   it has the same keys as then: constraint reads (rows may have changed in other columns)
    NO_KEYS     it has no keys: new rows whose ids came from the table's sequence and were never looked up;
                keys that an INSERT with deferred constraints takes
    A_KEY       it has a key: parents, with deferred constraints

A row whose last state equals the stored one is not written at all. The definition of each written table is checked, so
that no row is committed in the layout of an older schema. A new index is filled from all rows of its table, which the
statement that made it has loaded, and commit then checks the whole table.

A schema change depends on other definitions: ALTER TABLE rewrites the texts of views and triggers, and fails if one of
them does not fit any more. So its commit checks that the catalog is unwritten. If only an independent schema change was
committed meanwhile, the catalog is checked from that version on (`merge`). Changes of rows check only the definitions
of their tables, their parents and their children. What such a change must not miss writes the table's catalog key
although the definition is the same: a new trigger on the table, and a new foreign key that refers to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import compress, repeat
from operator import ne

from rome.catalog.codec import USER_VERSION, catalog_key, encode_object, encode_user_version
from rome.catalog.key_codec import IndexKeyCodec
from rome.catalog.model import Catalog, Index, SchemaObject, Table
from rome.catalog.rows import encode_row, migrate_row
from rome.errors import Conflict, LockLost, OperationalError
from rome.folding import fold_name
from rome.locks.fences import FENCES
from rome.sqlite.workspace import Row
from rome.storage.columns import Checks, KeyChecks, Writes, WritesBySpace
from rome.storage.keys import encode
from rome.storage.store import CATALOG, LAST, OF_PRESENT, Batch, Check, Demand, index_space, row_counter, rows_space
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.read_set import KeysToCheck, ReadSet
from rome.transaction.reads.row_cache import UNREAD, CachedRow, RowCache
from rome.transaction.writes.row_block import RowBlock
from rome.transaction.writes.sequences import moves_sequence
from rome.transaction.writes.whole_table import WholeTable
from rome.transaction.writes.write_set import FinalRow
from rome.values import Columns, is_identical

_NO_KEYS, _UNWRITTEN = Demand.NO_KEYS, Demand.UNWRITTEN

TABLE_IDS = b"n"
"""The space of the ids that tables and indexes have, or had: so that none gets the id of another, even if a server that
has lost commits allocates numbers of a counter again.
"""


class BatchBuilder:
    """Collects one batch. `base`: the catalog that the transaction began with; `catalog`: the one that it leaves."""

    catalog_since: int | None = None
    _later_tables: Mapping[bytes, int] = {}
    _final_rows: Mapping[int, Mapping[bytes, FinalRow]] = {}
    # Most batches have none of these.
    _drops: Sequence[bytes] = ()
    _empties: Sequence[bytes] = ()
    _advances: Mapping[bytes, int] = {}
    _expects: Mapping[bytes, int] = {}

    def __init__(
        self,
        base: Catalog,
        catalog: Catalog,
        entries: IndexEntries,
        row_cache: RowCache,
        version: int,
        later_tables: Mapping[str, int],
    ) -> None:
        """`later_tables`: the tables that were created after the read version, with the version of their definition."""
        self._base = base
        self._catalog = catalog
        self._entries = entries
        self._row_cache = row_cache
        self._version = version
        if later_tables:
            self._later_tables = {catalog_key(name): since for name, since in later_tables.items()}
        self._tables = catalog.by_id
        self._old_tables = base.by_id
        self._writes: WritesBySpace = defaultdict(dict)
        self._range_checks: list[Check] = []
        self._key_checks: KeysToCheck = defaultdict(dict)

    def write_rows(self, final_rows: Mapping[int, Mapping[bytes, FinalRow]]) -> None:
        """Write rows, by table id and key, and their index entries. Leave out tables that the transaction dropped."""
        self._final_rows = final_rows
        for table_id, rows in final_rows.items():
            table = self._tables.get(table_id)
            if table is not None and rows and self._write_rows_of(table, rows):
                self._check_definition(table)

    def _write_rows_of(self, table: Table, rows: Mapping[bytes, FinalRow]) -> bool:
        """Write rows of a table by key. Return False if all are as they were."""
        space, indexes = rows_space(table.id), self._kept_indexes(table)
        cached_rows, checks = self._row_cache.rows_by_key(table.id), self._key_checks
        writes: dict[bytes, bytes | None] = {}
        for key, (written_table, after, encoded) in rows.items():
            cached = cached_rows.get(key)
            before = cached.values if cached else None
            is_same_layout = cached is None or cached.table.schema == written_table.schema
            if is_same_layout and before == after and _is_unchanged(before, after):
                continue
            data, new = encoded, after
            if data is None and after is not None:
                data = encode_row(written_table.schema, after, computed=written_table.has_stored_generated)
            writes[key] = data
            if cached is None or cached.version == UNREAD:
                checks[space, self._version, _NO_KEYS][key] = None
            else:
                checks[space, cached.version, _UNWRITTEN][key] = None
                if before is not None and cached.table is not table:
                    before = migrate_row(before, cached.table, table)
            if new is not None and written_table is not table:
                new = migrate_row(new, written_table, table)
            for index in indexes:
                self._write_entry(table, index, key, before, new)
        if not writes:
            return False
        self._writes[space] = writes
        return True

    def _kept_indexes(self, table: Table) -> Sequence[Index]:
        """Return the indexes that a table had before. A new index is filled as a whole."""
        base = self._old_tables.get(table.id)
        if base is table or base is None:
            return table.indexes
        old_ids = {index.id for index in base.indexes}
        return [index for index in table.indexes if index.id in old_ids]

    def write_block(self, block: RowBlock) -> None:
        """Write many rows of a table, and their index entries, column by column.

        Nothing else may write rows of the table, and its definition must be the one that the transaction began with.
        """
        table, keys, since = block.table, block.keys, block.since
        space = rows_space(table.id)
        self._writes[space].update(zip(keys, block.data or repeat(None), strict=False))
        kind = (space, self._version, _NO_KEYS) if since == UNREAD else (space, since, _UNWRITTEN)
        self._key_checks[kind].update(dict.fromkeys(keys))
        for index in table.indexes:
            codec = table.index_codecs[index.id]
            if block.is_changed(codec.columns):
                self._write_entries_of_block(codec, keys, block.olds, block.news)
        self._check_definition(table)

    def empty_table(self, deleted: WholeTable) -> None:
        """Delete all rows of a table as of the read version, if nobody writes to it before this commit.

        Nothing else may write rows of the table, and its definition must be the one that the transaction began with.
        """
        self._range_checks.append(Check(rows_space(deleted.table.id), b"", LAST, deleted.since))
        self._empties = [*self._empties, *deleted.spaces]
        self._check_definition(deleted.table)

    def _write_entries_of_block(
        self, codec: IndexKeyCodec, keys: Sequence[bytes], olds: Columns | None, news: Columns | None
    ) -> None:
        olds, news = olds and codec.take_columns(olds), news and codec.take_columns(news)
        if olds and news:
            # Equal values have equal keys.
            is_changed = list(map(ne, zip(*olds, strict=True), zip(*news, strict=True)))
            keys = list(compress(keys, is_changed))
            if not keys:
                return
            olds, news = ([list(compress(column, is_changed)) for column in columns] for columns in (olds, news))
        if olds:
            self._writes[codec.space].update(dict.fromkeys(codec.entries(olds, keys)))
        if news:
            self._writes[codec.space].update(dict.fromkeys(codec.entries(news, keys), b""))

    def write_locked_rows(self, locked: Mapping[tuple[int, bytes], CachedRow | None], only_check: bool) -> None:
        """Write the rows of row locks as they are, unless they are written anyway, so that others find them written.

        `only_check`: the transaction writes nothing; check only that nobody else has written them.
        """
        for (table_id, key), cached in locked.items():
            table = self._tables.get(table_id)
            space = rows_space(table_id)
            if table is None or cached is None or cached.values is None or cached.version == UNREAD:
                continue
            self._key_checks[space, cached.version, _UNWRITTEN][key] = None
            if key in self._writes.get(space, ()):
                continue
            if not only_check:
                self._writes[space][key] = encode_row(
                    cached.table.schema, cached.values, computed=cached.table.has_stored_generated
                )
            self._check_definition(table)

    def _write_entry(self, table: Table, index: Index, key: bytes, before: Row | None, after: Row | None) -> None:
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
            self._writes[space][old] = None
        if new is not None:
            self._writes[space][new] = b""

    def _check_definition(self, table: Table) -> None:
        """Check that nobody has changed the table's definition. That of a new table is checked as it is written."""
        base = self._old_tables.get(table.id)
        if base is not None:
            self._key_checks[CATALOG, self._version, _UNWRITTEN][catalog_key(base.name)] = None

    def advance_sequences(self, greatest: Mapping[int, int]) -> None:
        """Advance the counters of tables, by id, past ids that were given explicitly."""
        for table_id, rowid in greatest.items():
            table = self._tables.get(table_id)
            if table is not None and moves_sequence(table, rowid):
                self._advances = {**self._advances, row_counter(table_id): rowid}

    def take_numbers(self, taken: Mapping[bytes, tuple[int, int]]) -> None:
        """Take numbers of counters: of each, the last one before them, and the last of them."""
        for counter, (before, last) in taken.items():
            self._expects = {**self._expects, counter: before}
            self._advances = {**self._advances, counter: max(last, self._advances.get(counter, 0))}

    def check_catalog(self, since: int) -> None:
        """Check that the schema is unchanged since a version, instead of an earlier one."""
        self.catalog_since = since

    # ── the schema ────────────────────────────────────────────────────────────────────────────────────────────────

    def write_schema(self) -> None:
        """Write the differences of the catalogs. Drop removed tables and indexes; fill new indexes.

        `check_catalog` checks what it depends on.
        """
        old = self._items(self._base)
        new = self._items(self._catalog)
        for name in old.keys() - new.keys():
            self._write_catalog(name, None)
        for name, item in new.items():
            if old.get(name) != item:
                self._write_catalog(name, item)
                if isinstance(item, SchemaObject) and item.type == "trigger":
                    self._write_table_of(item)
        if self._base.user_version != self._catalog.user_version:
            self._writes[CATALOG][USER_VERSION] = encode_user_version(self._catalog.user_version)
        for table_id, table in self._old_tables.items():
            if table_id not in self._tables:
                self._drop(rows_space(table_id), *[index_space(index.id) for index in table.indexes])
        self._claim_ids()
        for table_id, table in self._tables.items():
            before = self._old_tables.get(table_id)
            if before != table:
                self._write_parents(table, before)
            if before is not None:
                self._change_indexes(before, table)

    @staticmethod
    def _items(catalog: Catalog) -> dict[str, Table | SchemaObject]:
        return {**catalog.tables, **catalog.objects}

    def _write_catalog(self, name: str, item: Table | SchemaObject | None) -> None:
        self._writes[CATALOG][catalog_key(name)] = None if item is None else encode_object(item)

    def _claim_ids(self) -> None:
        """Check that no table or index has, or ever had, the ids of the new ones."""
        for number in sorted(self._catalog.ids - self._base.ids):
            key = encode((number,))
            self._writes[TABLE_IDS][key] = b""
            self._key_checks[TABLE_IDS, self._version, _NO_KEYS][key] = None

    def _write_table_of(self, trigger: SchemaObject) -> None:
        """Write the table of a new trigger, so that transactions that write to the table see it change."""
        table = self._catalog.table(trigger.table)
        if table is not None and table.id in self._old_tables:
            self._write_catalog(fold_name(table.name), table)

    def _write_parents(self, table: Table, before: Table | None) -> None:
        """Write the parents of new foreign keys, so that transactions that write to a parent see it change."""
        if before is not None and before.foreign_keys == table.foreign_keys:
            return
        for key in table.foreign_keys:
            parent = self._catalog.table(key.parent)
            if parent is not None and parent.id in self._old_tables:
                self._write_catalog(fold_name(parent.name), parent)

    def _drop(self, *spaces: bytes) -> None:
        self._drops = [*self._drops, *spaces]

    def _change_indexes(self, before: Table, table: Table) -> None:
        ids = {index.id for index in table.indexes}
        self._drop(*[index_space(index.id) for index in before.indexes if index.id not in ids])
        old_ids = {index.id for index in before.indexes}
        added = [index for index in table.indexes if index.id not in old_ids]
        if added:
            self._range_checks.append(Check(rows_space(table.id), b"", LAST, self._version))
            for key, row in self._present_rows(table):
                for index in added:
                    self._write_entry(table, index, key, None, row)

    def _present_rows(self, table: Table) -> Iterable[tuple[bytes, Row]]:
        """Yield every row of the table after this transaction. The statement that made the index has fetched them."""
        final_rows = self._final_rows.get(table.id, {})
        for key, cached in self._row_cache.rows_by_key(table.id).items():
            if cached.values is not None and key not in final_rows:
                yield key, migrate_row(cached.values, cached.table, table)
        for key, final in final_rows.items():
            if final.row is not None:
                yield key, migrate_row(final.row, final.table, table)

    # ── the batch ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def has_changes(self) -> bool:
        """True if the batch changes anything in the store."""
        return any(self._writes.values()) or bool(self._drops or self._empties)

    def check_reads(self, read_set: ReadSet) -> None:
        """Check what was read."""
        read_set.add_checks(self._range_checks, self._key_checks)

    def check_fences(self, fences: Iterable[Check]) -> None:
        """Check the fences of locks."""
        self._range_checks += fences

    def build(self, token: bytes, read_digests: Mapping[int, bytes]) -> Batch:
        """Return the batch. `read_digests`: of the versions that were read."""
        of_ranges, of_keys = self._range_checks, self._key_checks
        if self._later_tables:
            of_keys = self._since_created(of_keys)
        if self.catalog_since is not None:
            of_ranges = [*of_ranges, Check(CATALOG, b"", LAST, self.catalog_since)]
        checks, seen = Checks(of_ranges, of_keys), digests_of(of_ranges, of_keys, read_digests)
        writes, owner = Writes(self._writes), b""
        return Batch(token, checks, writes, self._advances, self._drops, seen, owner, self._empties, self._expects)

    def _since_created(self, of_keys: KeysToCheck) -> KeysToCheck:
        """Return the checks of keys; those of later tables' definitions from the version on that has shown them."""
        found: KeysToCheck = defaultdict(dict)
        for (space, since, demand), keys in of_keys.items():
            for key in keys:
                shown = self._later_tables.get(key, since) if space == CATALOG else since
                found[space, shown, demand][key] = None
        return found

    def committed_catalog(self, version: int, digest: bytes) -> Catalog:
        """Return the catalog after the batch was committed as `version`, the next one after the read version."""
        return replace(self._catalog, version=version, digest=digest)


def digests_of(
    of_ranges: Iterable[Check], of_keys: KeyChecks, read_digests: Mapping[int, bytes]
) -> Mapping[int, bytes]:
    """Return, of the digests of the versions that were read, those that checks depend on. Version 0 has none."""
    if len(read_digests) == 1 and 0 not in read_digests:
        return read_digests
    versions = {check.since for check in of_ranges if check.demand not in OF_PRESENT}
    versions |= {since for _, since, demand in of_keys if demand not in OF_PRESENT}
    return {version: read_digests[version] for version in sorted(versions) if version}


def described_conflict(conflict: Conflict, catalog: Catalog, locks: Iterable[str]) -> OperationalError:
    """Return a store's conflict as an error that names the table, or the locks that guard the transaction."""
    if conflict.space == FENCES:
        names = " or ".join(map(repr, locks))
        return LockLost(f"lock {names} is lost: another holder has overtaken it; nothing was written")
    for table in catalog.tables.values():
        spaces = {rows_space(table.id), *(index_space(index.id) for index in table.indexes)}
        if conflict.space in spaces:
            return Conflict(
                f"conflict on table {table.name}: another transaction has changed what this one read or wrote; "
                "nothing was written, run it again",
                conflict.space,
            )
    if conflict.space in (CATALOG, TABLE_IDS):
        return Conflict(
            "conflict on the schema: another transaction has changed it; nothing was written, run it again",
            conflict.space,
        )
    return conflict


def _is_unchanged(old: Row | None, new: Row | None) -> bool:
    """Return True if two equal rows also have the same storage classes: 1 = 1.0 in Python as in SQL."""
    return old is new if old is None or new is None else is_identical(old, new)
