"""A service's API on databases that have its tables and rows.

Filling takes longer than measuring, so a database is filled once for all drivers of its server. A cache of ROME has a
server of its own all the same, because it would follow what the others write; the rows are copied there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from redis import Redis
from sqlalchemy import make_url

from benchmarks.backends import RELAXED, Backend, Missing, open_backend, set_durability
from benchmarks.services.functions import Api, Service

_CACHE, _COPIED = "ROME on Valkey, cache", "ROME on Valkey"


class Filled:
    """The databases of one service and size, each filled when it is first asked for."""

    def __init__(self, stack: ExitStack, service: Service, size: int) -> None:
        self._stack, self._service, self._size = stack, service, size
        self._urls: dict[str, str] = {}

    def url(self, backend: Backend) -> str:
        """Return the URL of the filled database. Raise Missing with the reason if it can't be had here."""
        if backend.missing:
            raise Missing(backend.missing)
        if backend.server not in self._urls:
            self._urls[backend.server] = self._fill(backend)
        return backend.through(self._urls[backend.server])

    def _fill(self, backend: Backend) -> str:
        opened = self._stack.enter_context(open_backend(backend))
        if backend.name == _CACHE and _COPIED in self._urls:
            return _copy(self._urls[_COPIED], opened.url)
        self._service.fill(opened.engine, self._size)
        return opened.url


@contextmanager
def filled(service: Service, size: int) -> Iterator[Filled]:
    """Yield the databases of a service and size; they are dropped afterwards."""
    with ExitStack() as stack:
        yield Filled(stack, service, size)


def _copy(source: str, target: str) -> str:
    """Copy all keys to the server of another URL. Return the copy's URL: that of the target, with the source's name."""
    there = make_url(target)
    with closing(_client(source)) as read, closing(_client(target)) as write:
        for key in read.scan_iter():
            write.restore(key, 0, read.dump(key), replace=True)
    return there.set(database=make_url(source).database).render_as_string(hide_password=False)


def _client(url: str) -> Any:
    parsed = make_url(url)
    return Redis(parsed.host or "", parsed.port or 0)


@contextmanager
def api_on(service: Service, size: int, url: str) -> Iterator[Api]:
    """Yield the service's API on a filled database, with an engine that the service makes."""
    api = service.api(url, size)
    set_durability(api.engine, RELAXED)
    api.engine.dispose()  # the service has connected already
    yield api
    api.engine.dispose()
