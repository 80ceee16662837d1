r"""The checks and writes of a batch, kept by column: a transaction of 100,000 rows makes no tuple for each.

To a store, both are sequences like any other, whose items are made while they are read. A store that sends the keys on
in lists takes them as they are (`Writes.by_space`, `Checks.of_keys`).

    Writes({b"r1": {key1: value1, key2: value2}, b"i2": {entry1: b""}})
        Write(b"r1", key1, value1), Write(b"r1", key2, value2), Write(b"i2", entry1, b"")

    Checks([], {(b"r1", 7, UNWRITTEN): [key1, key2]})
        Check(b"r1", key1, key1 + b"\\0", 7, UNWRITTEN), Check(b"r1", key2, key2 + b"\\0", 7, UNWRITTEN)

`writes_of` and `checks_of` return the writes and checks of any batch in this form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

from rome.fast_tuples import tuple_maker
from rome.storage.store import Batch, Check, Demand, Write

WritesBySpace = dict[bytes, dict[bytes, bytes | None]]
"""Space → key → value; None to delete the key."""

T = TypeVar("T")

_write = tuple_maker(Write)
_check = tuple_maker(Check)


class _MadeWhileRead(Sequence[T]):
    """A sequence whose items are made while they are read: it is to be read from the first to the last."""

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        return list(self)[at]


@dataclass(eq=False)
class Writes(_MadeWhileRead[Write]):
    """The writes of a batch."""

    by_space: WritesBySpace

    def __len__(self) -> int:
        return sum(map(len, self.by_space.values()))

    def __iter__(self) -> Iterator[Write]:
        for space, values in self.by_space.items():
            for key, value in values.items():
                yield _write((space, key, value))


KeyChecks = Mapping[tuple[bytes, int, Demand], Collection[bytes]]
"""Space, version and demand → the keys of which it is demanded since then."""

ChecksByKind = tuple[Sequence[Check], KeyChecks]
"""The checks of ranges, and those of keys."""


@dataclass(eq=False)
class Checks(_MadeWhileRead[Check]):
    """The checks of a batch, those of ranges and those of keys apart."""

    of_ranges: Sequence[Check]
    of_keys: KeyChecks

    def __len__(self) -> int:
        return len(self.of_ranges) + sum(map(len, self.of_keys.values()))

    def __iter__(self) -> Iterator[Check]:
        yield from self.of_ranges
        for (space, since, demand), keys in self.of_keys.items():
            for key in keys:
                yield _check((space, key, key + b"\0", since, demand))


def writes_of(batch: Batch) -> WritesBySpace:
    """Return the writes by space. A key that is written twice gets its last value."""
    if type(batch.writes) is Writes:
        return batch.writes.by_space
    writes: WritesBySpace = {}
    for space, key, value in batch.writes:
        if space in writes:
            writes[space][key] = value
        else:
            writes[space] = {key: value}
    return writes


def size_of(batch: Batch) -> int:
    """Return the bytes of the keys and values that a batch writes."""
    writes = writes_of(batch).values()
    return sum(sum(map(len, values)) + sum(map(len, filter(None, values.values()))) for values in writes)


def checks_of(batch: Batch) -> ChecksByKind:
    """Return the checks of a batch."""
    checks = batch.checks
    if type(checks) is Checks:
        return checks.of_ranges, checks.of_keys
    of_ranges: list[Check] = []
    of_keys: dict[tuple[bytes, int, Demand], list[bytes]] = {}
    for check in checks:
        space, begin, end, since, demand = check
        if end == begin + b"\0":
            of_keys.setdefault((space, since, demand), []).append(begin)
        else:
            of_ranges.append(check)
    return of_ranges, of_keys
