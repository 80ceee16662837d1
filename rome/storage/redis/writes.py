r"""Pack a write batch as the arguments of commit.lua, and make errors of the script's refusals.

    Check(b"r1", key, key + b"\\0", 7)      head: since 7, demand u, 1 key, 0 ranges, s:r1     key
    Write(b"r1", key, value)               head: 0 new puts, 1 put, 0 deletions, s:r1         key value
    Check(b"r1", new, …, NO_KEYS) and
    Write(b"r1", new, value)               head: 1 new put, 2 puts, 0 deletions, s:r1         new value key value

Checks are grouped by space, version and demand, writes by space: the cost of a script is the number of its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from struct import Struct
from typing import Any

from rome.errors import Conflict, DatabaseError, FormatError, InternalError, KeysLocked
from rome.storage.store import FORMAT, Batch, Check, Demand, history_lost, holds_entries, too_old

Groups = dict[tuple[bytes, int, Demand], tuple[list[bytes], list[bytes]]]
"""Space, version, demand → keys, and begin and end of ranges."""
Fresh = dict[bytes, dict[bytes, None]]
"""Space → keys."""

REFUSALS = (b"conflict", b"taken", b"locked", b"too old", b"lost", b"format", b"state", b"ahead")
"""The first words of a script's reply when it refuses."""

_HEADER = Struct(">QQ?4I").pack
_CHECKS = Struct(">QcII").pack
_WRITES = Struct(">III").pack
_NUMBER = Struct(">Q").pack
_NO_KEYS: dict[bytes, None] = {}
_DEMANDS = {demand: demand.value for demand in Demand}


def arguments_of(batch: Batch, most_commits: int, most_bytes: int, look: bool) -> list[bytes]:
    """Return the arguments of commit.lua after the format, which the script documents.

    `look`: let the script check the user's permission to write.
    """
    writes: dict[bytes, dict[bytes, bytes | None]] = {}
    for space, key, value in batch.writes:
        # A key that is written twice gets its last value.
        if space in writes:
            writes[space][key] = value
        else:
            writes[space] = {key: value}
    checks, fresh = _grouped(batch.checks, writes)
    lists: list[bytes] = []
    for (space, since, demand), (keys, bounds) in checks.items():
        lists += (_CHECKS(since, _DEMANDS[demand], len(keys), len(bounds) // 2) + b"s:" + space, *keys, *bounds)
    for space, values in writes.items():
        new = fresh.get(space, _NO_KEYS)
        puts: Mapping[bytes, Any] = {**new, **values} if new else values  # the new keys first
        deletions: list[bytes] = []
        if None in values.values():
            deletions = [key for key, value in values.items() if value is None]
            puts = {key: value for key, value in puts.items() if value is not None}
        lists.append(_WRITES(len(new), len(puts), len(deletions)) + b"s:" + space)
        lists += puts if holds_entries(space) else chain.from_iterable(puts.items())
        lists += deletions
    drops = list(dict.fromkeys(batch.drops))
    if drops:
        lists += [b"s:" + space for space in drops]
    if batch.advances:
        lists += chain.from_iterable((counter, b"%d" % value) for counter, value in batch.advances.items())
    lengths = len(checks), len(writes), len(drops), len(batch.advances)
    header = _HEADER(most_commits, most_bytes, look, *lengths) + batch.owner
    seen = b"".join([_NUMBER(version) + digest for version, digest in batch.seen.items()])
    return [batch.token, header, seen, *lists]


def error_of(refusal: Sequence[bytes], server: str, database: str) -> DatabaseError:
    """Return the error for a script's refusal."""
    kind = refusal[0]
    if kind == b"conflict":
        _, values, key, since = refusal
        space = values[2:]
        return Conflict(
            f"conflict: another transaction wrote key {_readable(key)} of space {_readable(space)} after version "
            f"{int(since)}, which this one had read; nothing was written, run the transaction again",
            space,
            key,
        )
    if kind == b"taken":
        _, values, key = refusal
        space = values[2:]
        return Conflict(
            f"conflict: another transaction wrote key {_readable(key)} of space {_readable(space)}, which was to be "
            "new; nothing was written, run the transaction again",
            space,
            key,
        )
    if kind == b"locked":
        return KeysLocked(refusal[1:])
    if kind == b"too old":
        return too_old(int(refusal[1]))
    if kind == b"lost":
        return history_lost(int(refusal[1]))
    if kind == b"state":
        return FormatError(f"the state in key meta of database {database!r} on {server} does not decode")
    if kind == b"ahead":
        return InternalError(
            f"commit {int(refusal[1])} of database {database!r} on {server} was stopped halfway, because its user lost "
            "a permission or another program wrote to the database's keys: rows may be ahead of the state. Nothing was "
            "written; restore the database"
        )
    return other_format(refusal[1], server, database)


def other_format(digits: bytes, server: str, database: str) -> FormatError:
    """Return the error for a database of another format."""
    if not digits.isdigit():
        return FormatError(f"the format in key meta of database {database!r} on {server} does not decode: {digits!r}")
    number = int(digits)
    if number < FORMAT:
        return FormatError(
            f"database {database!r} on {server} was written by a ROME from before its first release, which this one "
            "can't read; drop its keys"
        )
    return FormatError(
        f"database {database!r} on {server} has format {number}, written by a newer ROME; "
        f"this one knows formats up to {FORMAT}"
    )


def _grouped(checks: Iterable[Check], writes: Mapping[bytes, Mapping[bytes, bytes | None]]) -> tuple[Groups, Fresh]:
    """Group checks by space, version and demand, keys and ranges apart.

    Return the groups, and the keys (by space) that are put and must be new: these are checked by the write itself.
    """
    groups: Groups = {}
    fresh: Fresh = {}
    for space, begin, end, since, demand in checks:
        is_key = end == begin + b"\0"
        if is_key and demand is Demand.NO_KEYS and space in writes and writes[space].get(begin) is not None:
            fresh.setdefault(space, {})[begin] = None
            continue
        common = space, since, demand
        if common not in groups:
            groups[common] = [], []
        if is_key:
            groups[common][0].append(begin)
        else:
            groups[common][1].extend((begin, end))
    return groups, fresh


def _readable(data: Any) -> str:
    return bytes(data).decode("ascii", "backslashreplace") if data.isascii() else data.hex(" ")
