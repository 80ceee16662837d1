"""A batch as the arguments of commit.lua, and the script's refusals as errors."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from struct import Struct
from typing import Any

from rome.errors import Conflict, DatabaseError, FormatError
from rome.storage.redis.scripts import Argument
from rome.storage.store import FORMAT, Batch, Check, Demand, history_lost, holds_entries, too_old

REFUSALS = (b"conflict", b"taken", b"too old", b"lost", b"format")
"""The first words of what a script answers when it refuses."""

_HEADER = Struct(">QQ?4I").pack
_CHECKS = Struct(">QcII").pack
_WRITES = Struct(">III").pack
_NUMBER = Struct(">Q").pack


def arguments_of(batch: Batch, most_commits: int, most_bytes: int, look: bool) -> list[Argument]:
    """What commit.lua reads behind the format: see there. `look`: whether the user may write is not known yet."""
    lists: list[Argument] = []
    writes, fresh = _grouped(batch)
    checks = _add_checks(lists, batch.checks, fresh)
    for space, values in writes.items():
        _add_writes(lists, space, values, fresh)
    drops = list(dict.fromkeys(batch.drops))
    lists += [_values_of(space) for space in drops]
    for counter, value in batch.advances.items():
        lists += [counter, value]
    header = _HEADER(most_commits, most_bytes, look, checks, len(writes), len(drops), len(batch.advances))
    seen = b"".join([_NUMBER(version) + digest for version, digest in batch.seen.items()])
    return [batch.token, header, seen, *lists]


def error_of(refusal: Sequence[bytes], server: str, database: str) -> DatabaseError:
    """The error for what a script answers instead of a result."""
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
    if kind == b"too old":
        return too_old(int(refusal[1]))
    if kind == b"lost":
        return history_lost(int(refusal[1]))
    return other_format(int(refusal[1]), server, database)


def other_format(number: int, server: str, database: str) -> FormatError:
    """The error for a database that another ROME has written."""
    if number < FORMAT:
        return FormatError(
            f"database {database!r} on {server} was written by a ROME from before its first release, which this one "
            "can't read; drop its keys"
        )
    return FormatError(
        f"database {database!r} on {server} has format {number}, written by a newer ROME; "
        f"this one knows formats up to {FORMAT}"
    )


def _values_of(space: bytes) -> bytes:
    """The last part of the name of a space's values, by which the script knows it."""
    return b"s:" + space


def _grouped(batch: Batch) -> tuple[dict[bytes, dict[bytes, bytes | None]], set[tuple[bytes, bytes]]]:
    """The writes by space; and the (space, key) of those puts whose key must be new, as a check demands.

    A key that is written twice has its last value, as if the writes were made one by one.
    """
    groups: dict[bytes, dict[bytes, bytes | None]] = {}
    for space, key, value in batch.writes:
        group = groups.get(space)
        if group is None:
            groups[space] = {key: value}
        else:
            group[key] = value
    fresh = set()
    for space, begin, end, _, demand in batch.checks:
        if demand is Demand.NO_KEYS and _is_one_key(begin, end) and groups.get(space, {}).get(begin) is not None:
            fresh.add((space, begin))
    return groups, fresh


def _is_one_key(begin: bytes, end: bytes) -> bool:
    return len(end) == len(begin) + 1 and end[-1] == 0 and end.startswith(begin)


def _add_checks(lists: list[Argument], checks: Iterable[Check], fresh: Container[tuple[bytes, bytes]]) -> int:
    """Add all checks but those of keys that are `fresh`; the number of their groups.

    Checks of single keys are most of them, and need half the room: they are a list of their own.
    """
    groups: dict[tuple[bytes, int, bytes], tuple[list[bytes], list[bytes]]] = {}
    for space, begin, end, since, demand in checks:
        if demand is Demand.NO_KEYS and (space, begin) in fresh and _is_one_key(begin, end):
            continue
        keys, bounds = groups.setdefault((space, since, demand.value), ([], []))
        if _is_one_key(begin, end):
            keys.append(begin)
        else:
            bounds += [begin, end]
    for (space, since, demanded), (keys, bounds) in groups.items():
        head = _CHECKS(since, demanded, len(keys), len(bounds) // 2)
        lists += [head + _values_of(space), *keys, *bounds]
    return len(groups)


def _add_writes(
    lists: list[Argument], space: bytes, values: Mapping[bytes, bytes | None], fresh: Container[tuple[bytes, bytes]]
) -> None:
    """Add the writes of one space, first of keys that must be new."""
    puts = [key for key, value in values.items() if value is not None]
    new = [key for key in puts if (space, key) in fresh] if fresh else []
    if new and len(new) < len(puts):
        puts = [*new, *(key for key in puts if (space, key) not in fresh)]
    deletions = [key for key, value in values.items() if value is None] if len(puts) < len(values) else []
    lists.append(_WRITES(len(new), len(puts), len(deletions)) + _values_of(space))
    if holds_entries(space):
        lists += puts
    else:
        for key in puts:
            lists += (key, values[key])  # type: ignore[arg-type] # puts have values
    lists += deletions


def _readable(data: Any) -> str:
    return bytes(data).decode("ascii", "backslashreplace") if data.isascii() else data.hex(" ")
