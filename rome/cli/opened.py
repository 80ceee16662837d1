"""A database at one version, for commands that read the store below SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rome.catalog.model import Catalog, Table
from rome.cli.failures import CommandFailure
from rome.database.database import Database
from rome.database.registry import open_database, release_database
from rome.storage.store import LAST, Range, Store
from rome.url import URL, parse_url

if TYPE_CHECKING:
    from rome.storage.redis.store import RedisStore

_PAGE = 1000


def as_redis(store: Store) -> RedisStore | None:
    """Return a store on Redis or Valkey; None if it is another one. It does not need the package redis."""
    return cast("RedisStore", store) if type(store).__module__.startswith("rome.storage.redis.") else None


@dataclass(frozen=True)
class Opened:
    """A store, its newest version, and the catalog of this version."""

    url: URL
    store: Store
    version: int
    catalog: Catalog

    def table(self, name: str) -> Table:
        """Return a table. Raise CommandFailure, which lists those that there are, for a name that is none."""
        table = self.catalog.table(name)
        if table is None:
            known = ", ".join(sorted(each.name for each in self.catalog.tables.values())) or "none"
            raise CommandFailure(f"no such table: {name}; tables of {self.url}: {known}", "NoSuchTable")
        return table

    def pages(
        self,
        space: bytes,
        limit: int | None = None,
        begin: bytes = b"",
        end: bytes = LAST,
        page_size: int = _PAGE,
    ) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield the keys and values of a range of a space, page by page, up to a limit. Raise SnapshotTooOld."""
        left = limit
        while left is None or left > 0:
            size = page_size if left is None else min(page_size, left)
            request = Range(space, begin, end, size)
            (page,) = self.store.fetch([request], self.version).answers
            if page:
                yield page
            if len(page) < size:
                return
            begin = page[-1][0] + b"\0"
            left = None if left is None else left - size


def newest(database: Database) -> Opened:
    """Return a database at its newest version. Raise StoreUnavailable, FormatError."""
    seen = database.store.fetch([])
    return Opened(database.url, database.store, seen.version, database.catalog(seen))


@contextmanager
def opened(url: str) -> Iterator[Opened]:
    """Open a database at its newest version, for the length of the block. Raise StoreUnavailable, FormatError."""
    database = open_database(parse_url(url))
    try:
        yield newest(database)
    finally:
        release_database(database)
