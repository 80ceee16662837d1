"""Databases for the tests of locks: on each store that has locks of its own, and on one that has not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

import rome
from rome.locks import LockManager
from rome.storage.memory import MemoryStore
from rome.testing.servers import RedisServer

_NUMBER = itertools.count()


class PlainStore:
    """A store of which nothing is known but that it keeps the Store contract."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.server), "plain"])
def new_manager(request: pytest.FixtureRequest) -> Iterator[Callable[[], LockManager]]:
    """Makes managers of one database, each as if it were in a process of its own."""
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
    """One manager."""
    return new_manager()
