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
"""URL options that are a connection's, not the store's."""

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
