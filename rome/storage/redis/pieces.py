"""A large commit in pieces, because no script may keep the server from its other clients for long.

    stage      the client puts the pieces under `staged:TOKEN`: first those with checks, then those with writes
    begin      a short script sets the field `pending`: from now on nobody else commits (begin.lua)
    step       a script checks, or writes, one piece. The last check decides; if one fails, the commit is refused and
               nothing was written. The last piece writes the state: the commit is visible (commit.lua)

Anybody can do the steps, for the pieces are on the server: a writer that finds a pending commit finishes it, and then
sends its own. So the commit of a client that is killed, at any point, was not begun (its pieces expire), or is finished
by the next writer. Its client learns the outcome by its token: of an applied commit from the log, of a refused one from
`refused:TOKEN`.

Readers neither wait nor help: while a commit is pending, they read the version before it. Each step logs the old values
of the rows that it writes, so that they can be undone like those of a later commit (`rome.storage.undo`).

Most keys that are checked are also written. Then the piece that checks names the piece that writes them, instead of the
keys: they are staged once, and the server reads them for the check only if somebody has written to the space, or locked
rows, meanwhile.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import add
from typing import NamedTuple

from rome.storage.columns import WritesBySpace, checks_of
from rome.storage.redis import writes as bounds
from rome.storage.redis.writes import Demanded, Limits, WritesToSpace, arguments_with, grouped, head_of, pack, seen_of
from rome.storage.store import Batch, holds_rows


class Part(NamedTuple):
    """The keys of a space that one piece writes, in order: the server finds its place in a sorted set faster."""

    space: bytes
    keys: Sequence[bytes]


def parts_of(writes: WritesBySpace) -> list[Part]:
    """Return the parts that writes are done in. The first piece writes the first part, and so on."""
    return [Part(space, keys) for space, values in writes.items() for keys in _cut(sorted(values), values)]


def write_pieces(batch: Batch, writes: WritesBySpace, parts: Sequence[Part], limits: Limits) -> Iterator[bytes]:
    """Yield the pieces that write; the last one has everything that is done once."""
    for space, keys in parts:
        values = writes[space]
        written = dict(zip(keys, map(values.get, keys), strict=True))
        deletions = [key for key, value in written.items() if value is None] if None in written.values() else []
        puts = {key: value for key, value in written.items() if value is not None} if deletions else written
        yield pack(arguments_with(limits, batch.token, {}, [(space, puts, deletions, 0)]))
    drops = list(dict.fromkeys(batch.drops))
    none: list[WritesToSpace] = [(space, {}, (), 0) for space in writes]
    head = head_of(batch.token, writes, drops)
    yield pack(arguments_with(limits, batch.token, {}, none, b"", head, drops, batch.advances))


def check_pieces(batch: Batch, writes: WritesBySpace, parts: Sequence[Part], limits: Limits) -> Iterator[bytes]:
    """Yield the pieces that check, also that no row to be written is locked by others.

    The first one checks the versions that the batch depends on.
    """
    seen = seen_of(batch.seen)
    size = bounds.MOST_KEYS & ~1  # even, because begin and end of a range stay together
    of_written: dict[bytes, list[Demanded]] = {space: [(space, 0, None)] for space in writes if holds_rows(space)}
    for (space, since, demand), (keys, ranges) in grouped(checks_of(batch), {})[0].items():
        if space in writes and len(keys) == len(writes[space]) and writes[space].keys() >= set(keys):
            of_written.setdefault(space, []).append((space, since, demand))
            single: Sequence[bytes] = ()
        else:
            single = keys
        for at in range(0, max(len(single), len(ranges)), size):
            part = {(space, since, demand): (single[at : at + size], ranges[at : at + size])}
            yield pack(arguments_with(limits, batch.token, part, (), seen))
            seen = b""
    for number, (space, _) in enumerate(parts, 1):
        checks = {check: ([b"%d" % number], ()) for check in of_written.get(space, ())}
        if checks:
            yield pack(arguments_with(limits, batch.token, checks, (), seen, owner=batch.owner, of_written=True))
            seen = b""
    for space in writes:
        if not holds_rows(space):
            # It has no locks, but must not be evicted either.
            check: Demanded = space, 0, None
            yield pack(arguments_with(limits, batch.token, {check: ([b""], ())}, (), seen))
            seen = b""
    if seen:
        yield pack(arguments_with(limits, batch.token, {}, (), seen))


def _cut(keys: Sequence[bytes], values: Mapping[bytes, bytes | None]) -> Iterator[Sequence[bytes]]:
    """Cut keys, with their values, into parts within the bounds."""
    written = [value or b"" for value in map(values.get, keys)]
    sizes = list(accumulate(map(add, map(len, keys), map(len, written))))
    at = before = 0
    while at < len(keys):
        # The part ends with the key that exceeds the bound.
        end = min(bisect_right(sizes, before + bounds.MOST_BYTES, at) + 1, at + bounds.MOST_KEYS, len(keys))
        yield keys[at:end]
        at, before = end, sizes[end - 1]
