"""The log as readers need it: the tail of a version that is read, values that were logged apart, changes.

A commit can empty a space, all keys at once, so that DELETE of a whole table costs as much as that of a row:

    commit     s:r1 and o:r1 are renamed to s:r1@TOKEN and o:r1@TOKEN; the log of r1 has this name (empty_space.lua)
    read       what the space had is read under this name by those who need it: at an older version, or followers
    trim       it is removed when the commit leaves the log, as a space that was dropped is

Such a commit checks that the space is unwritten since the version that the transaction has read. Where that fails, or
somebody has locked rows, the client deletes key by key (`rome.transaction.writes.whole_table`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rome.storage.keys import row_key_of
from rome.storage.redis.connection import Command
from rome.storage.redis.layout import (
    Layout,
    LogEntry,
    read_apart,
    read_emptied,
    read_logged,
    spaces_written,
    undecodable,
    version_of,
)
from rome.storage.store import (
    Change,
    Committed,
    Count,
    Get,
    Lookup,
    Range,
    Request,
    Scan,
    history_lost,
    holds_entries,
    too_old,
)
from rome.storage.tails import Tail

Emptied = Mapping[bytes, Mapping[bytes, bytes]]
"""The name that what a space had has now → key → value; b'' of an entry. A name is missing if it is gone."""

Ask = Callable[[Sequence[Command]], list[Any]]
"""Sends commands in one round trip and returns the replies. Raises the error of a reply."""


class Apart(NamedTuple):
    """Stands in a tail for an old value that is logged apart from its key."""

    space: bytes
    entry_id: bytes


def commits_of(
    layout: Layout, space: bytes, entries: Sequence[LogEntry], newest: int | None, emptied: Emptied
) -> list[Mapping[bytes, Any]]:
    """Return the old values by key of each entry of a space's log, for a tail; Apart for those that are elsewhere.

    Leave out commits after the version `newest`, if one is given. `emptied`: what the space had before it was emptied.
    Raise FormatError; SnapshotTooOld if the server has evicted that.
    """
    commits: list[Mapping[bytes, Any]] = []
    for entry_id, fields in entries:
        try:
            if newest is not None and version_of(entry_id) > newest:
                break
            moved = read_emptied(fields)
            if moved is not None:
                commits.append(_contents(emptied, moved[0], entry_id))
                continue
            keys, _, olds, _, is_apart = read_logged(fields)
            if is_apart:
                apart = Apart(space, entry_id)
                olds = [apart if old else None for old in olds]
            elif holds_entries(space):
                olds = [None if old is None else b"" for old in olds]
            commits.append(dict(zip(keys, olds, strict=True)))
        except (ValueError, TypeError) as error:
            raise undecodable(layout.keys_log + space, entry_id) from error
    return commits


def read_emptied_spaces(
    layout: Layout, logs: Iterable[tuple[bytes, Sequence[LogEntry]]], newest: int, ask: Ask
) -> Emptied:
    """Return what the spaces had that were emptied, by the logs of some spaces: one round trip, or none.

    What a commit after the version `newest`, which was stopped halfway, has not renamed yet is not missing: {} then.
    Raise FormatError.
    """
    names: dict[bytes, int] = {}
    found: dict[bytes, Mapping[bytes, bytes]] = {}
    for space, entries in logs:
        for entry_id, fields in entries:
            try:
                emptied = read_emptied(fields)
            except (ValueError, TypeError) as error:
                raise undecodable(layout.keys_log + space, entry_id) from error
            if emptied is not None:
                names[emptied[0]] = emptied[1]
                if version_of(entry_id) > newest:
                    found[emptied[0]] = {}
    if not names:
        return {}
    replies = ask([_command(layout, name) for name in names])
    for (name, number), reply in zip(names.items(), replies, strict=True):
        contents = dict.fromkeys(reply, b"") if holds_entries(name) else dict(zip(reply[::2], reply[1::2], strict=True))
        if len(contents) == number:
            found[name] = contents
    return found


def _command(layout: Layout, name: bytes) -> Command:
    key = layout.values + name
    return (b"ZRANGE", key, b"0", b"-1") if holds_entries(name) else (b"HGETALL", key)


def _contents(emptied: Emptied, name: bytes, entry_id: bytes) -> Mapping[bytes, bytes]:
    """Return what a space had that an entry has emptied. Raise SnapshotTooOld if it is gone."""
    if name not in emptied:
        raise too_old(version_of(entry_id) - 1)
    return emptied[name]


def without_counts(requests: Sequence[Request]) -> list[Request]:
    """Return requests with a Range in the place of each range of a Count.

    A commit that is stopped halfway may have written values without their keys' order. Undoing restores both, but a
    count of present keys can't be corrected then.
    """
    return [
        each
        for request in requests
        for each in (
            [Range(request.space, *bounds) for bounds in request.ranges] if isinstance(request, Count) else [request]
        )
    ]


def with_counts(requests: Sequence[Request], answers: Sequence[Any]) -> list[Any]:
    """Return the answers to requests from those to `without_counts`."""
    given = iter(answers)
    return [
        sum(len(next(given)) for _ in request.ranges) if isinstance(request, Count) else next(given)
        for request in requests
    ]


def places_apart(requests: Sequence[Request], answers: Sequence[Any]) -> dict[Apart, list[bytes]]:
    """Return the keys whose values in answers are Apart."""
    found: dict[Apart, list[bytes]] = {}
    for request, answer in zip(requests, answers, strict=True):
        if not isinstance(request, Count):
            for key, value in _pairs(request, answer):
                if type(value) is Apart:
                    found.setdefault(value, []).append(key)
    return found


def with_values(request: Request, answer: Any, values: Mapping[Apart, Mapping[bytes, Any]]) -> Any:
    """Return an answer with the values that were Apart."""
    if isinstance(request, Count):
        return answer
    full = [values[value][key] if type(value) is Apart else value for key, value in _pairs(request, answer)]
    if isinstance(request, Get):
        return full
    if isinstance(request, (Scan, Lookup)):
        return answer[0], full
    return [(key, value) for (key, _), value in zip(answer, full, strict=True)]


def _pairs(request: Request, answer: Any) -> Iterator[tuple[bytes, Any]]:
    """Yield the keys of an answer's rows with their values."""
    if isinstance(request, Get):
        yield from zip(request.keys, answer, strict=True)
    elif isinstance(request, Lookup):
        yield from ((row_key_of(entry), value) for entry, value in zip(*answer, strict=True))
    elif isinstance(request, Scan):
        yield from zip(*answer, strict=True)
    else:
        yield from answer


def values_apart(
    layout: Layout, apart: Apart, keys: Sequence[LogEntry], values: Sequence[LogEntry]
) -> dict[bytes, Any]:
    """Return the old values of an entry by key, from both of its parts. Raise FormatError."""
    try:
        return dict(zip(read_logged(keys[0][1]).keys, read_apart(values[0][1])[0], strict=True))
    except (ValueError, TypeError) as error:
        raise undecodable(layout.values_log + apart.space, apart.entry_id) from error


def learn(tail: Tail, values: Mapping[Apart, Mapping[bytes, Any]], places: Mapping[Apart, Sequence[bytes]]) -> None:
    """Put values that were Apart into a tail."""
    for apart, keys in places.items():
        tail.of(apart.space).update({key: values[apart][key] for key in keys})


def read_heads(layout: Layout, heads: Sequence[bytes], first: int) -> dict[int, list[bytes]]:
    """Return the spaces that commits wrote, by version. `first`: the version of the first head. Raise FormatError."""
    found: dict[int, list[bytes]] = {}
    for version, head in enumerate(heads, first):
        try:
            found[version] = spaces_written(head)
        except (ValueError, struct.error) as error:
            raise undecodable(layout.heads, b"%d" % version) from error
    return found


def read_changes(
    layout: Layout,
    written: Mapping[int, Sequence[bytes]],
    logs: Mapping[bytes, tuple[Sequence[LogEntry], Any]],
    emptied: Emptied,
) -> list[Committed]:
    """Return commits. `written`: their spaces; `logs`: by space the entries of both of its parts.

    `emptied`: what spaces had before they were emptied.

    Raise FormatError; SnapshotTooOld if a log lacks one of the commits.
    """
    changes: dict[int, list[Change]] = {version: [] for version in written}
    missing = {(version, space) for version, spaces in written.items() for space in spaces}
    for space, (entries, values) in logs.items():
        apart = dict(values)
        for entry_id, fields in entries:
            try:
                version = version_of(entry_id)
                if version in changes:
                    missing.discard((version, space))
                    moved = read_emptied(fields)
                    if moved is not None:
                        contents = _contents(emptied, moved[0], entry_id)
                        changes[version] += [Change(space, key, old, None) for key, old in contents.items()]
                    else:
                        changes[version] += _changes(space, fields, apart.get(entry_id))
            except (ValueError, TypeError) as error:
                raise undecodable(layout.keys_log + space, entry_id) from error
    if missing:
        raise too_old(min(version for version, _ in missing) - 1)
    return [Committed(version, tuple(its_changes)) for version, its_changes in changes.items()]


def _changes(space: bytes, fields: Sequence[bytes], values: Sequence[bytes] | None) -> Iterator[Change]:
    keys, puts, olds, news, is_apart = read_logged(fields)
    if is_apart:
        if values is None:
            raise ValueError("its values are missing")
        olds, news = read_apart(values)
    if holds_entries(space):
        olds, news = [None if old is None else b"" for old in olds], [b""] * puts
    news = [*news, *[None] * (len(keys) - puts)]  # type: ignore[list-item]
    return map(Change, [space] * len(keys), keys, olds, news)


def demand_reachable(at: int, horizon: int, version: int) -> None:
    """Raise SnapshotTooOld for a version before the log, HistoryLost for a future version."""
    if at > version:
        raise history_lost(at)
    if at < horizon:
        raise too_old(at)
