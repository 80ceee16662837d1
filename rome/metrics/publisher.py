"""Publish what this process has counted as a note in a database, for `rome top` and `rome console`.

A note is a msgpack map
    program, since        the name of the program; when it began to count, in seconds since 1970
    connections           open connections to the database
    counts                by name (COUNTS): statements, rounds, …, of this database
    statements            the MOST_STATEMENTS texts with the most time, each [sql, StatementTotals …]; no parameters

Notes are written every few seconds, by a thread of its own, over the connections of the store.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import msgpack

from rome.database.registry import open_database, release_database
from rome.errors import Error, NotSupportedError
from rome.metrics.measurements import (
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_REFUSALS,
    COMMITS,
    LOCK_WAITS,
    PLAN_HITS,
    PLAN_MISSES,
    REPLAYS,
    ROWS,
    STATEMENTS,
    STORE_ROUNDS,
    database_name,
    of_databases,
)
from rome.metrics.recorder import Recorder, StatementTotals
from rome.storage.store import Store
from rome.url import URL

MOST_STATEMENTS = 50
_LONGEST_TEXT = 2000

_log = logging.getLogger("rome.metrics")


class Publisher:
    """The thread that writes the notes of this process for one database. A child of fork goes on with its own."""

    def __init__(self, recorder: Recorder, url: URL, every: float) -> None:
        """Start. Raise NotSupportedError for a store without a place for notes, StoreUnavailable."""
        self._recorder = recorder
        self._every = every
        self._database = open_database(url)
        notes = self._database.store.notes()
        if notes is None:
            release_database(self._database)
            raise NotSupportedError(f"the store of {url} has no place for what processes publish")
        self._notes = notes
        self.start()

    def start(self) -> None:
        """Write the first note, and begin the thread; also in a child, under its own name."""
        self._ended = threading.Event()
        self._since = time.time()
        self._name = f"{socket.gethostname()}:{os.getpid()}".encode()
        self._write()
        threading.Thread(target=self._run, name="rome publisher", daemon=True).start()

    def _run(self) -> None:
        ended = self._ended
        while not ended.wait(self._every):
            self._write()

    def _write(self) -> None:
        try:
            self._notes.write(self._name, msgpack.packb(self._note()))
        except Error as error:
            _log.warning("what this process does can't be published: %s", error)

    def _note(self) -> dict[str, Any]:
        database = database_name(self._database.url)
        statements = self._recorder.statements(database)
        most = sorted(statements.items(), key=lambda each: -each[1].seconds)[:MOST_STATEMENTS]
        return {
            "program": Path(sys.argv[0] if sys.argv else "").name,
            "since": self._since,
            "connections": self._database.users - 1,
            "counts": counts_of(self._recorder, database),
            "statements": [[sql[:_LONGEST_TEXT], *astuple(totals)] for sql, totals in most],
        }

    def stop(self) -> None:
        """End the thread, and remove the note."""
        self._ended.set()
        with suppress(Error):
            self._notes.remove(self._name)
        release_database(self._database)


@dataclass(frozen=True)
class ProcessNote:
    """The numbers that another process has published."""

    name: str
    """HOST:PID"""
    program: str
    since: float
    connections: int
    counts: dict[str, float]
    statements: dict[str, StatementTotals]


def read_notes(store: Store) -> list[ProcessNote]:
    """Return what processes publish in a store now, by their names. Raise StoreUnavailable."""
    notes = store.notes()
    found = [] if notes is None else sorted(notes.read().items())
    return [each for each in (_decoded(name, note) for name, note in found) if each is not None]


def _decoded(name: bytes, note: bytes) -> ProcessNote | None:
    """Return a note; None if it is that of another release, or of another program."""
    try:
        fields = msgpack.unpackb(note)
        statements = {sql: StatementTotals(*totals) for sql, *totals in fields.pop("statements")}
        return ProcessNote(name.decode("utf-8", "replace"), statements=statements, **fields)
    except (ValueError, TypeError, KeyError, AttributeError, msgpack.UnpackException):
        return None


def counts_of(recorder: Recorder, database: str) -> dict[str, float]:
    """Return the counts of one database of this process, by short names; lock waits are those of all databases."""
    read = {metric: number for metric, labels, number in of_databases() if labels == (database,)}
    return {
        "statements": recorder.count(STATEMENTS, database),
        "rows": recorder.count(ROWS, database),
        "rounds": read.get(STORE_ROUNDS, 0),
        "commits": recorder.count(COMMITS, database, "committed"),
        "conflicts": recorder.count(COMMITS, database, "conflict"),
        "replays": recorder.count(REPLAYS, database, "committed"),
        "lock waits": sum(sum(each.buckets) for each in recorder.histograms[LOCK_WAITS].values()),
        "plan hits": read.get(PLAN_HITS, 0),
        "plan misses": read.get(PLAN_MISSES, 0),
        "cache hits": read.get(CACHE_HITS, 0),
        "cache misses": read.get(CACHE_MISSES, 0),
        "cache refusals": read.get(CACHE_REFUSALS, 0),
    }
