"""The databases that this process has open, each shared by its connections."""

from __future__ import annotations

import threading
from collections import OrderedDict

from rome.database.database import Database
from rome.errors import InterfaceError
from rome.storage.registry import open_store
from rome.url import URL

_MOST_IDLE = 32

CONNECTION_OPTIONS = frozenset({"isolation_level", "foreign_keys", "lock_timeout", "slow_ms"})
"""URL options of the connection, not of the store."""

_databases: dict[URL, Database] = {}
_idle: OrderedDict[URL, Database] = OrderedDict()
"""Databases without an open connection, by last use. Their caches are kept for programs that reconnect often."""
_databases_lock = threading.Lock()


def open_database(url: URL) -> Database:
    """Return the database of a URL. The process shares it until it is released as often as it was opened.

    Raise InterfaceError for a wrong URL; StoreUnavailable or FormatError if the store cannot be used.
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
    """Release what `open_database` returned. The last release closes the store's connections."""
    with _databases_lock:
        database.users -= 1
        if database.users == 0:
            _idle[database.url] = _databases.pop(database.url)
            while len(_idle) > _MOST_IDLE:
                _idle.popitem(last=False)
            database.store.close()


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


def _without_connection_options(url: URL) -> URL:
    options = {name: value for name, value in url.options.items() if name not in CONNECTION_OPTIONS}
    return URL(url.store, url.database, url.user, url.password, url.host, url.port, options)
