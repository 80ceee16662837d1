"""The commit log: its reach, and the commits that it has."""

from __future__ import annotations

from collections.abc import Iterator

from rome.catalog.codec import decode_catalog
from rome.errors import FormatError, SnapshotTooOld
from rome.storage.store import CATALOG, Scan, Store
from rome.testing.check.faults import Fault


def oldest_version(store: Store, newest: int) -> int:
    """Return the oldest version that can be read: a few round trips, as each tries one version."""
    low, high = 0, newest
    while low < high:
        middle = (low + high) // 2
        try:
            store.fetch([], middle)
        except SnapshotTooOld:
            low = middle + 1
        else:
            high = middle
    return high


def log_faults(store: Store, version: int) -> Iterator[Fault]:
    """Yield what is wrong with the log: missing commits, entries that do not decode, a catalog that does not."""
    oldest = oldest_version(store, version)
    expected = oldest + 1
    try:
        for commit in store.changes(oldest):
            if commit.version != expected:
                yield Fault("log", "", f"the log lacks the commits {expected} to {commit.version - 1}")
            expected = commit.version + 1
        if expected <= version:
            yield Fault("log", "", f"the log ends with version {expected - 1}, but the newest version is {version}")
        past = store.fetch([Scan(CATALOG)], oldest)
        decode_catalog(past.catalog_version, zip(*past.answers[0], strict=True), past.catalog_digest)
    except SnapshotTooOld as error:
        if oldest_version(store, version) == oldest:  # commits have not moved it on meanwhile
            yield Fault("log", "", f"the log lacks commits after version {oldest}: {error}")
    except FormatError as error:
        yield Fault("log", "", str(error))
