"""A database as a process sees it: its store, and what connections share: catalogs, plans, numbers of counters."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from functools import lru_cache

from rome.catalog.codec import decode_catalog
from rome.catalog.model import Catalog
from rome.errors import InterfaceError
from rome.execution.plan_cache import PlanCache
from rome.sql.planner import Statistics
from rome.storage.registry import open_store
from rome.storage.store import CATALOG, Fetched, Store, Whole, history_lost
from rome.url import URL

_CATALOGS = 8
_BLOCK = 32
_MOST_IDLE = 32

CONNECTION_OPTIONS = frozenset({"isolation_level", "foreign_keys", "lock_timeout", "slow_ms"})
"""URL options that are a connection's, not the store's."""

IDS = b"ids"
"""The counter of the ids of tables and indexes."""


@lru_cache(maxsize=10_000)
def row_counter(table_id: int) -> bytes:
    """The counter that a table's integer primary keys come from."""
    return b"t%d" % table_id


class Counters:
    """Numbers of the store's counters, taken in blocks that the connections of this process share.

    A child process must not go on with its parent's blocks: they are dropped at fork.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._blocks: dict[bytes, list[range]] = {}
        self._floors: dict[bytes, int] = {}
        _all_counters.add(self)

    def next(self, counter: bytes) -> int:
        """The next number."""
        with self._lock:
            blocks = self._blocks.setdefault(counter, [])
            if not blocks:
                blocks.append(self._allocate(counter, _BLOCK))
            first = blocks[0]
            blocks[:1] = [first[1:]] if len(first) > 1 else []
            return first[0]

    def prepare(self, counter: bytes, count: int) -> None:
        """See to it that `count` numbers can be had without asking the store again."""
        with self._lock:
            blocks = self._blocks.setdefault(counter, [])
            missing = count - sum(map(len, blocks))
            if missing > 0:
                blocks.append(self._allocate(counter, missing + _BLOCK))

    def _allocate(self, counter: bytes, count: int) -> range:
        floor = self._floors.pop(counter, None)
        if floor is not None:
            self._store.advance(counter, floor)
        first = self._store.allocate(counter, count)
        return range(first, first + count)

    def give_back(self, counter: bytes, number: int) -> None:
        """The number was not used. It is handed out again if it was the last one, so that numbers still grow."""
        with self._lock:
            blocks = self._blocks.get(counter)
            if blocks and blocks[0].start == number + 1:
                blocks[0] = range(number, blocks[0].stop)

    def skip(self, counter: bytes, value: int) -> None:
        """Hand out only numbers greater than `value` from now on, as far as this process goes."""
        with self._lock:
            blocks = self._blocks.get(counter, [])
            left = [range(max(block.start, value + 1), block.stop) for block in blocks if block.stop > value + 1]
            self._blocks[counter] = left
            if not left:
                self._floors[counter] = max(value, self._floors.get(counter, 0))

    def advanced(self, counter: bytes, value: int) -> None:
        """The store's counter was moved on to `value` by a commit."""
        with self._lock:
            if self._floors.get(counter, value + 1) <= value:
                del self._floors[counter]

    def drop(self, counter: bytes) -> None:
        """A number of this counter turned out to be taken, so others may be: take new ones from the store."""
        with self._lock:
            self._blocks.pop(counter, None)

    def forget(self) -> None:
        """Drop all blocks."""
        self._lock = threading.Lock()
        self._blocks.clear()
        self._floors.clear()


_all_counters: weakref.WeakSet[Counters] = weakref.WeakSet()


def _after_fork() -> None:
    for counters in _all_counters:
        counters.forget()


os.register_at_fork(after_in_child=_after_fork)


class Database:
    """One database in a store. Connections of a process to the same URL share it; `close` when the last one goes."""

    def __init__(self, url: URL, store: Store) -> None:
        self.url = url
        self.store = store
        self.counters = Counters(store)
        self._lock = threading.Lock()
        self._catalogs: OrderedDict[bytes, Catalog] = OrderedDict({b"": Catalog()})
        self.plans = PlanCache()
        self.statistics = Statistics()
        self.newest = Catalog()
        self.incarnation = b""
        self.replays = 0
        self.users = 0

    def catalog(self, seen: Fetched) -> Catalog:
        """The catalog of a version that was the newest just now. A round trip if it is not known.

        Raises HistoryLost if the version has become another one meanwhile.
        """
        with self._lock:
            catalog = self._catalogs.get(seen.catalog_digest)
        if catalog is None:
            fetched = self.store.fetch([Whole(CATALOG)], seen.version)
            if fetched.digest != seen.digest:
                raise history_lost(seen.version)
            catalog = decode_catalog(seen.catalog, sorted(zip(*fetched.answers[0], strict=True)), seen.catalog_digest)
        self.keep(catalog)
        return catalog

    def keep(self, catalog: Catalog) -> None:
        """Remember a committed catalog, the newest that there is."""
        with self._lock:
            catalog = self._catalogs.setdefault(catalog.digest, catalog)
            self._catalogs.move_to_end(catalog.digest)
            while len(self._catalogs) > _CATALOGS:
                self._catalogs.popitem(last=False)
            self.newest = catalog

    def is_replaced(self, incarnation: bytes) -> bool:
        """Whether the database was dropped, or replaced, since we saw it last; what we knew of it is forgotten then."""
        if incarnation == self.incarnation:
            return False
        is_new, self.incarnation = not self.incarnation, incarnation
        if not is_new:
            self.forget()
        return not is_new

    def forget(self) -> None:
        """Forget all that is remembered of the store's contents."""
        with self._lock:
            self._catalogs = OrderedDict({b"": Catalog()})
            self.plans.clear()
            self.newest = Catalog()
        self.counters.forget()
        self.statistics.forget()


_databases: dict[URL, Database] = {}
_idle: OrderedDict[URL, Database] = OrderedDict()
"""Databases that nobody has open. What is known of the last ones is kept: who opens one for each statement needs it."""
_databases_lock = threading.Lock()


def open_database(url: URL) -> Database:
    """The database of a URL, shared in this process until it is released as often as it was opened.

    Raises InterfaceError for a wrong URL; StoreUnavailable and FormatError if the first one finds no store it can use.
    """
    key = _without_connection_options(url)
    with _databases_lock:
        database = _databases.get(key)
        if database is None:
            database = _idle.pop(key) if key in _idle else Database(key, open_store(key))
            _databases[key] = database
        database.users += 1
        is_first = database.users == 1
    if is_first:
        try:
            database.store.fetch([])
        except BaseException:
            release_database(database)
            raise
    return database


def release_database(database: Database) -> None:
    """Give back what `open_database` gave; the last one closes the store's connections."""
    with _databases_lock:
        database.users -= 1
        if database.users == 0:
            _idle[database.url] = _databases.pop(database.url)
            while len(_idle) > _MOST_IDLE:
                _idle.popitem(last=False)
            database.store.close()


def drop_database(url: URL) -> None:
    """Remove a database with all that it holds. Connections that are open find an empty one."""
    database = open_database(url)
    try:
        database.store.clear()
        database.forget()
    finally:
        release_database(database)
        with _databases_lock:
            _idle.pop(database.url, None)


def clone_database(source: URL, target: URL) -> None:
    """Make `target`, which must be empty, a copy of the newest version of `source`. Both are of the same store."""
    if source.store != target.store:
        raise InterfaceError(f"can't clone from store {source.store!r} to store {target.store!r}")
    first, second = open_database(source), open_database(target)
    try:
        second.store.copy_from(first.store)
        second.forget()
    finally:
        release_database(second)
        release_database(first)


def _without_connection_options(url: URL) -> URL:
    options = {name: value for name, value in url.options.items() if name not in CONNECTION_OPTIONS}
    return URL(url.store, url.database, url.user, url.password, url.host, url.port, options)
