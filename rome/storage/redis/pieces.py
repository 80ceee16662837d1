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
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from rome.storage.columns import WritesBySpace, checks_of
from rome.storage.redis import writes as limit
from rome.storage.redis.writes import (
    DEMANDS_OF_WRITTEN,
    BatchArguments,
    Demanded,
    Limits,
    bounds_by_kind,
    pack,
    seen_of,
)
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
        arguments = BatchArguments(limits, batch.token)
        arguments.write(space, dict(zip(keys, map(writes[space].get, keys), strict=True)))
        yield pack(arguments.packed())
    arguments = BatchArguments(limits, batch.token)
    for space in writes:
        arguments.write(space, {})
    yield pack(arguments.packed_with_rest(replace(batch, owner=b"", expects={}), list(dict.fromkeys(batch.drops))))


def check_pieces(batch: Batch, writes: WritesBySpace, parts: Sequence[Part], limits: Limits) -> Iterator[bytes]:
    """Yield the pieces that check, also that no row to be written is locked by others.

    The first one checks the versions that the batch depends on.
    """
    seen = seen_of(batch.seen)
    for arguments, owner in _checks(batch, writes, parts, limits):
        yield pack(arguments.packed(seen, owner))
        seen = b""
    if seen:
        yield pack(BatchArguments(limits, batch.token).packed(seen))


def _checks(
    batch: Batch, writes: WritesBySpace, parts: Sequence[Part], limits: Limits
) -> Iterator[tuple[BatchArguments, bytes]]:
    """Yield the arguments of each piece that checks, and the owner of row locks."""

    def checking(kind: Demanded, keys: Sequence[bytes], bounds: Sequence[bytes] = ()) -> tuple[BatchArguments, bytes]:
        arguments = BatchArguments(limits, batch.token)
        arguments.check(kind, keys, bounds)
        return arguments, b""

    of_ranges, of_keys = checks_of(batch)
    of_written: dict[bytes, list[Demanded]] = {space: [(space, 0, None)] for space in writes if holds_rows(space)}
    size = limit.MOST_KEYS & ~1  # even, because begin and end of a range stay together
    for (space, since, demand), keys in of_keys.items():
        if space in writes and len(keys) == len(writes[space]) and all(map(writes[space].__contains__, keys)):
            of_written.setdefault(space, []).append((space, since, demand))
        else:
            in_order = list(keys)
            for at in range(0, len(in_order), size):
                yield checking((space, since, demand), in_order[at : at + size])
    for kind, bounds in bounds_by_kind(of_ranges).items():
        for at in range(0, len(bounds), size):
            yield checking(kind, (), bounds[at : at + size])
    for number, (space, _) in enumerate(parts, 1):
        if space in of_written:
            arguments = BatchArguments(limits, batch.token)
            for kind in of_written[space]:
                arguments.check(kind, [b"%d" % number], (), DEMANDS_OF_WRITTEN)
            yield arguments, batch.owner
    for space in writes:
        if not holds_rows(space):
            # It has no locks, but must not be evicted either.
            yield checking((space, 0, None), [b""])


def _cut(keys: Sequence[bytes], values: Mapping[bytes, bytes | None]) -> Iterator[Sequence[bytes]]:
    """Cut keys, with their values, into parts within the bounds."""
    for at in range(0, len(keys), limit.MOST_KEYS):
        part = keys[at : at + limit.MOST_KEYS]
        if sum(map(len, part)) + sum(map(len, filter(None, map(values.get, part)))) <= limit.MOST_BYTES:
            yield part
        else:
            yield from _cut_by_size(part, values)


def _cut_by_size(keys: Sequence[bytes], values: Mapping[bytes, bytes | None]) -> Iterator[Sequence[bytes]]:
    sizes = list(accumulate(len(key) + len(values[key] or b"") for key in keys))
    at = before = 0
    while at < len(keys):
        # The part ends with the key that exceeds the bound.
        end = min(bisect_right(sizes, before + limit.MOST_BYTES, at) + 1, len(keys))
        yield keys[at:end]
        at, before = end, sizes[end - 1]
