"""What the parts of the suite stand on: databases of a test's own, and short ways to write and read them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from rome.storage.keys import encode, entry
from rome.storage.registry import open_store
from rome.storage.store import Batch, Check, Fetched, Lookup, Request, Scan, Store, Write, index_space, rows_space
from rome.url import parse_url

ROWS = rows_space(1)
INDEX = index_space(1)

OpenDatabase = Callable[..., Store]


class Harness:
    """Fixtures. `shared`: other processes reach the databases. `short_log`: URL options that keep few commits."""

    shared = True
    short_log = "log_commits=5"

    @pytest.fixture
    def store_url(self) -> Callable[[str], str]:
        """The URL of a database of the engine under test, by the database's name."""
        raise NotImplementedError("a subclass of StoreSuite has a fixture store_url")

    @pytest.fixture
    def database_url(self, store_url: Callable[[str], str]) -> str:
        """The URL of the database of `store`."""
        return store_url(f"suite-{uuid.uuid4().hex}")

    @pytest.fixture
    def open_database(self, store_url: Callable[[str], str]) -> Iterator[OpenDatabase]:
        """Opens new databases, or the one of a URL; clears them all in the end."""
        opened: list[Store] = []

        def open_database(url: str | None = None, options: str = "") -> Store:
            url = url or store_url(f"suite-{uuid.uuid4().hex}")
            opened.append(open_store(parse_url(url + ("&" if "?" in url else "?") * bool(options) + options)))
            return opened[-1]

        yield open_database
        for store in opened:
            store.clear()
            store.close()

    @pytest.fixture
    def store(self, open_database: OpenDatabase, database_url: str) -> Store:
        """A new database."""
        return open_database(database_url)


def commit(
    store: Store,
    *writes: Write,
    checks: Sequence[Check] = (),
    token: bytes | None = None,
    advances: dict[bytes, int] | None = None,
    drops: Sequence[bytes] = (),
) -> int:
    """Commit with a token that nobody else uses, unless one is given."""
    return store.commit(Batch(token or uuid.uuid4().bytes, checks, writes, advances or {}, drops))


def put(key: bytes, value: bytes = b"value", space: bytes = ROWS) -> Write:
    """Write a row."""
    return Write(space, key, value)


def delete(key: bytes, space: bytes = ROWS) -> Write:
    """Delete a row or an entry."""
    return Write(space, key, None)


def put_entry(column: Any, row_key: bytes) -> Write:
    """Write an entry."""
    return Write(INDEX, entry(encode((column,)), row_key), b"")


def ask(store: Store, request: Request, at: int | None = None) -> Any:
    """The answer of one request, as it can be compared."""
    return observed([request], store.fetch([request], at))[2][0]


def observed(requests: Sequence[Request], fetched: Fetched) -> tuple[int, int, list[Any]]:
    """Version, catalog version and answers, as they can be compared: pairs, in order where any order will do."""
    answers: list[Any] = []
    for request, answer in zip(requests, fetched.answers, strict=True):
        pairs = list(zip(*answer, strict=True)) if isinstance(request, (Lookup, Scan)) else answer
        answers.append(sorted(pairs) if isinstance(request, Scan) else pairs)
    return fetched.version, fetched.catalog_version, answers


def key_of(number: int) -> bytes:
    """The row key of an integer primary key."""
    return encode((number,))
