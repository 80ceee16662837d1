"""A batch applied to a file's tables, in a transaction of SQLite that the caller has begun.

Everything that can be refused is checked first: the token, the digests, the checks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import apsw
import msgpack

from rome.errors import KeysLocked, SnapshotTooOld
from rome.storage.columns import WritesBySpace, checks_of, writes_of
from rome.storage.file.reads import (
    State,
    extend_tail,
    first_key,
    holder_of,
    old_values,
    read_horizon,
    read_state,
    values_of,
)
from rome.storage.store import (
    CATALOG,
    MOST_DIGESTS,
    OF_PRESENT,
    Batch,
    Check,
    Demand,
    conflict,
    history_lost,
    next_digest,
    too_old,
)
from rome.storage.tails import Tail

Advance = Callable[[apsw.Connection, Batch], None]
OldValues = Mapping[bytes, list[bytes | None]]
"""Space → the values that its keys had before they are written, in their order."""

_PUT = "REPLACE INTO pairs VALUES (?, ?, ?)"
_DELETE = "DELETE FROM pairs WHERE space = ? AND key = ?"
_DIGEST = "SELECT digest FROM log WHERE version = ? UNION ALL SELECT digest FROM digests WHERE version = ? LIMIT 1"
_LAST_WRITTEN = "SELECT version FROM written WHERE space = ?"
_DONE = "SELECT version FROM log WHERE version > ? AND token = ?"
_ANY_LOCK = "SELECT 1 FROM locks LIMIT 1"
_LOG = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GONE = "SELECT version, written, digest, drops, changes FROM log ORDER BY version"

_TOKENS = b"locks"
"""The counter of the fencing tokens."""

_MOST_SLACK = 64
"""The log is trimmed when it has so many commits too many, or a hundredth of its bound."""


def next_token(connection: apsw.Connection) -> int:
    """Return the next fencing token of locks."""
    last: int = connection.execute("SELECT value FROM counters WHERE name = ?", (_TOKENS,)).get or 0
    connection.execute("REPLACE INTO counters VALUES (?, ?)", (_TOKENS, last + 1))
    return last + 1


def commit(connection: apsw.Connection, batch: Batch, most_commits: int, most_bytes: int, advance: Advance) -> int:
    """Validate and apply a batch; return its version. `advance` advances its counters. Raise as `Store.commit` does."""
    state = read_state(connection)
    newest = state[0]
    before = _known_before(batch)
    done = _version_of(connection, batch.token, before) if newest > before else None
    if done is not None:
        return done
    try:
        for version, digest in batch.seen.items():
            if digest != _digest_of(connection, version, state):
                raise history_lost(version)
    except SnapshotTooOld:
        done = _version_of(connection, batch.token, 0)
        if done is None:
            raise
        return done
    writes = {space: values for space, values in writes_of(batch).items() if values}
    olds = {space: old_values(connection, space, list(values)) for space, values in writes.items()}
    _validate(connection, _unsettled(batch, writes, olds, newest), state)
    if connection.execute(_ANY_LOCK).get is not None:
        held = [name for name in batch.locks if holder_of(connection, name)[0] not in (b"", batch.owner)]
        if held:
            raise KeysLocked(held)
    if batch.advances:
        advance(connection, batch)
    if not writes and not batch.drops:
        return newest
    _apply(connection, batch, writes, olds, state, most_commits, most_bytes)
    return newest + 1


def free(connection: apsw.Connection, spaces: Sequence[bytes]) -> None:
    """Delete dropped spaces."""
    names = [(space,) for space in spaces]
    connection.executemany("DELETE FROM pairs WHERE space = ?", names)
    connection.executemany("DELETE FROM written WHERE space = ?", names)


def _version_of(connection: apsw.Connection, token: bytes, after: int) -> int | None:
    """Return the version of a commit, if it is in the log after another version."""
    version: int | None = connection.execute(_DONE, (after, token)).get
    return version


def _known_before(batch: Batch) -> int:
    """Return a version that there was before the batch was made, so that its token can only be in the log after it."""
    return max((*batch.seen, *(check.since for check in batch.checks)), default=0)


def _digest_of(connection: apsw.Connection, version: int, state: State) -> bytes:
    newest, *_, newest_digest = state
    if version >= newest:
        if version > newest:
            raise history_lost(version)
        return newest_digest
    digest: bytes | None = connection.execute(_DIGEST, (version, version)).get
    if digest is None:
        raise too_old(version)
    return digest


def _unsettled(batch: Batch, writes: WritesBySpace, olds: OldValues, newest: int) -> Sequence[Check]:
    """Return the checks of a batch without those of keys that the old values, or the newest version, show to hold."""
    new = {space for space, values in olds.items() if values.count(None) == len(values)}
    single, of_keys = checks_of(batch)
    left = [
        check
        for check in single
        if check.demand is not Demand.NO_KEYS
        or check.space not in new
        or check.begin not in writes[check.space]
        or check.end != check.begin + b"\0"
    ]
    for space, keys, since, demand in of_keys:
        if demand is Demand.NO_KEYS:
            holds = space in new and writes[space].keys() >= set(keys)
        else:
            holds = since == newest and demand is not Demand.A_KEY
        if not holds:
            left += [Check(space, key, key + b"\0", since, demand) for key in keys]
    return left


def _validate(connection: apsw.Connection, checks: Sequence[Check], state: State) -> None:
    """Raise Conflict for the first check that fails. Most pass because their space was not written since."""
    newest = state[0]
    tails: dict[int, Tail] = {}
    spaces = list({check.space for check in checks})
    horizon = read_horizon(connection)[0] if any(check.since != newest for check in checks) else newest
    for check in checks:
        space, begin, end, since, demand = check
        if demand in OF_PRESENT:
            found = first_key(connection, space, begin, end)
            if (found is None) is (demand is Demand.A_KEY):
                raise conflict(check, found or begin)
            continue
        if since == newest:
            continue
        if since > newest:
            raise history_lost(since)
        reached = max(since, horizon)
        if reached not in tails:
            tails[reached] = Tail(reached)
            extend_tail(connection, tails[reached], spaces)
        tail = tails[reached]
        if since < horizon:
            if tail.of(space) or (connection.execute(_LAST_WRITTEN, (space,)).get or 0) > since:
                raise too_old(since)
            continue
        for key in tail.written(space, (begin, end)):
            was_there = tail.of(space)[key] is not None
            if demand is Demand.UNWRITTEN or was_there != (values_of(connection, [(space, key)]) != [None]):
                raise conflict(check, key)


def _apply(
    connection: apsw.Connection,
    batch: Batch,
    writes: WritesBySpace,
    olds: OldValues,
    state: State,
    most_commits: int,
    most_bytes: int,
) -> None:
    newest, catalog, written, incarnation, catalog_digest, digest = state
    version, digest = newest + 1, next_digest(digest, batch.token)
    changes: list[bytes] = []
    for space, values in writes.items():
        written += len(values) * len(space) + sum(map(len, values))
        written += sum(map(len, filter(None, values.values()))) + sum(map(len, filter(None, olds[space])))
        changes += (space, msgpack.packb((list(values), olds[space], list(values.values()))))
        puts = sorted((space, key, value) for key, value in values.items() if value is not None)
        connection.executemany(_PUT, puts)
        if len(puts) < len(values):
            connection.executemany(_DELETE, [(space, key) for key, value in values.items() if value is None])
    if CATALOG in writes:
        catalog, catalog_digest = version, digest
    drops = msgpack.packb(list(batch.drops)) if batch.drops else None
    new_state = version, catalog, written, incarnation or os.urandom(8), catalog_digest, digest
    connection.execute(_LOG, (*new_state, batch.token, drops, msgpack.packb(changes)))
    _trim(connection, version, written, most_commits, most_bytes)


def _trim(connection: apsw.Connection, version: int, written: int, most_commits: int, most_bytes: int) -> None:
    """Trim the log to its limits; the newest commit stays, so that its token is known."""
    horizon, _, before, *_ = read_horizon(connection)
    slack = min(_MOST_SLACK, most_commits // 100)
    if version - horizon <= most_commits + slack and written - before <= most_bytes:
        return
    digests: list[tuple[int, bytes]] = []
    last_written: dict[bytes, int] = {}
    drops: list[bytes] = []
    for number, size, digest, dropped, changes in connection.execute(_GONE):
        if number > horizon:
            last_written.update(dict.fromkeys(msgpack.unpackb(changes)[::2], number))
            drops += msgpack.unpackb(dropped) if dropped else ()
        if number + 1 == version or (version - number <= most_commits and written - size <= most_bytes):
            break
        digests.append((number, digest))
    # The row at which the loop has ended is the new horizon.
    shorten(connection, number, digests, last_written)
    connection.execute("DELETE FROM digests WHERE version <= ?", (version - MOST_DIGESTS,))
    free(connection, drops)


def shorten(
    connection: apsw.Connection, horizon: int, digests: Sequence[tuple[int, bytes]], written: Mapping[bytes, int]
) -> None:
    """Remove the log before a version, but keep the digests of the commits, and which spaces they wrote last."""
    connection.execute("DELETE FROM log WHERE version < ?", (horizon,))
    connection.executemany("INSERT INTO digests VALUES (?, ?)", digests)
    connection.executemany("REPLACE INTO written VALUES (?, ?)", list(written.items()))
