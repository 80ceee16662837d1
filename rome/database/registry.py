"""The databases that this process has open, each shared by its connections."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from weakref import WeakValueDictionary

from rome import waits
from rome.cache.cached import CachedReads
from rome.cache.options import CACHE_OPTIONS, cache_options, reads_replicas
from rome.catalog.codec import USER_VERSION, encode_user_version
from rome.database.database import Database
from rome.errors import InterfaceError
from rome.forks import new_lock
from rome.storage.registry import open_store
from rome.storage.store import CATALOG, Batch, Write
from rome.url import URL

_MOST_IDLE = 32

CONNECTION_OPTIONS = frozenset({"isolation_level", "foreign_keys", "lock_timeout", "slow_ms"})
"""URL options of the connection, not of the store."""

DATABASE_OPTIONS = frozenset({"ids", "constraints", *CACHE_OPTIONS})
"""URL options of what the connections of a process share, not of the store."""

_SWITCHES = {"ids": ("ordered", "blocks"), "constraints": ("immediate", "deferred")}
"""Options of the database and their values. The first is the default."""

REPLICA_OPTIONS = frozenset({"read_from", "replica", "staleness"})
"""URL options by which a store reads from replicas."""

_databases: dict[URL, Database] = {}
_idle: OrderedDict[URL, Database] = OrderedDict()
"""Databases without an open connection, by last use. Their caches are kept for programs that reconnect often."""
_abandoned: deque[Database] = deque()
"""Databases that were not released by those who opened them; one for each time."""
_databases_lock = new_lock()
"""Never held while a store is opened, asked or closed."""
_opening: WeakValueDictionary[URL, threading.Lock] = WeakValueDictionary()
"""By URL: the lock that whoever opens it holds, so that one server does not make the connections to others wait."""


def open_database(url: URL) -> Database:
    """Return the database of a URL. The process shares it until it is released as often as it was opened.

    Raise InterfaceError for a wrong URL; StoreUnavailable or FormatError if the store cannot be used.
    """
    while _abandoned:
        release_database(_abandoned.popleft())
    key = _without(url, CONNECTION_OPTIONS)
    with _databases_lock:
        opening = _opening.get(key)
        if opening is None:
            opening = _opening[key] = new_lock()
        database = _use(key, None)
    if database is None:
        database = waits.call(_open, key, opening, discard=release_database)
    if database.users == 1:  # at the same time as others, it is of no use to ask twice
        try:
            database.store.fetch([])
        except BaseException:
            release_database(database)
            raise
    return database


def _open(key: URL, opening: threading.Lock) -> Database:
    """Open a database, unless another thread has done so when it is our turn."""
    with opening:
        with _databases_lock:
            database = _use(key, None)
        if database is None:
            opened = _opened(key)
            with _databases_lock:
                database = _use(key, opened)
    assert database is not None
    return database


def _opened(url: URL) -> Database:
    """Open a store, and the cache of its database if the URL wants one."""
    options, of_store = cache_options(url), _of_store(url)
    store = open_store(of_store)
    if options is None:
        return Database(url, store)
    # What replicas have may be behind by `staleness`, too, so the cache is brought up to date from the primary.
    primary = open_store(_without(of_store, REPLICA_OPTIONS))
    return Database(url, store, CachedReads(store, primary, options, may_be_replica=reads_replicas(url)))


def _use(key: URL, opened: Database | None) -> Database | None:
    """Count one more user of an open or idle database, or else of the one that was opened now."""
    database = _databases.get(key) or _idle.pop(key, opened)
    if database is not None:
        _databases[key] = database
        database.users += 1
    return database


def release_database(database: Database) -> None:
    """Release what `open_database` returned. The last release closes the store's connections."""
    with _databases_lock:
        database.users -= 1
        is_idle = database.users == 0
        if is_idle:
            _idle[database.url] = _databases.pop(database.url)
            while len(_idle) > _MOST_IDLE:
                _idle.popitem(last=False)
    if is_idle:  # or was, a moment ago: a store that is used again opens what it needs
        if database.cached is not None:
            database.cached.close()
        database.store.close()


def known_databases() -> list[Database]:
    """Return the databases that this process has open, or had open a short time ago."""
    with _databases_lock:
        return [*_databases.values(), *_idle.values()]


def abandon_database(database: Database) -> None:
    """Let what `open_database` returned be released later. For finalizers, which may run while a lock is held."""
    _abandoned.append(database)


def database_exists(url: URL) -> bool:
    """Return True if anything was ever committed to a database since it was dropped."""
    database = open_database(url)
    try:
        return database.store.fetch([]).version > 0
    finally:
        release_database(database)


def create_database(url: URL) -> None:
    """Make an empty database exist. (Any commit does it, too.)"""
    database = open_database(url)
    try:
        database.store.commit(Batch(os.urandom(16), writes=[Write(CATALOG, USER_VERSION, encode_user_version(0))]))
    finally:
        release_database(database)


def drop_database(url: URL) -> None:
    """Delete a database and all of its contents. Open connections see an empty database."""
    database = open_database(url)
    try:
        database.store.clear()
        database.forget()
    finally:
        release_database(database)
        with _databases_lock:
            _idle.pop(database.url, None)


def clone_database(source: URL, target: URL) -> None:
    """Copy the newest version of `source` to `target`, an empty database of the same store."""
    if source.store != target.store:
        raise InterfaceError(f"can't clone from store {source.store!r} to store {target.store!r}")
    first, second = open_database(source), open_database(target)
    try:
        second.store.copy_from(first.store)
        second.forget()
    finally:
        release_database(second)
        release_database(first)


def _of_store(url: URL) -> URL:
    """Return a URL as its store takes it. Raise InterfaceError for a wrong option of the database."""
    for name, values in _SWITCHES.items():
        if url.options.get(name, values[0]) not in values:
            raise InterfaceError(
                f"option {name!r} of the ROME URL {url} is neither {' nor '.join(values)}: {url.options[name]!r}"
            )
    options = DATABASE_OPTIONS - {"staleness"} if reads_replicas(url) else DATABASE_OPTIONS
    return _without(url, options)


def _without(url: URL, names: frozenset[str]) -> URL:
    options = {name: value for name, value in url.options.items() if name not in names}
    return URL(url.store, url.database, url.user, url.password, url.host, url.port, options)
