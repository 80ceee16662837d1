"""A batch as the arguments of commit.lua, and the script's refusals as errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rome.errors import Conflict, DatabaseError, FormatError
from rome.storage.redis.scripts import Argument
from rome.storage.store import FORMAT, Batch, Check, Write, history_lost, holds_entries, too_old

REFUSALS = (b"conflict", b"too old", b"lost", b"format")
"""The first words of what a script answers when it refuses."""


def arguments_of(batch: Batch) -> list[Argument]:
    """The five lists that commit.lua reads, each with its length first."""
    arguments: list[Argument] = [len(batch.seen)]
    for version, digest in batch.seen.items():
        arguments += [version, digest]
    _add_checks(arguments, batch.checks)
    _add_writes(arguments, batch.writes)
    drops = list(dict.fromkeys(batch.drops))
    arguments += [len(drops), *drops, len(batch.advances)]
    for counter, value in batch.advances.items():
        arguments += [counter, value]
    return arguments


def error_of(refusal: Sequence[bytes], server: str, database: str) -> DatabaseError:
    """The error for what a script answers instead of a result."""
    kind = refusal[0]
    if kind == b"conflict":
        _, space, key, since = refusal
        return Conflict(
            f"conflict: another transaction wrote key {_readable(key)} of space {_readable(space)} after version "
            f"{int(since)}, which this one had read; nothing was written, run the transaction again",
            bytes(space),
            bytes(key),
        )
    if kind == b"too old":
        return too_old(int(refusal[1]))
    if kind == b"lost":
        return history_lost(int(refusal[1]))
    return newer_format(int(refusal[1]), server, database)


def newer_format(number: int, server: str, database: str) -> FormatError:
    """The error for a database that a newer ROME has written."""
    return FormatError(
        f"database {database!r} on {server} has format {number}, written by a newer ROME; "
        f"this one knows formats up to {FORMAT}"
    )


def _add_checks(arguments: list[Argument], checks: Iterable[Check]) -> None:
    """Checks of single keys are most of them, and need half the room: they are a list of their own."""
    groups: dict[tuple[bytes, int, bytes], tuple[list[bytes], list[bytes]]] = {}
    for space, begin, end, since, demand in checks:
        keys, bounds = groups.setdefault((space, since, demand.value), ([], []))
        if len(end) == len(begin) + 1 and end[-1] == 0 and end.startswith(begin):
            keys.append(begin)
        else:
            bounds += [begin, end]
    arguments.append(len(groups))
    for (space, since, demanded), (keys, bounds) in groups.items():
        arguments += [space, since, demanded, len(keys), *keys, len(bounds) // 2, *bounds]


def _add_writes(arguments: list[Argument], writes: Iterable[Write]) -> None:
    groups: dict[bytes, dict[bytes, bytes | None]] = {}
    for space, key, value in writes:
        # A key that is written twice has its last value, as if the writes were made one by one.
        groups.setdefault(space, {})[key] = value
    arguments.append(len(groups))
    for space, values in groups.items():
        puts: list[Any] = [(key, value) for key, value in values.items() if value is not None]
        deletions = [key for key, value in values.items() if value is None]
        arguments += [space, len(puts)]
        if holds_entries(space):
            arguments += [key for key, _ in puts]
        else:
            arguments += [part for put in puts for part in put]
        arguments += [len(deletions), *deletions]


def _readable(data: Any) -> str:
    return bytes(data).decode("ascii", "backslashreplace") if data.isascii() else data.hex(" ")
