"""One transaction: its read version, what it has read and changed, its savepoints, and its commit.

A transaction begins with the first statement that needs the store; until then it costs nothing. Its first fetch gives
the read version, and under SNAPSHOT and SERIALIZABLE every later fetch reads at it. Nothing is written before commit,
which sends one batch: checks (was a key that we wrote, or looked at for a constraint, written by another since?) and
writes. So a transaction that only read ends without a round trip.

Isolation levels differ in two things, what they read and what commit checks:

    SNAPSHOT         one version throughout     keys written, constraint reads
    SERIALIZABLE     one version throughout     also every range read
    READ COMMITTED   each statement the newest  keys written, constraint reads
    AUTOCOMMIT       as SNAPSHOT, each statement a transaction of its own (the connection sees to that)
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rome.catalog.key_codec import rowid_key
from rome.catalog.model import Catalog, Table
from rome.database.counters import IDS, row_counter
from rome.database.database import Database
from rome.errors import Conflict, HistoryLost, InterfaceError, LockLost, OperationalError
from rome.locks.fences import FENCES
from rome.locks.manager import Guard
from rome.sqlite.workspace import Row, Workspace
from rome.storage.store import (
    CATALOG,
    Batch,
    Count,
    Fetched,
    Range,
    history_lost,
    index_space,
    next_digest,
    rows_space,
)
from rome.transaction.commit.batch import TABLE_IDS, BatchBuilder
from rome.transaction.constraints.violations import foreign_key_error
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.read_set import ReadSet
from rome.transaction.reads.row_cache import RowCache, TableRequest, request_of
from rome.transaction.row_locks import RowLocks
from rome.transaction.undo import UndoLog
from rome.transaction.writes.sequences import Number, Numbers
from rome.transaction.writes.write_set import RowWrite, entries_of, net_of


class Isolation(enum.Enum):
    """The isolation levels, by the names that URLs and connections use."""

    SNAPSHOT = "SNAPSHOT"
    SERIALIZABLE = "SERIALIZABLE"
    READ_COMMITTED = "READ COMMITTED"
    AUTOCOMMIT = "AUTOCOMMIT"


class CatalogChanged(Exception):
    """The first fetch showed that the schema is not the one that the statement was planned for. Plan it again."""


class Savepoint(NamedTuple):
    """A savepoint, and where everything that goes back with it stood."""

    name: str
    workspace: tuple[int, int]
    undo_log: int
    journal: int
    catalog: Catalog


class Transaction:
    """The state of one transaction over a workspace.

    Most transactions only read a few rows: what those do not need is made when it is asked for.
    """

    version: int | None = None
    digest = b""
    """Of the read version: it tells the version from others of its number (see `storage.store`)."""
    schema_changed = False
    has_writes = False
    """False if nothing was changed yet. After a ROLLBACK TO it may be True with nothing changed."""
    savepoints: Sequence[Savepoint] = ()
    guards: Sequence[Guard] = ()
    row_locks: RowLocks | None = None
    used: Sequence[Number] = ()
    """The numbers that a commit used of which nobody knows whether it was applied."""
    id_collision = False
    """Whether commit was refused because of a number that was drawn: with the same numbers it is refused again."""
    _changed: frozenset[int] = frozenset()
    _reads: ReadSet | None = None
    _numbers: Numbers | None = None
    _earlier: dict[int, bytes] | None = None

    def __init__(
        self, database: Database, workspace: Workspace, entries: IndexEntries, isolation: Isolation, foreign_keys: bool
    ) -> None:
        self.database = database
        self.workspace = workspace
        self.entries = entries
        self.isolation = isolation
        self.foreign_keys = foreign_keys
        self.catalog = self.base = database.newest
        self.undo_log = UndoLog()
        self.row_cache = RowCache(workspace, self.undo_log)
        self.journal: list[RowWrite] = []
        # What was changed without the workspace: the rows as they are now, and the keys that new ones have taken.
        self.own: dict[tuple[int, bytes], Row] = {}
        self.taken: set[tuple[bytes, bytes]] = set()
        self.change_counters = workspace.last_rowid, workspace.last_changes
        if workspace.schema.catalog is not self.catalog:
            workspace.use(self.catalog)

    @property
    def reads(self) -> ReadSet:
        """What commit is to check."""
        if self._reads is None:
            self._reads = ReadSet(self.version or 0)
        return self._reads

    @property
    def seen(self) -> dict[int, bytes]:
        """The digests of all versions that were read."""
        seen = dict(self._earlier or {})
        if self.version is not None:
            seen[self.version] = self.digest
        return seen

    @property
    def numbers(self) -> Numbers:
        """The numbers drawn from counters."""
        if self._numbers is None:
            self._numbers = Numbers(self.database.counters)
        return self._numbers

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def next_statement(self) -> None:
        """A statement begins. Under READ COMMITTED it will read the newest version."""
        if self.isolation is Isolation.READ_COMMITTED and self.version is not None:
            self.read_anew()

    def read_anew(self) -> None:
        """Forget what was read; the next statement reads the newest version.

        But under READ COMMITTED, only a transaction that has changed nothing, and whose reads nobody has seen, may.
        """
        changed = {(entry.table.id, key) for entry in self.journal for key in (entry.old_key, entry.new_key) if key}
        self.row_cache.forget_unchanged(self.catalog.tables.values(), changed)
        self._earlier = self._earlier or {}
        if self.version is not None:
            self._earlier[self.version] = self.digest
        self.version = None
        if self.isolation is not Isolation.READ_COMMITTED:
            self._reads = None

    def ensure_snapshot(self) -> None:
        """Have a read version, and the catalog of it. One round trip if there is none yet. Raises StaleCatalog."""
        if self.version is None:
            self._take_version(self.database.store.fetch([], None))

    def fetch(self, targets: Iterable[TableRequest]) -> list[TableRequest]:
        """Fetch what these targets ask for, as far as it is not known: one round trip, or none. What was fetched.

        Raises StaleCatalog.
        """
        missing = self.row_cache.missing(targets)
        if missing:
            self.row_cache.add(missing, self._ask(missing))
        return missing

    def count(self, table: Table, request: Count) -> int:
        """How many keys some ranges hold: one round trip. Raises StaleCatalog."""
        number: int = self._ask([TableRequest(table, request)]).answers[0]
        return number

    def _ask(self, targets: Sequence[TableRequest]) -> Fetched:
        try:
            fetched = self.database.store.fetch([*map(request_of, targets)], self.version)
        except HistoryLost:
            self.database.forget()
            raise
        self._take_version(fetched)
        if self.isolation is Isolation.SERIALIZABLE:
            self.reads.note(targets, fetched)
        return fetched

    def constrain(self, targets: Iterable[TableRequest]) -> None:
        """What these targets ask for, fetched at the present read version, is checked at commit at every level."""
        for target in targets:
            self.reads.constraint(target.request)

    @contextmanager
    def rebuilding_table(self, name: str) -> Iterator[None]:
        """Within, foreign keys are not enforced; and at commit no row of the table may have been written by others."""
        table = self.table(name)
        if table is not None:
            self.reads.unwritten(Range(rows_space(table.id)))
        enforced, self.foreign_keys = self.foreign_keys, False
        try:
            yield
        finally:
            self.foreign_keys = enforced

    def _take_version(self, fetched: Fetched) -> None:
        version, _, _, incarnation, digest, catalog_digest = fetched
        if self.version is None:
            self.version = version
            self.digest = digest
            if self._reads is not None:
                self._reads.version = version
            is_replaced = incarnation != self.database.incarnation and self.database.is_replaced(incarnation)
            if is_replaced or catalog_digest != self.base.digest:
                self._change_catalog(fetched)
        if digest != self.digest or (self._earlier and self._is_another(fetched)):
            self.database.forget()
            raise history_lost(version)

    def _is_another(self, fetched: Fetched) -> bool:
        """Whether a version of that number was read before, and is not this one."""
        return (self._earlier or {}).get(fetched.version, fetched.digest) != fetched.digest

    def _change_catalog(self, fetched: Fetched) -> None:
        """The schema is not the one we had: go on with the new one, unless something was changed already."""
        if 0 < fetched.catalog <= self.base.version:
            # Schemas are only changed forth: the server has lost the one we had.
            self.database.forget()
        if self.journal or self.schema_changed or (self.savepoints and self.workspace.temporary):
            raise Conflict("the schema was changed by another transaction; nothing was written, run it again")
        self.workspace.end(keep=self.workspace.temporary)
        self.undo_log = UndoLog()
        self.row_cache = RowCache(self.workspace, self.undo_log)
        self.catalog = self.base = self.database.catalog(fetched)
        self.workspace.use(self.catalog)
        # Nothing happened yet since they were opened.
        self.savepoints = [self.mark(savepoint.name) for savepoint in self.savepoints]
        raise CatalogChanged

    def fence(self, guard: Guard, late: bool) -> None:
        """Let a lock guard the commit. Raises Conflict if what was read may lack what its former holders wrote.

        `late`: it may.
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

    def stage_all(self) -> None:
        """Put all known rows into the workspace: for statements that may change any of them."""
        self.row_cache.stage(self.catalog.tables.values())

    # ── changing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def pending(self, mark: Savepoint) -> list[RowWrite]:
        """What the workspace recorded since a mark, as journal entries; they are not in the journal yet."""
        return entries_of(self.catalog, self.workspace.changes[mark.workspace[0] :])

    def record(self, entries: Sequence[RowWrite]) -> None:
        """Put entries into the journal; numbers given explicitly move the counters of this process on."""
        self.has_writes = True
        self.journal.extend(entries)
        self._changed |= {entry.table.id for entry in entries}
        for entry in entries:
            table = entry.table
            if entry.new_key is not None:
                self.row_cache.note_new(table, entry.new_key)
                if (
                    entry.old_key != entry.new_key
                    and table.counted
                    and (table.id, entry.new_rowid) not in self.numbers.drawn
                ):
                    self.numbers.give(table.id, (entry.new_rowid,))
                    self.database.counters.skip(row_counter(table.id), entry.new_rowid)

    def record_point_writes(self, entries: Sequence[RowWrite]) -> None:
        """Record what was changed without the workspace, each entry by an execution of its own, and owe it the rows."""
        for table, _, old, key, row, rowid, _ in entries:
            assert key is not None
            assert row is not None
            self.own[table.id, key] = row
            if old is None:
                self.taken.add((rows_space(table.id), key))
            self.workspace.defer_row(table, row, rowid if old is None else None)
        self.record(entries)

    def has_changed(self, tables: Iterable[Table]) -> bool:
        """Whether the transaction has changed rows of one of these tables, or the schema."""
        return self.schema_changed or bool(self.journal and self._changed.intersection(table.id for table in tables))

    def rows_now(self, table: Table) -> Iterator[Row]:
        """The rows of a table that the transaction has changed, as they are now."""
        if table.id in self._changed:
            for (table_id, _), state in net_of(self.journal).items():
                if table_id == table.id and state.row is not None:
                    yield state.row

    def next_id(self, table_id: int) -> int:
        """The next number of a table's counter."""
        return self.numbers.next(table_id, self.row_cache.known.get(table_id, {}))

    @property
    def is_guarded(self) -> bool:
        """Whether locks of the program's have a say in the transaction."""
        return bool(self.guards) or self.row_locks is not None

    def change_schema(self, catalog: Catalog) -> None:
        """A statement changed the schema in the workspace to this."""
        self.catalog = catalog
        self.has_writes = self.schema_changed = True
        self.workspace.adopt(catalog)

    # ── savepoints ────────────────────────────────────────────────────────────────────────────────────────────────

    def mark(self, name: str) -> Savepoint:
        """Open a savepoint in the workspace."""
        self.workspace.begin()
        self.numbers.mark()
        return Savepoint(
            name, self.workspace.open_savepoint(name), self.undo_log.mark(), len(self.journal), self.catalog
        )

    def back_to(self, mark: Savepoint) -> None:
        """Undo everything since the mark; its savepoint stays open. Numbers drawn since then are used again."""
        self.numbers.back_to_mark()
        self.workspace.rollback_to(mark.name, mark.workspace)
        self.undo_log.back_to(mark.undo_log)
        if len(self.journal) > mark.journal:
            del self.journal[mark.journal :]
            self._changed = frozenset(entry.table.id for entry in self.journal)
        if self.isolation is Isolation.READ_COMMITTED:
            # Rows that were taken out of the workspace since the mark, because they may be old, are in it again.
            self.row_cache.unstage_unknown(mark.catalog.tables.values())
        if self.catalog is not mark.catalog:
            self.catalog = mark.catalog
            self.workspace.adopt(mark.catalog)

    def savepoint(self, name: str) -> None:
        """SAVEPOINT name"""
        self.savepoints = [*self.savepoints, self.mark(name)]

    def rollback_to(self, name: str) -> None:
        """ROLLBACK TO name. Raises OperationalError if there is none."""
        at = self._find_savepoint(name)
        self.back_to(self.savepoints[at])
        self.savepoints = self.savepoints[: at + 1]

    def release(self, name: str) -> None:
        """RELEASE name. Raises OperationalError if there is none."""
        at = self._find_savepoint(name)
        self.workspace.release(self.savepoints[at].name)
        self.savepoints = self.savepoints[:at]

    def _find_savepoint(self, name: str) -> int:
        for at in range(len(self.savepoints) - 1, -1, -1):
            if self.savepoints[at].name.lower() == name.lower():
                return at
        raise OperationalError(f"no such savepoint: {name}")

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    def commit(self) -> None:
        """Write what was changed in one atomic commit. Raises Conflict, and then nothing was written.

        After the IntegrityError of a deferred foreign key the transaction is still open, after other errors it is over.
        """
        if self.foreign_keys and self.workspace.sqlite.in_transaction and self.workspace.deferred_violations:
            raise foreign_key_error(self.workspace, self.catalog, self.journal)
        try:
            catalog = self._write()
        except BaseException:
            # Whether it was applied may be unknown: the numbers that it used are not given back.
            self.used = list(self.numbers.drawn)
            self.numbers.drawn.clear()
            self.rollback()
            raise
        keep = self.workspace.temporary or self.schema_changed
        self.workspace.end(keep=keep)
        if self._numbers is not None:
            self._numbers.give_back(drawn=False)
        if catalog is not None:
            self.database.keep(catalog)
            self.workspace.adopt(catalog)

    def _write(self) -> Catalog | None:
        """Send the batch, if there is anything to write; the new catalog if the schema was changed."""
        fences = [guard.check() for guard in self.guards]
        net = net_of(self.journal)
        locked = self.row_locks.rows if self.row_locks is not None else {}
        if not net and not self.schema_changed and not locked:
            return None
        builder = BatchBuilder(self.base, self.catalog, self.entries, self.row_cache, self.version or 0)
        builder.rows(net)
        if locked:
            builder.touch(locked, only_check=not net and not self.schema_changed)
        builder.advance(self._explicit_ids(net.keys()))
        if self.schema_changed:
            builder.schema()
        batch = builder.build(os.urandom(16), [*self.reads.checks(), *fences], self.seen)
        if not batch.writes and not batch.drops and not locked:
            return None
        version = self._send(batch)
        for counter, value in batch.advances.items():
            self.database.counters.advanced(counter, value)
        # If others have committed between, their changes of the schema are not in our catalog.
        if self.schema_changed and version == (self.version or 0) + 1:
            return builder.committed_catalog(version, next_digest(self.digest, batch.token))
        return None

    def _send(self, batch: Batch) -> int:
        """Commit a batch; its version. Raises Conflict, HistoryLost, LockLost, StoreUnavailable."""
        try:
            return self.database.store.commit(batch)
        except HistoryLost:
            self.database.forget()
            raise
        except Conflict as conflict:
            # A number that we drew is taken: somebody gave it explicitly, or the server has given it out again.
            for table_id, number in self.numbers.drawn:
                if (conflict.space, conflict.key) == (rows_space(table_id), rowid_key(number)):
                    self.database.counters.drop(row_counter(table_id))
                    self.id_collision = True
            raise self._named(conflict) from conflict

    def _named(self, conflict: Conflict) -> OperationalError:
        """A store's conflict, told in the words of the schema."""
        if conflict.space == FENCES:
            names = " or ".join(repr(guard.name) for guard in self.guards)
            return LockLost(f"lock {names} is lost: another holder has overtaken it; nothing was written")
        for table in self.catalog.tables.values():
            spaces = {rows_space(table.id), *(index_space(index.id) for index in table.indexes)}
            if conflict.space in spaces:
                return Conflict(
                    f"conflict on table {table.name}: another transaction has changed what this one read or wrote; "
                    "nothing was written, run it again",
                    conflict.space,
                )
        if conflict.space == TABLE_IDS:
            self.database.counters.drop(IDS)
        if conflict.space in (CATALOG, TABLE_IDS):
            return Conflict(
                "conflict on the schema: another transaction has changed it; nothing was written, run it again",
                conflict.space,
            )
        return conflict

    def _explicit_ids(self, keys: Iterable[tuple[int, bytes]]) -> dict[int, int]:
        """Table id → the greatest number of a new row that did not come from the counter."""
        written = set(keys)
        greatest: dict[int, int] = {}
        for entry in self.journal:
            table = entry.table
            if entry.new_key is None or entry.new_key == entry.old_key or not table.counted:
                continue
            if (table.id, entry.new_rowid) not in self.numbers.drawn and (table.id, entry.new_key) in written:
                greatest[table.id] = max(greatest.get(table.id, 0), entry.new_rowid)
        return greatest

    def rollback(self) -> None:
        """End the transaction without writing anything."""
        if self._numbers is not None:
            self._numbers.give_back(drawn=True)
        self.workspace.end(keep=False)
        if self.schema_changed:
            self.workspace.adopt(self.base)

    def table(self, name: str) -> Table | None:
        """The table of that name, as this transaction sees the schema."""
        return self.catalog.table(name)
