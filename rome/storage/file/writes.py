"""A batch applied to a file's tables, in a transaction of SQLite that the caller has begun.

Everything that can be refused is checked first: the token, the digests, the checks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import apsw
import msgpack

from rome.errors import OperationalError
from rome.storage.file.reads import State, first_key, read_log, read_state, values_of
from rome.storage.store import (
    CATALOG,
    MOST_DIGESTS,
    Batch,
    Check,
    Demand,
    conflict,
    history_lost,
    next_digest,
    too_old,
)
from rome.storage.undo import Past

_PUT = "REPLACE INTO pairs VALUES (?, ?, ?)"
_DELETE = "DELETE FROM pairs WHERE space = ? AND key = ?"
_WRITTEN = "REPLACE INTO written VALUES (?, ?)"
_LAST_WRITTEN = "SELECT version FROM written WHERE space = ?"
_ADVANCE = "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)"
_LOG = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_STATE = """
    UPDATE state SET version = ?, log_bytes = ?, catalog = ?, incarnation = ?, catalog_digest = ?, digest = ?
"""

_GREATEST = 2**63 - 1
"""The greatest number of a counter."""

_MOST_SLACK = 64
"""The log is trimmed when it has so many commits too many, or a hundredth of its bound."""


def allocate(connection: apsw.Connection, counter: bytes, n: int) -> int:
    """Take `n` consecutive numbers of a counter; return the first. Raise OperationalError if it is used up."""
    last: int = connection.execute("SELECT value FROM counters WHERE name = ?", (counter,)).get or 0
    if last > _GREATEST - n:
        raise OperationalError(f"the counter {counter!r} is used up")
    connection.execute("REPLACE INTO counters VALUES (?, ?)", (counter, last + n))
    return last + 1


def advance(connection: apsw.Connection, advances: Mapping[bytes, int]) -> None:
    """Advance counters."""
    connection.executemany(_ADVANCE, list(advances.items()))


def commit(connection: apsw.Connection, batch: Batch, most_commits: int, most_bytes: int) -> int:
    """Validate and apply a batch; return its version. Raise as `Store.commit` does."""
    done: int | None = connection.execute("SELECT version FROM log WHERE token = ?", (batch.token,)).get
    if done is not None:
        return done
    state = read_state(connection)
    newest = state[0]
    for version, digest in batch.seen.items():
        if digest != _digest_of(connection, version, newest):
            raise history_lost(version)
    _validate(connection, batch.checks, state)
    if batch.advances:
        advance(connection, batch.advances)
    if not batch.writes and not batch.drops:
        return newest
    _apply(connection, batch, state, most_commits, most_bytes)
    return newest + 1


def free(connection: apsw.Connection, spaces: Sequence[bytes]) -> None:
    """Delete dropped spaces."""
    names = [(space,) for space in spaces]
    connection.executemany("DELETE FROM pairs WHERE space = ?", names)
    connection.executemany("DELETE FROM written WHERE space = ?", names)


def _digest_of(connection: apsw.Connection, version: int, newest: int) -> bytes:
    if version > newest:
        raise history_lost(version)
    digest: bytes | None = connection.execute("SELECT digest FROM digests WHERE version = ?", (version,)).get
    if digest is None:
        raise too_old(version)
    return digest


def _validate(connection: apsw.Connection, checks: Sequence[Check], state: State) -> None:
    """Raise Conflict for the first check that fails. Most pass because their space was not written since."""
    newest, horizon = state[:2]
    pasts: dict[int, Past] = {}
    for check in checks:
        space, begin, end, since, demand = check
        if demand is Demand.NO_KEYS:
            taken = first_key(connection, space, begin, end)
            if taken is not None:
                raise conflict(check, taken)
            continue
        if since == newest:
            continue
        if since > newest:
            raise history_lost(since)
        if (connection.execute(_LAST_WRITTEN, (space,)).get or 0) <= since:
            continue
        if since < horizon:
            raise too_old(since)
        if since not in pasts:
            pasts[since] = Past(read_log(connection, since))
        for key in pasts[since].written(space, (begin, end)):
            was_there = pasts[since].of(space)[key] is not None
            if demand is Demand.UNWRITTEN or was_there != (values_of(connection, [(space, key)]) != [None]):
                raise conflict(check, key)


def _apply(connection: apsw.Connection, batch: Batch, state: State, most_commits: int, most_bytes: int) -> None:
    newest, _, log_bytes, catalog, incarnation, catalog_digest, digest = state
    version, new_digest = newest + 1, next_digest(digest, batch.token)
    values = {(space, key): value for space, key, value in batch.writes}
    keys = list(values)
    undos: list[bytes | None] = []
    size = 0
    for (space, key), old in zip(keys, values_of(connection, keys), strict=True):
        undos += (space, key, old)
        size += len(space) + len(key) + len(old or b"")
    connection.executemany(_PUT, [(*key, value) for key, value in values.items() if value is not None])
    connection.executemany(_DELETE, [key for key, value in values.items() if value is None])
    spaces = {space for space, _ in keys}
    connection.executemany(_WRITTEN, [(space, version) for space in spaces])
    packed = msgpack.packb(undos), msgpack.packb(list(batch.drops)) if batch.drops else None
    connection.execute(_LOG, (version, batch.token, *packed, size, catalog, catalog_digest, digest))
    connection.execute("INSERT INTO digests VALUES (?, ?)", (version, new_digest))
    if CATALOG in spaces:
        catalog, catalog_digest = version, new_digest
    log_bytes += size
    new_state = version, log_bytes, catalog, incarnation or os.urandom(8), catalog_digest, new_digest
    connection.execute(_STATE, new_state)
    _trim(connection, version, state[1], log_bytes, most_commits, most_bytes)


def _trim(
    connection: apsw.Connection, version: int, horizon: int, log_bytes: int, most_commits: int, most_bytes: int
) -> None:
    """Trim the log to its limits; the newest commit stays, so that its token is known."""
    slack = min(_MOST_SLACK, most_commits // 100)
    if version - horizon <= most_commits + slack and log_bytes <= most_bytes:
        return
    gone: list[int] = []
    drops: list[bytes] = []
    for number, size, packed in connection.execute("SELECT version, size, drops FROM log ORDER BY version"):
        is_too_much = version - number >= most_commits or log_bytes > most_bytes
        if number == version or not is_too_much:
            break
        gone.append(number)
        log_bytes -= size
        drops += msgpack.unpackb(packed) if packed else ()
    if not gone:
        return
    connection.execute("DELETE FROM log WHERE version <= ?", (gone[-1],))
    connection.execute("DELETE FROM digests WHERE version <= ?", (version - MOST_DIGESTS,))
    free(connection, drops)
    connection.execute("UPDATE state SET horizon = ?, log_bytes = ?", (gone[-1], log_bytes))
