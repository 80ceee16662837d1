"""One transaction: its snapshot, its row cache and read set, its write set, its savepoints, and its commit.

A transaction begins with the first statement that needs the store. Its first fetch gives its read version (the
snapshot); under SNAPSHOT and SERIALIZABLE every later fetch reads at that version. Nothing is written before commit,
which sends one batch of checks and writes. So a transaction that has only read ends without a round trip.

Isolation levels differ in what they read and in what commit checks

    level            reads                          commit checks
    SNAPSHOT         one version                    keys written, constraint reads
    SERIALIZABLE     one version                    also every key range read
    READ COMMITTED   each statement the newest      keys written, constraint reads
    AUTOCOMMIT       as SNAPSHOT, each statement in a transaction of its own (`rome.session.control`)

A check holds if no other commit wrote to its key range since the version that the range was read at. If a check fails,
the commit is a Conflict and nothing is written. SNAPSHOT permits write skew: two transactions that each read a row the
other one writes may both commit. SERIALIZABLE does not.

The parts
    snapshot             its state, and what it reads
    deferral             what is left to the commit with `constraints=deferred`
    savepoints           SAVEPOINT, ROLLBACK TO, RELEASE
    reads/row_cache      rows that were fetched; which of them are in the workspace
    reads/read_set       key ranges that commit checks
    writes/write_set     rows that were written
    writes/row_block     many rows that one statement has written
    writes/whole_table   all rows of a table, which one statement has deleted
    writes/sequences     ids that were allocated for new rows
    row_locks            rows that SELECT … FOR UPDATE has locked
    constraints          the keys that UNIQUE and FOREIGN KEY need, which violation it was
    commit/batch         from the write set to the batch of checks and writes
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

from rome import events
from rome.catalog.model import Catalog, Table
from rome.database.counters import IDS
from rome.errors import Conflict, HistoryLost, KeysLocked, NotReplicated, NumbersTaken, SnapshotTooOld
from rome.sql.syntax.statement import LockWaitPolicy
from rome.storage.store import CATALOG, Batch, Check, row_counter
from rome.transaction.commit.batch import TABLE_IDS, BatchBuilder, described_conflict
from rome.transaction.commit.merge import are_independent
from rome.transaction.constraints.violations import foreign_key_error
from rome.transaction.row_locks import RowKey, RowLocks, row_of
from rome.transaction.savepoints import Savepoint, Savepoints
from rome.transaction.snapshot import NO_WRITES, Isolation
from rome.transaction.writes.row_block import RowBlock
from rome.transaction.writes.sequences import moves_sequence
from rome.transaction.writes.whole_table import WholeTable, Written
from rome.transaction.writes.write_set import RowWrite, WriteSet, row_writes


class Transaction(Savepoints):
    """One transaction over a workspace: what it writes, and its commit."""

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pending(self, savepoint: Savepoint) -> list[RowWrite]:
        """Return what the workspace has recorded since a savepoint. It is not in the write set yet."""
        return row_writes(self.catalog, self.workspace.recorder.changes[savepoint.workspace[0] :])

    def record(self, writes: Sequence[RowWrite]) -> None:
        """Add rows to the write set that the workspace has written."""
        if writes:
            self._writable().record(writes)
            self._note_written(writes)

    def record_point_writes(
        self, writes: Sequence[RowWrite], taken: Iterable[tuple[bytes, bytes]] = (), *, are_counted: bool = False
    ) -> None:
        """Add rows to the write set that were written without the workspace, each by an execution of its own.

        The workspace gets them when something runs there. `taken`: the unique keys of the new rows, by space.
        `are_counted`: SQL's functions have counted the changes already.
        """
        if self.blocks and self.has_blocks([write.table for write in writes]):
            self.settle()
        self._writable().record_point_writes(writes, taken)
        workspace, row_cache = self.workspace, self.row_cache
        new_id = None
        for table, _, old, key, row, rowid, _ in writes:
            assert key is not None
            assert row is not None
            new_id = rowid if old is None else None
            row_cache.note_written(table, key)
            workspace.defer_row(table, row, new_id)
            if old is None:
                self._note_id(table, rowid)
        if not are_counted:
            workspace.count_changes(len(writes), 1, new_id)

    def record_block(self, block: Written, total: int, last: int) -> None:
        """Add the rows of a block, which were written without the workspace.

        SQL counts `total` changed rows, `last` of them by the last execution of the statement.
        """
        if isinstance(block, WholeTable) or block.keys:
            # A commit that empties a space writes nothing else there.
            former = self._row_blocks() if self.has_blocks((block.table,)) else self.blocks
            self.blocks = [*former, block]
            self.has_writes = True
            explicit_id = block.explicit_id
            if explicit_id is not None and moves_sequence(block.table, explicit_id):
                self.database.counters.skip(row_counter(block.table.id), explicit_id)
            if self.write_set.has_written((block.table,)):
                self.settle()
        self.workspace.count_changes(total, last, block.rowids[-1] if block.rowids else None)

    def has_blocks(self, tables: Iterable[Table]) -> bool:
        """Return True if there is a block of rows of one of these tables."""
        if not self.blocks:
            return False
        written = {block.table.id for block in self.blocks}
        return any(table.id in written for table in tables)

    def settle(self) -> None:
        """Write the rows of blocks one by one: before anything but a commit or a statement about other tables."""
        blocks = self._row_blocks()
        self.blocks = ()
        for block in blocks:
            writes = list(block.writes())
            if block.news is None:
                self._writable().record(writes)
                self.row_cache.note_deleted(block.table, block.keys)
                self.only_workspace = True
            else:
                taken = [(space, key) for space, keys in block.taken.items() for key in keys]
                self.record_point_writes(writes, taken, are_counted=True)

    def _row_blocks(self) -> list[RowBlock]:
        """Return the blocks, with the rows of whole tables: round trips, if there are such."""
        return [block.row_block() if isinstance(block, WholeTable) else block for block in self.blocks]

    def is_taken(self, space: bytes, key: bytes) -> bool:
        """Return True if a row that was inserted without the workspace has this row key, or key of a unique index."""
        if (space, key) in self.write_set.taken_keys:
            return True
        return any(key in block.taken_keys(space) for block in self.blocks)

    def not_taken(self, space: bytes, keys: Set[bytes]) -> Set[bytes]:
        """Return the keys for which `is_taken` is False."""
        if self.write_set.taken_keys:
            keys = {key for key in keys if (space, key) not in self.write_set.taken_keys}
        for block in self.blocks:
            keys = keys - block.taken_keys(space)
        return keys

    def _writable(self) -> WriteSet:
        if self.write_set is NO_WRITES:
            self.write_set = WriteSet(is_marked=self.row_cache.undo_log.is_marked)
            self.has_writes = True
        return self.write_set

    def _note_written(self, writes: Sequence[RowWrite]) -> None:
        """Note the keys in the row cache, and the ids."""
        for table, old_key, _, new_key, _, rowid, _ in writes:
            if new_key is not None:
                self.row_cache.note_written(table, new_key)
                if old_key != new_key:
                    self._note_id(table, rowid)

    def _note_id(self, table: Table, rowid: int) -> None:
        """Note the id of a new row. One that was given explicitly moves the sequences of this process on."""
        if table.counted and (table.id, rowid) not in self.sequences.allocated:
            self.has_explicit_ids = True
            self.sequences.note_explicit(table.id, (rowid,))
            if moves_sequence(table, rowid):
                self.database.counters.skip(row_counter(table.id), rowid)

    def has_changed(self, tables: Sequence[Table]) -> bool:
        """Return True if the transaction has changed rows of one of these tables, or the schema."""
        return self.schema_changed or self.write_set.has_written(tables) or self.has_blocks(tables)

    def allocate_id(self, table_id: int) -> int:
        """Return the next id of a table's sequence: a round trip if this process has none left."""
        return self.sequences.allocate(table_id, self.row_cache.rows_by_key(table_id))

    def allocate_ids(self, table_id: int, count: int) -> list[int]:
        """Return the next ids of a table's sequence: a round trip if this process has too few left."""
        return self.sequences.allocate_many(table_id, count, self.row_cache.rows_by_key(table_id))

    def take_reserved_id(self, table_id: int) -> int:
        """Return the next id that was reserved for the running statement. Raise SequenceExhausted."""
        return self.sequences.take(table_id, self.row_cache.rows_by_key(table_id))

    def change_schema(self, catalog: Catalog) -> None:
        """Go on with the catalog that a statement has made in the workspace.

        From then on all rows that were read or written have the layout of their table in this catalog.
        """
        for table in catalog.tables.values():
            old = self.catalog.by_id.get(table.id)
            if old is not None and old.schema != table.schema:
                self.row_cache.migrate(table)
                self.write_set.migrate(table)
        self.catalog = catalog
        self.has_writes = self.schema_changed = True
        self.workspace.adopt(catalog)

    # ── commit and rollback ───────────────────────────────────────────────────────────────────────────────────────

    def commit(self) -> None:
        """Write what was changed in one atomic commit. Raise Conflict, with nothing written, if a check fails.

        After the IntegrityError of a deferred foreign key the transaction is still open; after other errors it is over.
        Raise NotReplicated when all is done as after other commits.
        """
        if self.foreign_keys and self.workspace.sqlite.in_transaction and self.workspace.may_not_commit:
            raise foreign_key_error(self.workspace, self.catalog, self.write_set)
        try:
            catalog = self._write()
        except BaseException as error:
            # The commit may have been applied, so the ids that it used are not released.
            self.sequences.keep_uncertain(is_refused=isinstance(error, Conflict))
            self.rollback()
            raise
        self.workspace.end(keep=self.workspace.temporary or self.schema_changed)
        if self._sequences is not None:
            self._sequences.note_companions()
            self._sequences.release(allocated=False)
        if catalog is not None:
            self.database.keep(catalog)
            self.workspace.adopt(catalog)
        if self.not_replicated is not None:
            raise self.not_replicated

    def _write(self) -> Catalog | None:
        """Send the batch, if there is anything to write. Return the new catalog if the schema was changed."""
        fences = [guard.check() for guard in self.guards] if self.guards else ()
        rows = self.write_set.final_rows() if self.has_writes else {}
        has_rows = any(rows.values())
        locked = self.row_locks.rows if self.row_locks is not None else {}
        if not has_rows and not self.blocks and not self.schema_changed and not locked:
            return None
        explicit_ids: dict[int, int] = {}
        if self.has_explicit_ids:
            explicit_ids = self.write_set.explicit_ids(self.sequences.allocated)
        builder = BatchBuilder(
            self.initial_catalog,
            self.catalog,
            self.entries,
            self.row_cache,
            self.newest_read_version,
            self.later_tables,
        )
        builder.write_rows(rows)
        if self.blocks:
            self._write_blocks(builder, explicit_ids)
        if locked:
            builder.write_locked_rows(locked, only_check=not (has_rows or self.blocks or self.schema_changed))
        if explicit_ids:
            builder.advance_sequences(explicit_ids)
        if self.database.counters.predictions is not None and self._sequences is not None:
            builder.take_numbers(self._sequences.taken_by_commit())
        if self.schema_changed:
            builder.write_schema()
        if self.schema_changed or self.isolation is Isolation.SERIALIZABLE:
            builder.check_catalog(self.newest_read_version)
        if not builder.has_changes and not locked:
            return None
        try:
            batch, version = self._send_merged(builder, fences)
        except Conflict as conflict:
            if self._reads_deleted_tables(conflict):
                return self._write()
            raise
        self.database.committed = version
        for counter, value in batch.advances.items():
            self.database.counters.advanced(counter, value)
        # If others have committed in between, our catalog lacks their schema changes.
        if self.schema_changed and version == self.newest_read_version + 1:
            digest = self.database.store.digest_after(self.digest, batch.token)
            return None if digest is None else builder.committed_catalog(version, digest)
        return None

    def _write_blocks(self, builder: BatchBuilder, explicit_ids: dict[int, int]) -> None:
        """Write the rows of blocks. `explicit_ids` gets the greatest id that was given, by table id."""
        for block in self.blocks:
            if isinstance(block, WholeTable):
                builder.empty_table(block)
                continue
            builder.write_block(block)
            if block.explicit_id is not None:
                explicit_ids[block.table.id] = max(block.explicit_id, explicit_ids.get(block.table.id, 0))

    def _reads_deleted_tables(self, conflict: Conflict) -> bool:
        """Read the rows of whole tables, to delete them one by one, if a conflict is about one of these tables."""
        if not any(conflict.space in block.spaces for block in self.blocks if isinstance(block, WholeTable)):
            return False
        self.blocks = self._row_blocks()
        return True

    def _send_merged(self, builder: BatchBuilder, fences: Sequence[Check]) -> tuple[Batch, int]:
        """Commit a batch, after the independent schema changes of others. Return it and its version."""
        if self._read_set is not None:
            builder.check_reads(self._read_set)
        if fences:
            builder.check_fences(fences)
        token = os.urandom(16)
        while True:
            batch = builder.build(token, self.read_digests)
            try:
                return batch, self._send(batch)
            except Conflict as conflict:
                if conflict.space != CATALOG or not self._merges_schema(builder):
                    raise

    def _merges_schema(self, builder: BatchBuilder) -> bool:
        """Let a refused batch check the newest schema. Return False if its own schema change might depend on that."""
        if not self.schema_changed or self.isolation is Isolation.SERIALIZABLE:
            return False
        seen = self.database.fetch_newest()
        if builder.catalog_since is None or seen.catalog_version <= builder.catalog_since:
            return False  # what was changed is the definition of a table whose rows were written
        if not are_independent(self.initial_catalog, self.catalog, self.database.catalog(seen)):
            return False
        builder.check_catalog(seen.version)
        self.note_digest(seen)
        return True

    def _send(self, batch: Batch) -> int:
        """Commit a batch, and report it. Return its version. Raise as `_send_translated`."""
        if not events.observers:
            return self._send_translated(batch)
        failure: type[BaseException] | None = None
        began = time.perf_counter()
        try:
            return self._send_translated(batch)
        except BaseException as error:
            failure = type(error)
            raise
        finally:
            took = time.perf_counter() - began
            size = sum(len(key) + len(value or b"") for _, key, value in batch.writes)
            events.report(events.CommitEnded(self.database.url, took, len(batch.writes), size, failure))

    def _send_translated(self, batch: Batch) -> int:
        """Commit a batch. Return its version. Raise Conflict, HistoryLost, LockLost, StoreUnavailable."""
        try:
            return self._send_when_unlocked(batch)
        except NotReplicated as error:
            self.not_replicated = error
            return error.version
        except SnapshotTooOld as error:
            if isinstance(error, HistoryLost):
                self.database.forget()
            if self.is_blind:  # it depends on no version
                raise Conflict("the schema may have changed; nothing was written, run the transaction again") from error
            raise
        except Conflict as conflict:
            # An allocated id may be in use: given explicitly, or allocated again after the server lost commits.
            reason = self.sequences.note_conflict(conflict)
            if conflict.space == TABLE_IDS:
                self.database.counters.drop(IDS)
            raise described_conflict(reason, self.catalog, [guard.name for guard in self.guards]) from conflict

    def _send_when_unlocked(self, batch: Batch) -> int:
        """Commit a batch. If others have locked rows that it writes, take these locks first, and keep them.

        Raise LockTimeout, or Conflict if waiting for a lock might be a deadlock.
        """
        store = self.database.cached or self.database.store
        while True:
            locks = self.row_locks or self.commit_locks
            try:
                return store.commit(batch if locks is None else replace(batch, owner=locks.owner))
            except NumbersTaken as taken:
                if not self.sequences.were_drawn(taken.counter):
                    raise
                left = {counter: last for counter, last in batch.expects.items() if counter != taken.counter}
                batch = replace(batch, expects=left)
            except KeysLocked as locked:
                rows = [row for row in map(row_of, locked.names) if row is not None]
                tables = self.tables_of(rows)
                if self.row_locks is not None:
                    self.row_locks.lock(rows, LockWaitPolicy.WAIT, tables)
                    continue
                if self.commit_locks is None:
                    self.commit_locks = RowLocks(self.database, self.lock_timeout)
                self.commit_locks.lock_in_any_order(rows, tables)

    def tables_of(self, rows: Iterable[RowKey]) -> str:
        """Return the names of the tables of some rows, for messages."""
        names = {self.catalog.by_id[table_id].name for table_id, _ in rows if table_id in self.catalog.by_id}
        return ", ".join(sorted(names))

    def take_locks_of(self, refused: Transaction) -> None:
        """Go on with the locks of a refused transaction, which this one repeats. Commit checks the locked rows."""
        self.commit_locks = refused.commit_locks
        if refused.row_locks is not None:
            self.row_locks = refused.row_locks
            self._earlier_digests = refused.read_digests

    def release_locks(self) -> None:
        """Release the row locks. If the store can't be reached, they expire."""
        for locks in (self.row_locks, self.commit_locks):
            if locks is not None:
                locks.release()

    def rollback(self) -> None:
        """End the transaction without writing anything."""
        if self._sequences is not None:
            self._sequences.release(allocated=True)
        self.workspace.end(keep=False, base=self.initial_catalog if self.schema_changed else None)
