"""A service's API on a database that has its tables and rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.backends import RELAXED, Backend, Opened, open_backend, set_durability
from benchmarks.services.functions import Api, Service


@contextmanager
def filled(service: Service, size: int, backend: Backend) -> Iterator[Opened]:
    """Open a database with the service's tables and rows. Raise Missing with the reason if it can't be had here."""
    with open_backend(backend) as opened:
        service.fill(opened.engine, size)
        yield opened


@contextmanager
def api_on(service: Service, size: int, url: str) -> Iterator[Api]:
    """Yield the service's API on a filled database, with an engine that the service makes."""
    api = service.api(url, size)
    set_durability(api.engine, RELAXED)
    api.engine.dispose()  # the service has connected already
    yield api
    api.engine.dispose()
