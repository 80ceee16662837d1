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
    reads/row_cache      rows that were fetched; which of them are in the workspace
    reads/read_set       key ranges that commit checks
    writes/write_set     rows that were written
    writes/row_block     many rows that one statement has written
    writes/sequences     ids that were allocated for new rows
    row_locks            rows that SELECT … FOR UPDATE has locked
    constraints          the keys that UNIQUE and FOREIGN KEY need, which violation it was
    commit/batch         from the write set to the batch of checks and writes

A savepoint marks the workspace, the undo log of the row cache, and the write set; ROLLBACK TO takes all of them back.
"""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from rome import events
from rome.cache.bound import DEFAULT, NEWEST, ReadBound
from rome.catalog.model import Catalog, Table
from rome.database.counters import IDS, row_counter
from rome.database.database import Database
from rome.errors import Conflict, HistoryLost, InterfaceError, KeysLocked, NotReplicated, OperationalError
from rome.folding import fold_name
from rome.locks.manager import Guard
from rome.sql.syntax.statement import LockWaitPolicy
from rome.sqlite.workspace import Workspace
from rome.storage.store import Batch, Count, Fetched, Range, Request, history_lost, rows_space
from rome.transaction.commit.batch import TABLE_IDS, BatchBuilder, described_conflict
from rome.transaction.constraints.violations import foreign_key_error
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.read_set import ReadSet
from rome.transaction.reads.row_cache import RowCache, TableRequest, request_of
from rome.transaction.row_locks import RowKey, RowLocks, row_of
from rome.transaction.writes.row_block import RowBlock
from rome.transaction.writes.sequences import Sequences
from rome.transaction.writes.write_set import RowWrite, WriteSet, row_writes


class Isolation(enum.Enum):
    """The isolation levels, by the names that URLs and connections use."""

    SNAPSHOT = "SNAPSHOT"
    SERIALIZABLE = "SERIALIZABLE"
    READ_COMMITTED = "READ COMMITTED"
    AUTOCOMMIT = "AUTOCOMMIT"


class CatalogChanged(Exception):
    """The first fetch has shown a newer catalog than the one that the statement was planned under: plan it again.

    It is not an error: nothing has happened yet. `rome.session.run.with_current_catalog` catches it.
    """


class Savepoint(NamedTuple):
    """A savepoint, and the marks to which ROLLBACK TO takes back what goes with it."""

    name: str
    workspace: tuple[int, int]
    undo_log: int
    write_set: tuple[int, int]
    catalog: Catalog


_NO_WRITES = WriteSet()


class Transaction:
    """The state of one transaction over a workspace.

    Most transactions only read a few rows. What those do not need is created on first use.
    """

    version: int | None = None
    """The read version; None before the first fetch."""
    digest = b""
    """Of the read version: it distinguishes the version from others of the same number (see `storage.store`)."""
    schema_changed = False
    has_later_tables = False
    """True if the catalog has tables that were created after the read version."""
    has_writes = False
    """False if nothing was changed yet. After a ROLLBACK TO it may be True with nothing changed."""
    has_explicit_ids = False
    """True if an id of a new row was given explicitly. After a ROLLBACK TO it may be True without one."""
    write_set = _NO_WRITES
    blocks: Sequence[RowBlock] = ()
    """Rows that are not in the write set yet (see `writes.row_block`)."""
    only_workspace = False
    """True if the workspace must run all changes from now on, because rows are deleted in it."""
    savepoints: Sequence[Savepoint] = ()
    guards: Sequence[Guard] = ()
    row_locks: RowLocks | None = None
    """Of SELECT … FOR UPDATE."""
    commit_locks: RowLocks | None = None
    """Of rows that others had locked when this transaction was to be committed."""
    not_replicated: NotReplicated | None = None
    """What the store has reported of the commit, which is applied."""
    read_bound = DEFAULT
    """Of the read version, if the database has a cache."""
    _read_set: ReadSet | None = None
    _sequences: Sequences | None = None
    _earlier_digests: dict[int, bytes] | None = None
    """By version: the digests of what was read before the present read version."""

    def __init__(
        self,
        database: Database,
        workspace: Workspace,
        entries: IndexEntries,
        isolation: Isolation,
        foreign_keys: bool,
        lock_timeout: float,
    ) -> None:
        """`lock_timeout`: seconds to wait for row locks of other transactions."""
        self.database = database
        self.workspace = workspace
        self.entries = entries
        self.isolation = isolation
        self.foreign_keys = foreign_keys
        self.lock_timeout = lock_timeout
        self.catalog = self.initial_catalog = database.newest
        self.row_cache = RowCache(workspace)
        total = workspace.sqlite.total_changes() - workspace.changes_not_counted
        self.counters = workspace.last_rowid, workspace.last_changes, total
        """`Workspace.counters` at the beginning of the transaction, for a replay. Not its call, which costs more."""
        if workspace.schema.catalog is not self.catalog:
            workspace.use(self.catalog)

    @property
    def read_set(self) -> ReadSet:
        """The key ranges that commit checks."""
        if self._read_set is None:
            self._read_set = ReadSet(self.version or 0)
        return self._read_set

    @property
    def newest_read_version(self) -> int:
        """Return the newest version that was read; 0 if none was.

        Under READ COMMITTED there may be no present read version: the last statement has fetched nothing.
        """
        return self.version if self.version is not None else max(self._earlier_digests or (), default=0)

    @property
    def read_digests(self) -> dict[int, bytes]:
        """The digests of all versions that were read."""
        digests = dict(self._earlier_digests or {})
        if self.version is not None:
            digests[self.version] = self.digest
        return digests

    @property
    def sequences(self) -> Sequences:
        """The ids that were allocated for new rows."""
        if self._sequences is None:
            self._sequences = Sequences(self.database.counters)
        return self._sequences

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def next_statement(self) -> None:
        """Begin a statement. Under READ COMMITTED it will read the newest version.

        After a schema change the transaction keeps its version: commit fills new indexes from the cached rows.
        """
        if self.isolation is Isolation.READ_COMMITTED and self.version is not None and not self.schema_changed:
            self.read_anew()

    def read_anew(self) -> None:
        """Forget what was read, so that the next statement reads the newest version.

        Except under READ COMMITTED, only for a transaction that has changed nothing, and whose reads the application
        has not seen.
        """
        self.settle()
        self.row_cache.forget_unchanged(self.catalog.by_id, self.write_set.written)
        self._earlier_digests = self._earlier_digests or {}
        if self.version is not None:
            self._earlier_digests[self.version] = self.digest
        self.version = None
        if self.isolation is not Isolation.READ_COMMITTED:
            self._read_set = None

    def ensure_snapshot(self) -> None:
        """Have a read version, and its catalog: one round trip if there is none yet. Raise CatalogChanged."""
        if self.version is None:
            self._take_version(self._ask_store([]))

    def add_later_tables(self, mentioned: Iterable[str]) -> bool:
        """Add tables of these names that were created after the read version. Return False if there are none.

        They are empty as of the read version. One round trip, and one more if the newest catalog is not cached.
        """
        newest = self.database.catalog(self.database.fetch_newest())
        extended = self.initial_catalog.with_tables_of(newest, mentioned)
        if extended is self.initial_catalog or self.schema_changed:
            return False
        self.catalog = self.initial_catalog = extended
        self.has_later_tables = True
        self.workspace.adopt(extended)
        return True

    def fetch(self, requests: Iterable[TableRequest]) -> list[TableRequest]:
        """Fetch what is not cached of these requests: one round trip, or none. Return what was fetched.

        Raise CatalogChanged.
        """
        missing = self.row_cache.missing(requests)
        if missing:
            self.row_cache.add(missing, self._fetch(missing))
        return missing

    def count(self, table: Table, request: Count) -> int:
        """Return how many keys some ranges hold: one round trip. Raise CatalogChanged."""
        number: int = self._fetch([TableRequest(table, request)]).answers[0]
        return number

    def _fetch(self, requests: Sequence[TableRequest]) -> Fetched:
        try:
            fetched = self._ask_store([*map(request_of, requests)])
        except HistoryLost:
            self.database.forget()
            raise
        self._take_version(fetched)
        if self.isolation is Isolation.SERIALIZABLE:
            self.read_set.note(requests, fetched)
        return fetched

    def _ask_store(self, requests: list[Request]) -> Fetched:
        """Fetch from the store, and draw along the ids that were announced."""
        store, sequences = self.database.store, self._sequences
        cached = self.database.cached
        draws = sequences.draws() if sequences is not None else ()
        if cached is not None:
            fetched = cached.fetch(requests, self.version, draws, self._wanted_bound())
        elif draws:
            fetched = store.fetch(requests, self.version, draws)
        else:
            return store.fetch(requests, self.version)
        if sequences is not None and draws:
            sequences.add_drawn(draws, fetched.drawn)
        return fetched

    def _wanted_bound(self) -> ReadBound:
        """Return how fresh the read version must be. Who holds locks sees what their former holders wrote."""
        is_locked = self.is_guarded or self.commit_locks is not None
        return NEWEST if is_locked else self.read_bound

    def note_constraint_reads(self, requests: Iterable[TableRequest]) -> None:
        """Let commit check, at every level, that what these requests found at the read version is still there.

        It also checks the definitions of the tables: the constraint may be gone, or mean another key.
        """
        for table, request in requests:
            self.read_set.constraint(table, request)

    def note_judged_rows(self, tables: Iterable[Table]) -> None:
        """Let commit check, at every level, that these tables are unwritten: their rows allowed a schema change."""
        for table in tables:
            self.read_set.unwritten(Range(rows_space(table.id)))

    @contextmanager
    def rebuilding_table(self, name: str) -> Iterator[None]:
        """Within the block, let a table be dropped and created again. The transaction must have a snapshot.

        Foreign keys are not enforced. Commit checks that no other transaction has written a row of the table.
        """
        table = self.table(name)
        if table is not None:
            self.note_judged_rows((table,))
        enforced, self.foreign_keys = self.foreign_keys, False
        try:
            yield
        finally:
            self.foreign_keys = enforced

    def _take_version(self, fetched: Fetched) -> None:
        version, _, _, incarnation, digest, catalog_digest, _ = fetched
        if self.version is None:
            self.version = version
            self.digest = digest
            if self._read_set is not None:
                self._read_set.version = version
            is_replaced = incarnation != self.database.incarnation and self.database.is_replaced(incarnation)
            if is_replaced or catalog_digest != self.initial_catalog.digest:
                self._change_catalog(fetched)
        if digest != self.digest or (self._earlier_digests and self._differs_from_earlier(fetched)):
            self.database.forget()
            raise history_lost(version)

    def _differs_from_earlier(self, fetched: Fetched) -> bool:
        """Return True if a version of this number was read before, and had another digest."""
        return (self._earlier_digests or {}).get(fetched.version, fetched.digest) != fetched.digest

    def _change_catalog(self, fetched: Fetched) -> None:
        """Go on with the newest catalog. Raise CatalogChanged, or Conflict if something was changed already."""
        if 0 < fetched.catalog_version <= self.initial_catalog.version:
            # Catalog versions only grow: the server has lost the one that we had.
            self.database.forget()
        if self.write_set or self.blocks or self.schema_changed or (self.savepoints and self.workspace.temporary):
            raise Conflict("the schema was changed by another transaction; nothing was written, run it again")
        self.workspace.end(keep=self.workspace.temporary)
        self.row_cache = RowCache(self.workspace)
        self.catalog = self.initial_catalog = self.database.catalog(fetched)
        self.workspace.use(self.catalog)
        # Nothing has happened since the savepoints were opened.
        self.savepoints = [self.mark(savepoint.name) for savepoint in self.savepoints]
        raise CatalogChanged

    def fence(self, guard: Guard, late: bool) -> None:
        """Let a lock guard the commit.

        Raise Conflict if the transaction may have missed writes of the lock's former holders. `late`: the caller has
        made sure that it has not.
        """
        if not guard.guards(self.database.store):
            raise InterfaceError(f"lock {guard.name!r} is of another database than this connection")
        reads_one_version = self.isolation is not Isolation.READ_COMMITTED and self.version is not None
        if reads_one_version and not late and (self.version or 0) < guard.version:
            raise Conflict(
                f"the transaction began before lock {guard.name!r} was taken, so it may not see what the lock's former "
                "holders wrote; run it again, and take the lock first"
            )
        self.guards = (*self.guards, guard)

    @property
    def is_guarded(self) -> bool:
        """True if locks or row locks are part of the transaction."""
        return bool(self.guards) or self.row_locks is not None

    def load_all_into_workspace(self) -> None:
        """Put all cached rows into the workspace: for statements that may change any of them."""
        self.row_cache.load_all_into_workspace(self.catalog.by_id)

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
        for table, _, old, _, row, rowid, _ in writes:
            assert row is not None
            workspace.defer_row(table, row, rowid if old is None else None)
        if not are_counted:
            workspace.count_changes(len(writes), 1, rowid if old is None else None)
        for table, _, old, key, _, rowid, _ in writes:
            assert key is not None
            row_cache.note_written(table, key)
            if old is None:
                self._note_id(table, rowid)

    def record_block(self, block: RowBlock, total: int, last: int) -> None:
        """Add the rows of a block, which were written without the workspace.

        SQL counts `total` changed rows, `last` of them by the last execution of the statement.
        """
        if block.keys:
            self.blocks = [*self.blocks, block]
            self.has_writes = True
            explicit_id = block.explicit_id
            if explicit_id is not None:
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
        blocks, self.blocks = self.blocks, ()
        for block in blocks:
            writes = list(block.writes())
            if block.news is None:
                self._writable().record(writes)
                self.row_cache.note_deleted(block.table, block.keys)
                self.only_workspace = True
            else:
                taken = [(space, key) for space, keys in block.taken.items() for key in keys]
                self.record_point_writes(writes, taken, are_counted=True)

    def is_taken(self, space: bytes, key: bytes) -> bool:
        """Return True if a row that was inserted without the workspace has this row key, or key of a unique index."""
        if (space, key) in self.write_set.taken_keys:
            return True
        return any(key in block.taken_keys(space) for block in self.blocks)

    def _writable(self) -> WriteSet:
        if self.write_set is _NO_WRITES:
            self.write_set = WriteSet()
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

    def table(self, name: str) -> Table | None:
        """Return the table of that name, as this transaction sees the schema."""
        return self.catalog.table(name)

    # ── savepoints ────────────────────────────────────────────────────────────────────────────────────────────────

    def mark(self, name: str) -> Savepoint:
        """Open a savepoint in the workspace. Return it."""
        self.settle()
        self.workspace.begin()
        self.sequences.mark()
        workspace = self.workspace.open_savepoint(name)
        return Savepoint(name, workspace, len(self.row_cache.undo_log), self.write_set.mark(), self.catalog)

    def roll_back_to(self, savepoint: Savepoint) -> None:
        """Undo everything since the savepoint, which stays open. Ids allocated since then are allocated again."""
        self.sequences.roll_back_to_mark()
        self.workspace.rollback_to(savepoint.name, savepoint.workspace)
        self.row_cache.roll_back_to(savepoint.undo_log, savepoint.catalog.by_id)
        self.row_cache.note_unwritten(self.write_set.roll_back_to(savepoint.write_set))
        if self.catalog is not savepoint.catalog:
            for table in savepoint.catalog.tables.values():
                self.row_cache.forget_other_layouts(table)
            self.catalog = savepoint.catalog
            self.workspace.adopt(savepoint.catalog)

    def savepoint(self, name: str) -> None:
        """SAVEPOINT name"""
        self.savepoints = [*self.savepoints, self.mark(name)]

    def rollback_to(self, name: str) -> None:
        """ROLLBACK TO name. Raise OperationalError if there is no such savepoint."""
        at = self._find_savepoint(name)
        self.roll_back_to(self.savepoints[at])
        self.savepoints = self.savepoints[: at + 1]

    def release(self, name: str) -> None:
        """RELEASE name. Raise OperationalError if there is no such savepoint."""
        at = self._find_savepoint(name)
        self.workspace.release(self.savepoints[at].name)
        self.savepoints = self.savepoints[:at]

    def is_outermost(self, name: str) -> bool:
        """Return True if RELEASE name would release all savepoints. Raise OperationalError if there is no such."""
        return self._find_savepoint(name) == 0

    def _find_savepoint(self, name: str) -> int:
        for at in range(len(self.savepoints) - 1, -1, -1):
            if fold_name(self.savepoints[at].name) == fold_name(name):
                return at
        raise OperationalError(f"no such savepoint: {name}")

    # ── commit and rollback ───────────────────────────────────────────────────────────────────────────────────────

    def commit(self) -> None:
        """Write what was changed in one atomic commit. Raise Conflict, with nothing written, if a check fails.

        After the IntegrityError of a deferred foreign key the transaction is still open; after other errors it is over.
        Raise NotReplicated when all is done as after other commits.
        """
        if self.foreign_keys and self.workspace.sqlite.in_transaction and self.workspace.deferred_violations:
            raise foreign_key_error(self.workspace, self.catalog, self.write_set)
        try:
            catalog = self._write()
        except BaseException:
            # The commit may have been applied, so the ids that it used are not released.
            self.sequences.keep_uncertain()
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
        fences = [guard.check() for guard in self.guards]
        rows = self.write_set.final_rows() if self.has_writes else {}
        has_rows = any(rows.values())
        locked = self.row_locks.rows if self.row_locks is not None else {}
        if not has_rows and not self.blocks and not self.schema_changed and not locked:
            return None
        explicit_ids: dict[int, int] = {}
        if self.has_explicit_ids:
            explicit_ids = self.write_set.explicit_ids(self.sequences.allocated)
        builder = BatchBuilder(
            self.initial_catalog, self.catalog, self.entries, self.row_cache, self.newest_read_version
        )
        builder.write_rows(rows)
        for block in self.blocks:
            builder.write_block(block)
        if locked:
            builder.write_locked_rows(locked, only_check=not (has_rows or self.blocks or self.schema_changed))
        for block in self.blocks:
            if block.explicit_id is not None:
                explicit_ids[block.table.id] = max(block.explicit_id, explicit_ids.get(block.table.id, 0))
        if explicit_ids:
            builder.advance_sequences(explicit_ids)
        if self.schema_changed:
            builder.write_schema()
        if self.schema_changed or self.isolation is Isolation.SERIALIZABLE:
            builder.check_catalog()
        reads = self._read_set.checks() if self._read_set is not None else ()
        batch = builder.build(os.urandom(16), [*reads, *fences], self.read_digests)
        if not batch.writes and not batch.drops and not locked:
            return None
        version = self.database.committed = self._send(batch)
        for counter, value in batch.advances.items():
            self.database.counters.advanced(counter, value)
        # If others have committed in between, our catalog lacks their schema changes.
        if self.schema_changed and version == self.newest_read_version + 1:
            digest = self.database.store.digest_after(self.digest, batch.token)
            return None if digest is None else builder.committed_catalog(version, digest)
        return None

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
        except HistoryLost:
            self.database.forget()
            raise
        except Conflict as conflict:
            # An allocated id may be in use: given explicitly, or allocated again after the server lost commits.
            self.sequences.note_conflict(conflict.space, conflict.key)
            if conflict.space == TABLE_IDS:
                self.database.counters.drop(IDS)
            raise described_conflict(conflict, self.catalog, [guard.name for guard in self.guards]) from conflict

    def _send_when_unlocked(self, batch: Batch) -> int:
        """Commit a batch. If others have locked rows that it writes, take these locks first, and keep them.

        Raise LockTimeout, or Conflict if waiting for a lock might be a deadlock.
        """
        store = self.database.cached or self.database.store
        while True:
            locks = self.row_locks or self.commit_locks
            try:
                return store.commit(batch if locks is None else replace(batch, owner=locks.owner))
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
