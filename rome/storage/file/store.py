"""The Store contract on one file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

import apsw
import msgpack

from rome.errors import InterfaceError
from rome.storage.columns import size_of
from rome.storage.file import writes
from rome.storage.file.connections import end_transaction
from rome.storage.file.failures import error_of
from rome.storage.file.locks import FileLocks
from rome.storage.file.notes import FileNotes
from rome.storage.file.numbers import Numbers
from rome.storage.file.place import Settings
from rome.storage.file.reads import State, answer, extend_tail, read_log, read_state, read_state_and_value, state_at
from rome.storage.file.tables import CLEAR
from rome.storage.file.writer import Writer
from rome.storage.lock_table import LockTable
from rome.storage.store import (
    LONGEST_IN_SQLITE,
    Batch,
    Committed,
    Draw,
    Fetched,
    Get,
    Lookup,
    Request,
    Stats,
    Store,
    next_digest,
)
from rome.storage.tails import ChangedHistory, Point, Tail, Tails, commits_after, spaces_of
from rome.storage.undo import Present, complete, fetch_at

_T = TypeVar("_T")

_PAGE = 1000
"""Commits of the log that `changes` reads at once."""


class FileStore:
    """A Store in a file. Stores of all threads and processes may have the file open."""

    is_shared = True
    empties_spaces = True
    longest_value = LONGEST_IN_SQLITE

    def __init__(self, settings: Settings) -> None:
        """Open the file; create it if it is missing. Raise FormatError, StoreUnavailable."""
        self.stats = Stats()
        self._settings = settings
        self._writer = Writer(settings.path)
        self._numbers = Numbers(settings.path, self._writer)
        self._tails = Tails()
        self._use(read_state)

    def fetch(self, requests: Sequence[Request], at: int | None = None, draws: Sequence[Draw] = ()) -> Fetched:
        """Answer all requests from one version, and take numbers of counters.

        Raise SnapshotTooOld, FormatError, StoreUnavailable.
        """
        if at is not None:
            fetched = self._fetch_at(requests, at)
            return fetched._replace(drawn=self._numbers.draw(draws)) if draws else fetched
        state, answers = self._read_newest(requests)
        for place, request in enumerate(requests):
            if isinstance(request, Lookup):
                answers[place] = complete(request, answers[place])
        version, catalog, _, incarnation, catalog_digest, digest = state
        drawn = self._numbers.draw(draws) if draws else ()
        return Fetched(version, catalog, answers, incarnation, digest, catalog_digest, drawn)

    def commit(self, batch: Batch) -> int:
        """Apply a batch, all or nothing, once per token. Raise Conflict, SnapshotTooOld, StoreUnavailable."""
        self.stats.add(rounds=1, commands=1, bytes=size_of(batch))
        settings = self._settings
        expects = dict(batch.expects)

        def advance(connection: apsw.Connection, batch: Batch) -> None:
            self._numbers.advance(connection, batch.advances, expects)
            expects.clear()  # the numbers remain taken if the transaction fails and is repeated

        return self._writer.run(
            lambda connection: writes.commit(connection, batch, settings.log_commits, settings.log_bytes, advance),
            settings.durable and bool(batch.writes or batch.drops or batch.empties),
        )

    def allocate(self, counter: bytes, n: int) -> int:
        """Take `n` consecutive numbers of a counter; return the first of them."""
        self.stats.add(rounds=1, commands=1)
        return self._numbers.draw([(counter, n)])[0]

    def peek(self, counter: bytes) -> int:
        """Return the first number that `allocate` would take of a counter."""
        self.stats.add(rounds=1, commands=1)
        return self._read(self._numbers.last_of).get(counter, 0) + 1

    def advance(self, counter: bytes, value: int) -> None:
        """Advance a counter, so that numbers allocated from now on are greater than `value`."""
        self.stats.add(rounds=1, commands=1)
        self._writer.run(lambda connection: self._numbers.advance(connection, {counter: value}), durable=False)

    def changes(self, since: int) -> Iterator[Committed]:
        """Return the commits after version `since`, oldest first, read page by page. Raise SnapshotTooOld."""
        return commits_after(since, self._page, _PAGE)

    def version(self) -> int:
        """Return the newest version."""
        self.stats.add(rounds=1, commands=1)
        return self._use(read_state)[0]

    def clear(self) -> None:
        """Remove the database. The file stays, as small as a new one, because others may have it open."""
        self.stats.add(rounds=1, commands=1)

        def clear(connection: apsw.Connection) -> None:
            connection.execute(CLEAR).fetchall()
            self._numbers.forget()

        self._writer.run(clear, self._settings.durable)
        self._writer.shrink()

    def copy_from(self, source: Store) -> None:
        """Copy the newest version of another file into this empty one. Raise InterfaceError."""
        if not isinstance(source, FileStore):
            raise InterfaceError(f"a database in a file can't be a copy of one in a {type(source).__name__}")
        self.stats.add(rounds=1, commands=1)

        def copy(target: apsw.Connection) -> None:
            # Not one of the source's pool: a fork that waits for the target's connection may have closed that pool.
            with closing(source._writer.connect()) as read:
                read.execute("BEGIN")
                _copy(read, source._numbers.last_of(read), target)

        try:
            self._writer.run(copy, self._settings.durable)
        except _UnreadableError as failure:
            raise error_of(source._settings.path, failure.error) from failure

    def digest_after(self, digest: bytes, token: bytes) -> bytes:
        """Return the digest of the version that a commit makes."""
        return next_digest(digest, token)

    def lock_table(self) -> LockTable:
        """Return the lock table of the database."""
        return FileLocks(self._writer, self._read)

    def notes(self) -> FileNotes:
        """Return the notes of the processes that have the file open."""
        return FileNotes(self._settings.path)

    def close(self) -> None:
        """Close the file. A store that is used again opens it again."""
        self._writer.close()
        self._numbers.close()

    def _read_newest(self, requests: Sequence[Request]) -> tuple[State, list[Any]]:
        """Return the newest version and its answers."""
        if not requests:
            self.stats.add(rounds=1, commands=0, rows=0)
            return self._use(read_state), []
        request = requests[0] if len(requests) == 1 else None
        if isinstance(request, Get) and len(request.keys) == 1:
            space, (key,) = request
            state, value = self._use(lambda connection: read_state_and_value(connection, space, key))
            self.stats.add(1, 1, value is not None)
            return state, [[value]]
        return self._read(lambda connection: (read_state(connection), self._answer(connection, requests)))

    def _read(self, read: Callable[[apsw.Connection], _T]) -> _T:
        """Call a function in a read transaction."""

        def transact(connection: apsw.Connection) -> _T:
            try:
                connection.execute("BEGIN")
                return read(connection)
            finally:
                end_transaction(connection)

        return self._use(transact)

    def _use(self, use: Callable[[apsw.Connection], _T]) -> _T:
        """Call a function with a connection that is in no transaction."""
        connections = self._writer.connections
        try:
            connection = connections.take()
            try:
                end_transaction(connection)
                return use(connection)
            finally:
                connections.idle.append(connection)
        except apsw.Error as error:
            raise error_of(self._settings.path, error) from error

    def _fetch_at(self, requests: Sequence[Request], at: int) -> Fetched:
        tail = self._tails.of(at)

        def ask(asked: Sequence[Request]) -> Present:
            return self._read(lambda connection: self._ask(connection, asked, tail))

        try:
            fetched = fetch_at(requests, tail, ask)
        except ChangedHistory:
            self._tails.forget(tail)
            tail = Tail(at)
            fetched = fetch_at(requests, tail, ask)
        self._tails.keep(tail)
        return fetched

    def _ask(self, connection: apsw.Connection, requests: Sequence[Request], tail: Tail) -> Present:
        _, catalog, _, incarnation, catalog_digest, digest = state_at(connection, tail.at)
        extend_tail(connection, tail, spaces_of(requests))
        return Present(Point(catalog, incarnation, digest, catalog_digest), self._answer(connection, requests))

    def _answer(self, connection: apsw.Connection, requests: Sequence[Request]) -> list[Any]:
        answers = [answer(connection, request) for request in requests]
        self.stats.add(1, len(requests), sum(map(_rows_in, answers)))
        return answers

    def _page(self, since: int) -> list[Committed]:
        self.stats.add(rounds=1, commands=1)

        def read(connection: apsw.Connection) -> list[Committed]:
            state_at(connection, since)
            return read_log(connection, since, _PAGE)

        return self._read(read)


def _copy(source: apsw.Connection, last: Mapping[bytes, int], target: apsw.Connection) -> None:
    """Copy the newest version of a file, without dropped spaces, in transactions of both. `last`: of the counters."""
    if read_state(target)[0] or target.execute("SELECT count(*) FROM counters").get:
        raise InterfaceError("the database to copy into is not empty")
    version, catalog, _, incarnation, *digests = read_state(source)
    target.executemany("INSERT INTO pairs VALUES (?, ?, ?)", _pairs(source))
    target.executemany("INSERT INTO counters VALUES (?, ?)", list(last.items()))
    for (packed,) in source.execute("SELECT drops FROM log WHERE drops IS NOT NULL"):
        writes.free(target, msgpack.unpackb(packed))
    target.execute("INSERT INTO written SELECT DISTINCT space, ? FROM pairs", (version,))
    target.execute("DELETE FROM log")
    target.execute(
        "INSERT INTO log VALUES (?, ?, 0, ?, ?, ?, NULL, NULL, NULL)",
        (version, catalog, os.urandom(8) if incarnation else b"", *digests),
    )


class _UnreadableError(Exception):
    """The file to copy can't be read; the error is SQLite's."""

    def __init__(self, error: apsw.Error) -> None:
        super().__init__(error)
        self.error = error


def _pairs(source: apsw.Connection) -> Iterator[Any]:
    try:
        yield from source.execute("SELECT * FROM pairs")
    except apsw.Error as error:
        raise _UnreadableError(error) from error


def _rows_in(answered: Any) -> int:
    """Return the number of values in an answer."""
    if isinstance(answered, int):
        return 0
    values: Sequence[Any] = answered[1] if isinstance(answered, tuple) else answered
    return len(values) - values.count(None)
