"""Databases for the tests of locks: on each store with a lock table of its own, and on one that uses the default."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

import rome
from rome.locks import LockManager
from rome.storage.lock_table import LockTable
from rome.storage.memory import MemoryStore
from rome.storage.store import Store
from rome.testing.servers import RedisServer

_NUMBER = itertools.count()


class PlainStore:
    """A store without a lock table of its own."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def lock_table(self) -> LockTable:
        """Return the default lock table, which is made of commits."""
        return Store.lock_table(self)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.server), "plain"])
def new_manager(request: pytest.FixtureRequest) -> Iterator[Callable[[], LockManager]]:
    """Return a function that makes lock managers of one database, each like one of another process."""
    name = f"locks{next(_NUMBER)}"
    if request.param == "plain":
        yield lambda: LockManager(PlainStore(MemoryStore(name)))  # type: ignore[arg-type]
        MemoryStore(name).clear()
        return
    if request.param == "memory":
        url = f"rome+memory:///{name}"
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        url = server.url(name)
    managers: list[LockManager] = []

    def make() -> LockManager:
        managers.append(LockManager(url))
        return managers[-1]

    yield make
    rome.drop_database(url)
    for manager in managers:
        manager.close()


@pytest.fixture
def manager(new_manager: Callable[[], LockManager]) -> LockManager:
    """Return one lock manager."""
    return new_manager()
