"""A lock table made of commits, for any Store: a space of records, polled with growing pauses.

A store has no clock. So the waiter measures the TTL (as the lock client of DynamoDB does): a record that has not
changed for its whole TTL, by the waiter's own clock, belongs to a holder that does not renew it any more. A dead holder
is therefore overtaken one TTL after the first waiter has noticed it, and clocks that disagree do no harm.

A free lock takes one round trip to take and one to release; to overtake one takes two.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack

from rome import waits
from rome.errors import Conflict, FormatError, SnapshotTooOld
from rome.forks import new_lock
from rome.storage.lock_table import Attempt, Holder, LockState, now
from rome.storage.store import LAST, Batch, Check, Demand, Get, Range, Store, Write

LOCKS = b"l"
"""The space of the records: name → owner, TTL in seconds, number of renewals."""

_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.25
_TRIES = 10


class _Record(NamedTuple):
    owner: bytes
    ttl: float
    renewals: int


class CommitLocks:
    """The lock table of a database, made of commits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = new_lock()
        self._seen: dict[bytes, tuple[_Record, float]] = {}
        """By name that another owner holds: its record, and when this process saw the record first."""

    def acquire(self, names: Sequence[bytes], owner: bytes, ttl: float, skip: bool) -> Attempt:
        """Take names in order. One round trip for names that are free."""
        record = _Record(owner, ttl, 0)
        try:
            version = self._write([Check(LOCKS, *_only(name), 0, Demand.NO_KEYS) for name in names], names, record)
        except Conflict:
            return self._acquire_some(names, record, skip)
        return Attempt((LockState.GRANTED,) * len(names), version, version)

    def _acquire_some(self, names: Sequence[bytes], record: _Record, skip: bool) -> Attempt:
        for _ in range(_TRIES):
            version, found = self._read(names)
            states, left, waited = self._judge(names, found, record.owner, skip)
            taken = [name for name, state in zip(names, states, strict=False) if state is not LockState.HELD]
            if not taken:
                break
            try:
                version = self._write([Check(LOCKS, *_only(name), version) for name in taken], taken, record)
                break
            except (Conflict, SnapshotTooOld):
                continue
        else:
            return Attempt((LockState.HELD,), 0, version, _LONGEST_PAUSE, 0.0)
        return Attempt(states, version, version, left, waited)

    def _judge(
        self, names: Sequence[bytes], found: Sequence[_Record | None], owner: bytes, skip: bool
    ) -> tuple[tuple[LockState, ...], float, float]:
        """Return the states of the names; of the one that blocks, the seconds left of its TTL and those it was seen."""
        states: list[LockState] = []
        left = waited = 0.0
        for name, record in zip(names, found, strict=True):
            if record is None or record.owner == owner:
                states.append(LockState.GRANTED)
                continue
            waited = self._unchanged(name, record)
            if waited >= record.ttl:
                states.append(LockState.OVERTOOK)
                continue
            states.append(LockState.HELD)
            left = record.ttl - waited
            if not skip:
                break
        return tuple(states), left, waited

    def _unchanged(self, name: bytes, record: _Record) -> float:
        """Return for how many seconds this process has seen this record, and no other, under the name."""
        with self._lock:
            seen = self._seen.get(name)
            if seen is None or seen[0] != record:
                seen = self._seen[name] = record, now()
            return now() - seen[1]

    def renew(self, names: Sequence[bytes], owner: bytes, ttl: float) -> bool:
        """Begin the TTL anew. Return False if `owner` does not hold all of the names any more."""
        for _ in range(_TRIES):
            version, found = self._read(names)
            if any(record is None or record.owner != owner for record in found):
                return False
            renewals = 1 + max(record.renewals for record in found if record is not None)
            try:
                checks = [Check(LOCKS, *_only(name), version) for name in names]
                self._write(checks, names, _Record(owner, ttl, renewals))
            except (Conflict, SnapshotTooOld):
                continue
            return True
        return False

    def release(self, names: Sequence[bytes], owner: bytes) -> bool:
        """Give names back. Return False if `owner` did not hold all of them any more."""
        for _ in range(_TRIES):
            version, found = self._read(names)
            ours = [
                name for name, record in zip(names, found, strict=True) if record is not None and record.owner == owner
            ]
            try:
                if ours:
                    self._write([Check(LOCKS, *_only(name), version) for name in ours], ours, None)
            except (Conflict, SnapshotTooOld):
                continue
            return len(ours) == len(names)
        return False

    def wait(self, name: bytes, ticket: Any, seconds: float) -> None:
        """Sleep for a quarter of the time that the record has been seen already."""
        waits.sleep(min(seconds, max(_SHORTEST_PAUSE, min(_LONGEST_PAUSE, ticket / 4))))

    def holders(self) -> list[Holder]:
        """Return the names that have a record. One that this process sees for the first time has its whole TTL left."""
        (pairs,) = self._store.fetch([Range(LOCKS, b"", LAST)]).answers
        records = [(name, _decode(name, data)) for name, data in pairs]
        held = [Holder(name, each.owner, each.ttl - self._unchanged(name, each)) for name, each in records]
        return [holder for holder in held if holder.left > 0]

    def wake(self, name: bytes) -> None:
        """Do nothing: no wait is longer than a quarter of a second."""

    def _read(self, names: Sequence[bytes]) -> tuple[int, list[_Record | None]]:
        fetched = self._store.fetch([Get(LOCKS, tuple(names))])
        found = [
            None if data is None else _decode(name, data) for name, data in zip(names, fetched.answers[0], strict=True)
        ]
        with self._lock:
            for name, record in zip(names, found, strict=True):
                if record is None:
                    self._seen.pop(name, None)
        return fetched.version, found

    def _write(self, checks: Sequence[Check], names: Sequence[bytes], record: _Record | None) -> int:
        value = None if record is None else msgpack.packb(tuple(record))
        return self._store.commit(Batch(uuid.uuid4().bytes, checks, [Write(LOCKS, name, value) for name in names]))


def _decode(name: bytes, data: bytes) -> _Record:
    """Return the record of a name. Raise FormatError."""
    try:
        owner, ttl, renewals = msgpack.unpackb(data)
        return _Record(bytes(owner), float(ttl), int(renewals))
    except Exception as error:  # msgpack's errors have no common base class but this one
        raise FormatError(f"the record of lock {name!r} does not decode: {error}: {data!r}") from error


def _only(name: bytes) -> tuple[bytes, bytes]:
    """Return the range of one key."""
    return name, name + b"\x00"
