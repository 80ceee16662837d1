"""The reads of one transaction: its read version, its catalog, its row cache, and the key ranges that commit checks.

The first fetch gives the read version (the snapshot); under SNAPSHOT and SERIALIZABLE every later fetch reads at that
version. `transaction` has the isolation levels.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager

from rome.cache.bound import DEFAULT, NEWEST, ReadBound
from rome.cache.cached import CachedReads
from rome.catalog.model import Catalog, Table
from rome.database.database import Database, Horizon
from rome.errors import Conflict, HistoryLost, InterfaceError, NotReplicated
from rome.locks.manager import Guard
from rome.sqlite.workspace import Workspace
from rome.storage.store import Count, Draw, Fetched, Range, Request, history_lost, rows_space
from rome.transaction.index_entries import IndexEntries
from rome.transaction.reads.read_set import ReadSet
from rome.transaction.reads.row_cache import RowCache, TableRequest, request_of
from rome.transaction.row_locks import RowLocks
from rome.transaction.writes.sequences import Sequences
from rome.transaction.writes.whole_table import Written
from rome.transaction.writes.write_set import WriteSet


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


class RunAgain(Exception):
    """An assumption of the transaction (`deferral`) does not hold: run its statements again, with constraint reads.

    It is not an error of the application: `rome.session.open_transaction` catches it.
    """


NO_WRITES = WriteSet()
NO_LATER_TABLES: Mapping[str, int] = {}


class Snapshot(ABC):
    """The state of one transaction over a workspace, and how it reads.

    Most transactions only read a few rows. What those do not need is created on first use.
    """

    version: int | None = None
    """The read version; None before the first fetch."""
    digest = b""
    """Of the read version: it distinguishes the version from others of the same number (see `storage.store`)."""
    is_blind = False
    """True if the transaction has read nothing, and its commit will check the schema since the database's horizon."""
    schema_changed = False
    later_tables: Mapping[str, int] = NO_LATER_TABLES
    """By name in lower case: the tables of the catalog that were created after the read version.

    With the version whose definition the transaction goes by. They are empty as of the read version.
    """
    has_writes = False
    """False if nothing was changed yet. After a ROLLBACK TO it may be True with nothing changed."""
    has_explicit_ids = False
    """True if an id of a new row was given explicitly. After a ROLLBACK TO it may be True without one."""
    write_set = NO_WRITES
    blocks: Sequence[Written] = ()
    """Rows that are not in the write set yet (see `writes.row_block`)."""
    only_workspace = False
    """True if the workspace must run all changes from now on, because rows are deleted in it."""
    guards: Sequence[Guard] = ()
    row_locks: RowLocks | None = None
    """Of SELECT … FOR UPDATE."""
    commit_locks: RowLocks | None = None
    """Of rows that others had locked when this transaction was to be committed."""
    not_replicated: NotReplicated | None = None
    """The store's report of a commit that is applied."""
    read_bound = DEFAULT
    """Of the read version, if the database has a cache."""
    _read_set: ReadSet | None = None
    _sequences: Sequences | None = None
    _earlier_digests: dict[int, bytes] | None = None
    """By version: the digests of what was read at other versions than the present read version."""

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
            self._read_set = ReadSet(self.newest_read_version)
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

    def _begin_blind(self) -> bool:
        """Go on without a read version. Return False if that is impossible: the catalog may be outdated."""
        horizon = self.database.horizon
        if horizon is None or horizon.catalog_digest != self.initial_catalog.digest:
            return False
        self.is_blind = True
        self._earlier_digests = {horizon.version: horizon.digest}
        return True

    def _end_blind(self) -> None:
        """Depend on the read version alone, which has the same catalog as the horizon."""
        self.is_blind = False
        self._earlier_digests = None
        if self._read_set is not None:
            self._read_set.rebase()

    def note_digest(self, seen: Fetched) -> None:
        """Note the digest of a version, other than the read version, that the commit depends on."""
        self._earlier_digests = {**(self._earlier_digests or {}), seen.version: seen.digest}

    @property
    def sequences(self) -> Sequences:
        """The ids that were allocated for new rows."""
        if self._sequences is None:
            self._sequences = Sequences(self.database.counters)
        return self._sequences

    @abstractmethod
    def settle(self) -> None:
        """Write the rows of blocks one by one."""

    @abstractmethod
    def _extend_catalogs(self, newer: Catalog, later: Set[str]) -> bool:
        """Add tables that only a newer catalog has to the present one, and to those of savepoints.

        Return False, with nothing done, if the transaction itself has created or dropped something of such a name.
        """

    @abstractmethod
    def _change_catalog(self, fetched: Fetched) -> None:
        """Go on with the newest catalog. Raise CatalogChanged; after a change, RunAgain or Conflict."""

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

        One round trip, and one more if the newest catalog is not cached.
        """
        fetched = self.database.fetch_newest()
        newest = self.database.catalog(fetched)
        initial = self.initial_catalog.with_tables_of(newest, mentioned)
        later = initial.tables.keys() - self.initial_catalog.tables.keys()
        if not later or not self._extend_catalogs(newest, later):
            return False
        self.initial_catalog = initial
        self.later_tables = {**self.later_tables, **dict.fromkeys(later, fetched.version)}
        self.note_digest(fetched)
        self.workspace.adopt(self.catalog)
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
            fetched = self._ask_cache(cached, requests, draws)
        elif not draws:
            return store.fetch(requests, self.version)
        else:
            predictions = self.database.counters.predictions
            if predictions is None:
                fetched = store.fetch(requests, self.version, draws)
            else:
                fetched = predictions.draw(draws, lambda wider: store.fetch(requests, self.version, wider))
        if sequences is not None and draws:
            sequences.add_drawn(draws, fetched.drawn)
        return fetched

    def _ask_cache(self, cached: CachedReads, requests: list[Request], draws: Sequence[Draw]) -> Fetched:
        """Fetch from the cache. If it needs no round trip, predict the ids; if that is impossible, draw them."""
        bound = self._wanted_bound()
        if not draws:
            return cached.fetch(requests, self.version, (), bound)
        draw = cached.predictions.draw
        fetched = draw(draws, lambda wider: cached.fetch(requests, self.version, wider, bound))
        if fetched.drawn:
            return fetched
        predicted = self.sequences.predict(draws)
        if predicted is None:
            return fetched._replace(drawn=draw(draws, lambda wider: self.database.store.fetch([], None, wider)).drawn)
        return fetched._replace(drawn=predicted)

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
            if self.database.defers_constraints:
                self.database.horizon = Horizon(version, digest, catalog_digest)
            is_replaced = incarnation != self.database.incarnation and self.database.is_replaced(incarnation)
            if is_replaced or catalog_digest != self.initial_catalog.digest:
                self._change_catalog(fetched)
            if self.is_blind:
                self._end_blind()
        if digest != self.digest or (self._earlier_digests and self._differs_from_earlier(fetched)):
            self.database.forget()
            raise history_lost(version)

    def _differs_from_earlier(self, fetched: Fetched) -> bool:
        """Return True if a version of this number was read before, and had another digest."""
        return (self._earlier_digests or {}).get(fetched.version, fetched.digest) != fetched.digest

    def table(self, name: str) -> Table | None:
        """Return the table of that name, as this transaction sees the schema."""
        return self.catalog.table(name)

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
