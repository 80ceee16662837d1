"""Fixtures and helpers of the suite: databases for one test, and short functions to write and read them."""

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
    """Fixtures. `shared`: other processes can reach the databases. `short_log`: URL options for a short log."""

    shared = True
    short_log = "log_commits=5"

    @pytest.fixture
    def store_url(self) -> Callable[[str], str]:
        """Return a function from a database's name to its URL, for the engine under test."""
        raise NotImplementedError("a subclass of StoreSuite must have a fixture store_url")

    @pytest.fixture
    def database_url(self, store_url: Callable[[str], str]) -> str:
        """Return the URL of the database of `store`."""
        return store_url(f"suite-{uuid.uuid4().hex}")

    @pytest.fixture
    def open_database(self, store_url: Callable[[str], str]) -> Iterator[OpenDatabase]:
        """Return a function that opens a new database, or that of a URL. All are cleared after the test."""
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
        """Return the store of a new database."""
        return open_database(database_url)


def commit(
    store: Store,
    *writes: Write,
    checks: Sequence[Check] = (),
    token: bytes | None = None,
    advances: dict[bytes, int] | None = None,
    drops: Sequence[bytes] = (),
    empties: Sequence[bytes] = (),
    expects: dict[bytes, int] | None = None,
) -> int:
    """Commit, with a unique token unless one is given; return the version."""
    return store.commit(
        Batch(
            token or uuid.uuid4().bytes, checks, writes, advances or {}, drops, empties=empties, expects=expects or {}
        )
    )


def put(key: bytes, value: bytes = b"value", space: bytes = ROWS) -> Write:
    """Return the write that puts a row."""
    return Write(space, key, value)


def delete(key: bytes, space: bytes = ROWS) -> Write:
    """Return the write that deletes a row or an entry."""
    return Write(space, key, None)


def put_entry(column: Any, row_key: bytes) -> Write:
    """Return the write that puts an index entry."""
    return Write(INDEX, entry(encode((column,)), row_key), b"")


def ask(store: Store, request: Request, at: int | None = None) -> Any:
    """Return the answer to one request, in the form of `observed`."""
    return observed([request], store.fetch([request], at))[2][0]


def observed(requests: Sequence[Request], fetched: Fetched) -> tuple[int, int, list[Any]]:
    """Return version, catalog version and answers in a form that can be compared.

    Parallel sequences become pairs; they are sorted where any order is allowed.
    """
    answers: list[Any] = []
    for request, answer in zip(requests, fetched.answers, strict=True):
        pairs = list(zip(*answer, strict=True)) if isinstance(request, (Lookup, Scan)) else answer
        answers.append(sorted(pairs) if isinstance(request, Scan) else pairs)
    return fetched.version, fetched.catalog_version, answers


def key_of(number: int) -> bytes:
    """Return the row key of an integer primary key."""
    return encode((number,))
