"""A database as one process sees it: its store, and what connections share: catalogs, plans, statistics, counters."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from rome.cache.bound import NEWEST
from rome.cache.cached import CachedReads
from rome.cache.predictions import Predictions
from rome.catalog.codec import decode_catalog
from rome.catalog.model import Catalog
from rome.database.counters import Counters
from rome.forks import new_lock
from rome.plan.plan import PlanCache
from rome.sql.planner.statistics import Statistics
from rome.storage.store import CATALOG, Fetched, Scan, Store, history_lost
from rome.url import URL

_CATALOGS = 8


class Horizon(NamedTuple):
    """A version that was seen, with its digest, and that of its catalog."""

    version: int
    digest: bytes
    catalog_digest: bytes


class Database:
    """One database in a store. The connections of a process to the same URL share it (`rome.database.registry`)."""

    def __init__(self, url: URL, store: Store, cached: CachedReads | None = None) -> None:
        """`cached`: the reads of transactions, if they may be stale."""
        self.url = url
        self.store = store
        self.cached = cached
        in_blocks = not store.is_shared or url.options.get("ids") == "blocks"
        self.defers_constraints = url.options.get("constraints") == "deferred"
        predictions = cached.predictions if cached is not None else None
        if predictions is None and self.defers_constraints:
            predictions = Predictions()
        self.counters = Counters(store, in_blocks, predictions)
        self._lock = new_lock()
        self._catalogs: OrderedDict[bytes, Catalog] = OrderedDict({b"": Catalog()})
        self.plans = PlanCache()
        self.statistics = Statistics()
        self.newest = Catalog()
        self.incarnation = b""
        self.replays = 0
        self.users = 0
        self.horizon: Horizon | None = None
        """The last version that a transaction has read first, if constraints are deferred."""
        self.committed = 0
        """The version of this process's last commit."""

    def fetch_newest(self) -> Fetched:
        """Return the newest version. Later reads do not go back before it."""
        return self.store.fetch([]) if self.cached is None else self.cached.fetch([], read_bound=NEWEST)

    def catalog(self, seen: Fetched) -> Catalog:
        """Return the catalog of a fetched version, the newest one: a round trip if it is not cached.

        Raise HistoryLost if the store now has another version of the same number.
        """
        with self._lock:
            catalog = self._catalogs.get(seen.catalog_digest)
        if catalog is None:
            fetched = self.store.fetch([Scan(CATALOG)], seen.version)
            if fetched.digest != seen.digest:
                raise history_lost(seen.version)
            catalog = decode_catalog(
                seen.catalog_version, sorted(zip(*fetched.answers[0], strict=True)), seen.catalog_digest
            )
        self.keep(catalog)
        return catalog

    def keep(self, catalog: Catalog) -> None:
        """Cache a committed catalog as the newest one."""
        with self._lock:
            catalog = self._catalogs.setdefault(catalog.digest, catalog)
            self._catalogs.move_to_end(catalog.digest)
            while len(self._catalogs) > _CATALOGS:
                self._catalogs.popitem(last=False)
            self.newest = catalog

    def is_replaced(self, incarnation: bytes) -> bool:
        """Return True if the database was dropped or replaced since the last fetch. Forget what was cached then."""
        if incarnation == self.incarnation:
            return False
        is_new, self.incarnation = not self.incarnation, incarnation
        if not is_new:
            self.forget()
        return not is_new

    def forget(self) -> None:
        """Forget everything that is cached of the store's contents."""
        with self._lock:
            self._catalogs = OrderedDict({b"": Catalog()})
            self.plans.clear()
            self.newest = Catalog()
        self.horizon = None
        if self.cached is not None:
            self.cached.forget()
        self.counters.forget()
        self.statistics.forget()
