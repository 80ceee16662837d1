"""A batch applied to a file's tables, in a transaction of SQLite that the caller has begun.

Everything that can be refused is checked first: the token, the digests, the checks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import apsw
import msgpack

from rome.errors import KeysLocked, SnapshotTooOld
from rome.packing import Packing
from rome.storage.columns import WritesBySpace, checks_of, writes_of
from rome.storage.file.reads import (
    OldValues,
    State,
    all_of,
    extend_tail,
    first_key,
    holder_of,
    old_values,
    read_before_commit,
    read_horizon,
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
_PUT = "REPLACE INTO pairs VALUES (?, ?, ?)"
_DELETE = "DELETE FROM pairs WHERE space = ? AND key = ?"
_DELETE_ALL = "DELETE FROM pairs WHERE space = ?"
_DIGEST = "SELECT digest FROM log WHERE version = ? UNION ALL SELECT digest FROM digests WHERE version = ? LIMIT 1"
_LAST_WRITTEN = "SELECT version FROM written WHERE space = ?"
_LOG = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GONE = "SELECT version, written, digest, drops, changes FROM log ORDER BY version"

_TOKENS = b"locks"
"""The counter of the fencing tokens."""

_MOST_SLACK = 64
"""By so many commits, or by a hundredth of its bound, the log may be too long.

So a commit asks for its length only if the new version is a multiple of that, or if the commit itself is large.
"""
_LARGE = 10_000
"""A commit is large if so many of its size are more than the log may have."""

_pack = Packing().pack


def next_token(connection: apsw.Connection) -> int:
    """Return the next fencing token of locks."""
    last: int = connection.execute("SELECT value FROM counters WHERE name = ?", (_TOKENS,)).get or 0
    connection.execute("REPLACE INTO counters VALUES (?, ?)", (_TOKENS, last + 1))
    return last + 1


def commit(connection: apsw.Connection, batch: Batch, most_commits: int, most_bytes: int, advance: Advance) -> int:
    """Validate and apply a batch; return its version. `advance` advances its counters. Raise as `Store.commit` does."""
    state, has_locks, done = read_before_commit(connection, batch.token, _known_before(batch))
    if done is not None:
        return done
    newest, _, size_before, *_ = state
    try:
        for version, digest in batch.seen.items():
            if digest != _digest_of(connection, version, state):
                raise history_lost(version)
    except SnapshotTooOld:
        *_, done = read_before_commit(connection, batch.token, 0)
        if done is None:
            raise
        return done
    writes = {space: values for space, values in writes_of(batch).items() if values}
    olds = old_values(connection, writes)
    _validate(connection, _unsettled(batch, writes, olds, state), newest)
    if has_locks:
        held = [name for name in batch.locks if holder_of(connection, name)[0] not in (b"", batch.owner)]
        if held:
            raise KeysLocked(held)
        if batch.empties:
            raise conflict(batch.empties[0], b"", Demand.UNWRITTEN, 0)  # only single keys are compared with locks
    if batch.advances:
        advance(connection, batch)
    if not writes and not batch.drops and not batch.empties:
        return newest
    written = _apply(connection, batch, writes, olds, state)
    version = newest + 1
    slack = min(_MOST_SLACK, most_commits // 100)
    if not slack or not version % slack or (written - size_before) * _LARGE > most_bytes:
        horizon, trimmed = read_horizon(connection)
        if version - horizon > most_commits or written - trimmed > most_bytes:
            _trim(connection, horizon, version, written, most_commits, most_bytes)
    return version


def free(connection: apsw.Connection, spaces: Sequence[bytes]) -> None:
    """Delete dropped spaces."""
    names = [(space,) for space in spaces]
    connection.executemany(_DELETE_ALL, names)
    connection.executemany("DELETE FROM written WHERE space = ?", names)


def _known_before(batch: Batch) -> int:
    """Return a version that there was before the batch was made, so that its token can only be in the log after it."""
    of_ranges, of_keys = checks_of(batch)
    versions = [*batch.seen, *[check[3] for check in of_ranges], *[since for _, since, _ in of_keys]]
    return max(versions, default=0)


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


def _unsettled(batch: Batch, writes: WritesBySpace, olds: OldValues, state: State) -> Sequence[Check]:
    """Return the checks of a batch without those that the old values, or the newest version, show to hold."""
    newest, catalog, *_ = state
    new = {space for space, values in olds.items() if values.count(None) == len(values)}

    def is_unwritten(space: bytes, since: int) -> bool:
        return since == newest or (space == CATALOG and catalog <= since <= newest)

    of_ranges, of_keys = checks_of(batch)
    left = [each for each in of_ranges if each.demand in OF_PRESENT or not is_unwritten(each.space, each.since)]
    for (space, since, demand), keys in of_keys.items():
        if demand is Demand.NO_KEYS:
            holds = space in new and writes[space].keys() >= set(keys)
        else:
            holds = demand not in OF_PRESENT and is_unwritten(space, since)
        if not holds:
            left += [Check(space, key, key + b"\0", since, demand) for key in keys]
    return left


def _validate(connection: apsw.Connection, checks: Sequence[Check], newest: int) -> None:
    """Raise Conflict for the first check that fails. Most pass because their space was not written since."""
    if not checks:
        return
    horizon, _ = read_horizon(connection)
    tails: dict[int, Tail] = {}
    spaces = list({check.space for check in checks})
    for check in checks:
        space, begin, end, since, demand = check
        if demand in OF_PRESENT:
            found = first_key(connection, space, begin, end)
            if (found is None) is (demand is Demand.A_KEY):
                raise conflict(space, found or begin, demand, since)
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
                raise conflict(space, key, demand, since)


def _apply(connection: apsw.Connection, batch: Batch, writes: WritesBySpace, olds: OldValues, state: State) -> int:
    """Write a batch, and the row of its version. Return the bytes of all undo records up to it."""
    newest, catalog, written, incarnation, catalog_digest, digest = state
    version, digest = newest + 1, next_digest(digest, batch.token)
    changes: list[bytes] = []
    for space, values in writes.items():
        packed = _pack((list(values), olds[space], list(values.values())))
        written += len(space) + len(packed)
        changes += (space, packed)
    for space in batch.empties:
        keys, present = all_of(connection, space)
        if keys:
            packed = _pack((keys, present, [None] * len(keys)))
            written += len(space) + len(packed)
            changes += (space, packed)
            connection.execute(_DELETE_ALL, (space,))
    puts = [(space, key, value) for space in writes for key, value in writes[space].items() if value is not None]
    connection.executemany(_PUT, sorted(puts))
    if len(puts) < sum(map(len, writes.values())):
        gone = [(space, key) for space in writes for key, value in writes[space].items() if value is None]
        connection.executemany(_DELETE, gone)
    if CATALOG in writes:
        catalog, catalog_digest = version, digest
    drops = _pack(list(batch.drops)) if batch.drops else None
    new_state = version, catalog, written, incarnation or os.urandom(8), catalog_digest, digest
    connection.execute(_LOG, (*new_state, batch.token, drops, _pack(changes)))
    return written


def _trim(
    connection: apsw.Connection, horizon: int, version: int, written: int, most_commits: int, most_bytes: int
) -> None:
    """Trim the log to its limits; the newest commit stays, so that its token is known."""
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
