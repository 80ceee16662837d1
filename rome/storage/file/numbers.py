"""The numbers of a file's counters, in a small file beside it (`NAME-ids`), so that to draw one needs no transaction.

The table `counters` has, of each counter, a limit: the greatest number that may have been drawn. The small file has the
last number that was drawn. A number below the limit is drawn by changing the small file, under a `flock` of its own, so
no draw waits for the sync of a commit. When the limit is reached, a write of the database raises it by 100. The next
commit that is synced takes it along; so no row has a number above the limit that the disk has.

    the process is killed           the small file is as it was before the draw or after it
    the machine crashes             the small file is of another boot, and does not count: numbers go on after the
                                    limit, and some are skipped
    the database is restored        the limits of the small file are others than those of the table, when a process
                                    opens it: numbers go on after both

Whoever takes the lock of writers and the lock of the small file takes that of writers first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from struct import Struct
from types import MappingProxyType
from typing import Any, NamedTuple
from zlib import crc32

import apsw
import msgpack

from rome.errors import CounterUsedUp, NumbersTaken
from rome.packing import Packing
from rome.storage.file.file_lock import FileLock
from rome.storage.file.writer import Writer
from rome.storage.store import MOST_COUNTED, Draw

_NONE: Mapping[bytes, int] = MappingProxyType({})

_RESERVED = 100
"""Numbers by which a limit is raised."""

_HEAD = Struct(">II")
"""Of the small file: the checksum and the length of what follows, the boot and what is known by counter as msgpack."""

_READ = 8192
"""Bytes of the small file that are read at first. Mostly it has less."""

_pack = Packing().pack

_LIMIT = "SELECT value FROM counters WHERE name = ?"
_LIMITS = "SELECT name, value FROM counters"
_RAISE = "REPLACE INTO counters VALUES (?, ?)"


def _boot() -> str:
    """Return what names this run of the machine; nothing where the operating system does not tell it."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


class _Known(NamedTuple):
    """Of a counter: the last number that was drawn, and the limit."""

    last: int
    limit: int


class Numbers:
    """The counters of one file. Threads share it."""

    def __init__(self, path: str, writer: Writer) -> None:
        self._lock = FileLock(f"{path}-ids")
        self._writer = writer
        self._boot = _boot()
        self._reserved = _RESERVED if self._boot else 0
        self._is_checked = False
        self._last_written: tuple[bytes, Mapping[bytes, _Known]] = b"", {}
        """The bytes that this process has written last, and the numbers in them, which need not be decoded again."""

    def draw(self, draws: Sequence[Draw]) -> list[int]:
        """Take numbers of counters; return the first of each. Raise CounterUsedUp."""
        if not self._is_checked:
            self._writer.run(self._check, durable=False)
            self._is_checked = True
        while (firsts := self._lock.hold(partial(self._take, draws))) is None:
            self._writer.run(partial(self._reserve, draws), durable=False)
        return firsts

    def last_of(self, connection: apsw.Connection) -> dict[bytes, int]:
        """Return the last number of each counter, in a transaction that only reads."""
        known = self._lock.hold(self._read)
        return {name: known[name].last if name in known else limit for name, limit in _limits_of(connection).items()}

    def advance(
        self,
        connection: apsw.Connection,
        advances: Mapping[bytes, int],
        expects: Mapping[bytes, int] = _NONE,
    ) -> None:
        """Let later numbers be greater than these, in a transaction of the writer.

        `expects`: the last numbers that counters must have given until now. Raise NumbersTaken.
        """

        def advance(file: int) -> None:
            known = self._read(file)
            for counter, expected in expects.items():
                if (known.get(counter) or _limit_of(connection, counter)).last != expected:
                    raise NumbersTaken(counter)
            for counter, value in advances.items():
                last, limit = known.get(counter) or _limit_of(connection, counter)
                if value > limit:
                    limit = value
                    connection.execute(_RAISE, (counter, limit))
                known[counter] = _Known(max(last, value), limit)
            self._write(file, known)

        self._lock.hold(advance)

    def forget(self) -> None:
        """Let the numbers begin after the limits of the table, in a transaction of the writer."""
        self._lock.hold(lambda file: self._write(file, {}))

    def close(self) -> None:
        """Close the small file. It is checked again when it is opened."""
        self._is_checked = False
        self._lock.close()

    def _take(self, draws: Sequence[Draw], file: int) -> list[int] | None:
        """Return the first number of each draw, and write the last ones; None if a limit must be raised first."""
        known = self._read(file)
        for counter, count in draws:
            if not _has(known, counter, count):
                return None
        firsts = []
        for counter, count in draws:
            last, limit = known[counter]
            known[counter] = _Known(last + count, limit)
            firsts.append(last + 1)
        self._write(file, known)
        return firsts

    def _check(self, connection: apsw.Connection) -> None:
        """Begin after both limits where that of the small file is another one than the table's."""
        limits = _limits_of(connection)

        def check(file: int) -> None:
            known = self._read(file)
            for counter, each in known.items():
                limit = limits.get(counter, 0)
                if limit != each.limit:
                    known[counter] = _Known(max(limit, each.limit), max(limit, each.limit))
            self._write(file, known)

        self._lock.hold(check)

    def _reserve(self, draws: Sequence[Draw], connection: apsw.Connection) -> None:
        """Raise the limits of counters for draws. Raise CounterUsedUp."""

        def reserve(file: int) -> None:
            known = self._read(file)
            raised: dict[bytes, _Known] = {}
            for counter, count in draws:
                if _has(known, counter, count):
                    continue  # by now
                start = _limit_of(connection, counter)
                last, limit = max(known.get(counter, start), start, key=lambda each: each.limit)
                if last > MOST_COUNTED - count:
                    raise CounterUsedUp(f"the counter {counter!r}")
                raised[counter] = _Known(last, min(max(limit + self._reserved, last + count), MOST_COUNTED))
            connection.executemany(_RAISE, [(counter, limit) for counter, (_, limit) in raised.items()])
            self._write(file, {**known, **raised})

        self._lock.hold(reserve)

    def _read(self, file: int) -> dict[bytes, _Known]:
        """Return what the small file knows: nothing if it is damaged, or of another boot."""
        data = os.pread(file, _READ, 0)
        if len(data) == _READ:
            data = os.pread(file, os.fstat(file).st_size, 0)
        written, known = self._last_written
        if written and data.startswith(written):
            return dict(known)
        if len(data) < _HEAD.size:
            return {}
        checksum, length = _HEAD.unpack_from(data)
        packed = data[_HEAD.size : _HEAD.size + length]
        if len(packed) != length or crc32(packed) != checksum:
            return {}
        boot, pairs = msgpack.unpackb(packed)
        return {name: _Known(*pair) for name, pair in pairs.items()} if boot == self._boot else {}

    def _write(self, file: int, known: Mapping[bytes, _Known]) -> None:
        packed = _pack((self._boot, known))
        data = _HEAD.pack(crc32(packed), len(packed)) + packed
        os.pwrite(file, data, 0)
        self._last_written = data, known


def _has(known: Mapping[bytes, _Known], counter: bytes, count: int) -> bool:
    return counter in known and known[counter].last + count <= known[counter].limit


def _limit_of(connection: apsw.Connection, counter: bytes) -> _Known:
    limit: int = connection.execute(_LIMIT, (counter,)).get or 0
    return _Known(limit, limit)


def _limits_of(connection: apsw.Connection) -> dict[bytes, int]:
    rows: list[Any] = connection.execute(_LIMITS).fetchall()
    return dict(rows)
