"""Requests as queries on a file's tables. The caller has begun a transaction, so all answers are from one version."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import apsw
import msgpack

from rome.storage.keys import row_key_of
from rome.storage.lock_table import now
from rome.storage.store import (
    Change,
    Committed,
    Count,
    Get,
    KeyRange,
    Lookup,
    Range,
    Request,
    Scan,
    history_lost,
    too_old,
)
from rome.storage.tails import Tail
from rome.storage.undo import Columns

_COLUMNS = "SELECT version, catalog, written, incarnation, catalog_digest, digest"
_NEWEST = f"{_COLUMNS} FROM log ORDER BY version DESC LIMIT 1"
_AT = f"{_COLUMNS} FROM log WHERE version = ?"
_VALUE = "SELECT (SELECT value FROM pairs WHERE space = ? AND key = ?)"
_NEWEST_AND_VALUE = f"{_COLUMNS}, ({_VALUE}) FROM log ORDER BY version DESC LIMIT 1"
_HORIZON = "SELECT version, written FROM log ORDER BY version LIMIT 1"
_BEFORE_COMMIT = f"""
    {_COLUMNS}, EXISTS (SELECT 1 FROM locks), (SELECT version FROM log WHERE version > ? AND token = ?)
    FROM log ORDER BY version DESC LIMIT 1
"""
_SCAN = "SELECT key, value FROM pairs WHERE space = ?"
_RANGE = "SELECT key, value FROM pairs WHERE space = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"
_REVERSE = "SELECT key, value FROM pairs WHERE space = ? AND key >= ? AND key < ? ORDER BY key DESC LIMIT ?"
_IS_LONGER = "SELECT EXISTS (SELECT 1 FROM pairs WHERE space = ? AND key >= ? AND key < ? LIMIT 1 OFFSET ?)"
_COUNT = "SELECT count(*) FROM pairs WHERE space = ? AND key >= ? AND key < ?"
_LOG = "SELECT version, changes FROM log WHERE version > ? ORDER BY version LIMIT ?"

_HOLDER = "SELECT owner, deadline, ttl FROM locks WHERE name = ?"

_ROUNDING = 1.0

_FEW = 8
"""So many keys are looked up one by one: a query for their range would cost more than it saves."""

_ALL = -1
"""No LIMIT."""

OldValues = Mapping[bytes, list[bytes | None]]
"""Space → the values that its keys had before they are written, in their order."""

State = tuple[int, int, int, bytes, bytes, bytes]
"""A version: its number, its catalog's version, the bytes of all undo records up to it, and the three digests."""


def read_state(connection: apsw.Connection) -> State:
    """Return the newest version. This is one statement, which needs no transaction."""
    row: State = connection.execute(_NEWEST).get
    return row


def read_state_and_value(connection: apsw.Connection, space: bytes, key: bytes) -> tuple[State, bytes | None]:
    """Return the newest version, and the value of a key in it: one statement, which needs no transaction."""
    *state, value = connection.execute(_NEWEST_AND_VALUE, (space, key)).get
    return cast("State", state), value


def read_before_commit(connection: apsw.Connection, token: bytes, after: int) -> tuple[State, bool, int | None]:
    """Return what a commit asks first: the newest version, whether there are locks, and the version of its token.

    That is looked for after a version; None if the batch was not applied yet.
    """
    *state, has_locks, done = connection.execute(_BEFORE_COMMIT, (after, token)).get
    return cast("State", state), bool(has_locks), done


def read_horizon(connection: apsw.Connection) -> tuple[int, int]:
    """Return the oldest version that can be read, and the bytes of all undo records up to it."""
    horizon: tuple[int, int] = connection.execute(_HORIZON).get
    return horizon


def state_at(connection: apsw.Connection, version: int) -> State:
    """Return a version. Raise SnapshotTooOld if it is before the log, HistoryLost for a future version."""
    row: State | None = connection.execute(_AT, (version,)).get
    if row is None:
        raise history_lost(version) if version > read_state(connection)[0] else too_old(version)
    return row


def read_log(connection: apsw.Connection, since: int, limit: int) -> list[Committed]:
    """Return the commits after a version, oldest first, and at most `limit` of them."""
    commits = []
    for version, packed in connection.execute(_LOG, (since, limit)):
        fields = iter(msgpack.unpackb(packed))
        changes = (
            Change(space, *each)
            for space, its_changes in zip(fields, fields, strict=True)
            for each in zip(*msgpack.unpackb(its_changes), strict=True)
        )
        commits.append(Committed(version, tuple(changes)))
    return commits


def extend_tail(connection: apsw.Connection, tail: Tail, spaces: Sequence[bytes]) -> None:
    """Extend a tail to the newest version. Raise ChangedHistory."""
    newest, *_, digest = read_state(connection)
    last_seen: State | None = connection.execute(_AT, (tail.seen[0],)).get
    tail.confirm(tail.seen, b"" if last_seen is None else last_seen[-1])
    since = min(map(tail.until, spaces), default=newest)
    if since < newest:
        found: dict[bytes, list[dict[bytes, bytes | None]]] = {space: [] for space in spaces}
        for version, packed in connection.execute(_LOG, (since, _ALL)):
            fields = iter(msgpack.unpackb(packed))
            for space, its_changes in zip(fields, fields, strict=True):
                if space in found and version > tail.until(space):
                    keys, olds, _ = msgpack.unpackb(its_changes)
                    found[space].append(dict(zip(keys, olds, strict=True)))
        for space, commits in found.items():
            tail.extend(space, newest, commits)
    tail.seen = newest, digest


def values_of(connection: apsw.Connection, keys: Sequence[tuple[bytes, bytes]]) -> list[bytes | None]:
    """Return the values of keys, each with its space."""
    return [value for (value,) in connection.executemany(_VALUE, keys)]


def old_values(connection: apsw.Connection, keys: Mapping[bytes, Collection[bytes]]) -> OldValues:
    """Return the values of keys, by space. If many keys lie in a range with few others, one query reads all of it."""
    if sum(map(len, keys.values())) <= _FEW:
        found = iter(values_of(connection, [(space, key) for space in keys for key in keys[space]]))
        return {space: list(islice(found, len(its_keys))) for space, its_keys in keys.items()}
    olds: dict[bytes, list[bytes | None]] = {}
    for space, its_keys in keys.items():
        bounds = min(its_keys), max(its_keys) + b"\0"
        if connection.execute(_IS_LONGER, (space, *bounds, 2 * len(its_keys))).get:
            olds[space] = values_of(connection, [(space, key) for key in its_keys])
        else:
            present = dict(_pairs(connection, space, bounds, None, False))
            olds[space] = list(map(present.get, its_keys))
    return olds


def first_key(connection: apsw.Connection, space: bytes, begin: bytes, end: bytes) -> bytes | None:
    """Return the first key of a range."""
    found = connection.execute(_RANGE, (space, begin, end, 1)).get
    return None if found is None else found[0]


def answer(connection: apsw.Connection, request: Request) -> Any:
    """Return the present answer; a Lookup keeps the entries whose row is missing, with value None."""
    if isinstance(request, Get):
        return values_of(connection, [(request.space, key) for key in request.keys])
    if isinstance(request, Range):
        return _pairs(connection, request.space, (request.begin, request.end), request.limit, request.reverse)
    if isinstance(request, Scan):
        return all_of(connection, request.space)
    if isinstance(request, Lookup):
        return _look_up(connection, request)
    if isinstance(request, Count):
        return sum(connection.execute(_COUNT, (request.space, *bounds)).get for bounds in request.ranges)
    raise TypeError(request)


def all_of(connection: apsw.Connection, space: bytes) -> Columns:
    """Return all keys of a space, and their values."""
    pairs = connection.execute(_SCAN, (space,)).fetchall()
    return cast("Columns", tuple(zip(*pairs, strict=True)) or ((), ()))


def _look_up(connection: apsw.Connection, request: Lookup) -> Columns:
    entries: list[bytes] = []
    for bounds in reversed(request.ranges) if request.reverse else request.ranges:
        left = None if request.limit is None else request.limit - len(entries)
        if left == 0:
            break
        entries += [key for key, _ in _pairs(connection, request.index, bounds, left, request.reverse)]
    return entries, values_of(connection, [(request.rows, row_key_of(entry)) for entry in entries])


def _pairs(
    connection: apsw.Connection, space: bytes, bounds: KeyRange, limit: int | None, reverse: bool
) -> list[tuple[bytes, bytes]]:
    query = _REVERSE if reverse else _RANGE
    found = connection.execute(query, (space, *bounds, _ALL if limit is None else limit)).fetchall()
    return cast("list[tuple[bytes, bytes]]", found)


def holder_of(connection: apsw.Connection, name: bytes) -> tuple[bytes, float]:
    """Return the owner of a lock, b'' if there is none, and its deadline."""
    row = connection.execute(_HOLDER, (name,)).get
    if row is None:
        return b"", 0.0
    owner, deadline, ttl = row
    return owner, deadline_of(deadline, ttl)


def deadline_of(deadline: float, ttl: float) -> float:
    """Return a deadline as it was set; 0 for one from before the machine's boot, which is further away than the TTL."""
    return deadline if deadline <= now() + ttl + _ROUNDING else 0.0
