"""Notice keys that the server has evicted, and keys that another program has deleted or replaced.

Redis removes a hash or a sorted set that gets empty, so an evicted table looks like an empty one. These differ:

    s:SPACE, o:SPACE   the field s:SPACE of the meta hash says whether the space has keys
    counters           has a mark, and the meta hash a field that says so
    meta               the log, the history or the schema is there, though there is no state
    k:SPACE            lacks the last commit that wrote to the space, which the field s:SPACE names
    heads              has fewer commits than the state says

What is missing for good is a FormatError. Where only the log is missing, versions before can't be read any more
(SnapshotTooOld), and the next commit begins the log anew. A round asks for all this along with its requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rome.errors import FormatError
from rome.storage.redis.layout import Layout, LogEntry, version_of
from rome.storage.store import CATALOG, holds_entries, too_old

Ask = Callable[[Sequence[tuple[bytes, ...]]], list[Any]]
"""Sends commands in one round trip and returns the replies, errors among them."""

_FILLED = 9
"""The length of a space's field if the space has keys."""


def missing_key(name: bytes, server: str) -> FormatError:
    """Return the error for a key of the database that should be there."""
    return FormatError(
        f"key {name.decode(errors='backslashreplace')} is missing on {server}: the server has evicted it (set "
        "maxmemory-policy noeviction), or another program has deleted it; restore the database"
    )


class Presence:
    """Finds out what is missing, once a round has shown that something is."""

    def __init__(self, ask: Ask, layout: Layout, server: str) -> None:
        self._ask = ask
        self._layout = layout
        self._server = server

    def demand(
        self, watched: Mapping[bytes, bytes], fields: Sequence[bytes | None], exists: int, has_mark: bool
    ) -> None:
        """Raise FormatError if the server has evicted keys that a round reads.

        `watched`: the packed names of the keys; `fields`: those of their spaces, and with draws that of the counters;
        `exists`: how many of the keys exist; `has_mark`: False if the counters lack their mark.
        """
        expected = [name for name, has_keys in zip(watched, filled(fields), strict=False) if has_keys]
        if exists < len(expected):
            names = [name.split(b"\r\n", 1)[1][:-2] for name in expected]
            found = self._ask([(b"EXISTS", name) for name in names])
            gone = [name for name, is_there in zip(names, found, strict=True) if is_there == 0]
            raise missing_key((gone or names)[0], self._server)
        if not has_mark and fields[len(watched)]:
            raise missing_key(self._layout.counters, self._server)

    def demand_new(self) -> None:
        """Raise FormatError if the state is missing though the database had commits: one round trip.

        A new database must not take over what is left.
        """
        layout = self._layout
        traces = layout.heads, layout.history, layout.values + CATALOG
        exists, found = self._ask([(b"EXISTS", layout.meta), (b"EXISTS", *traces)])
        if exists == 0 and isinstance(found, int) and found > 0:
            raise FormatError(
                f"key {layout.meta.decode(errors='backslashreplace')} is missing on {self._server}, though other keys "
                "of the database are there: the server has evicted it (set maxmemory-policy noeviction), or another "
                f"program has deleted it; delete all keys {layout.pattern}, and restore the database"
            )


def find_other_types(ask: Ask, layout: Layout) -> list[str]:
    """Return a phrase for each key of another type: its name, its type, and the type that ROME gives it.

    The server's error WRONGTYPE does not name them.
    """
    wanted = dict(layout.types)
    fields, *_ = ask([(b"HKEYS", layout.meta)])
    if isinstance(fields, list):
        for space in (field[2:] for field in fields if field.startswith(b"s:")):
            wanted[layout.values + space] = b"zset" if holds_entries(space) else b"hash"
            wanted[layout.order + space] = b"zset"
            wanted[layout.keys_log + space] = wanted[layout.values_log + space] = b"stream"
    found = ask([(b"TYPE", key) for key in wanted])
    return [
        f"{key.decode(errors='backslashreplace')} is a {kind.decode()}, not a {wanted[key].decode()}"
        for key, kind in zip(wanted, found, strict=True)
        if isinstance(kind, bytes) and kind not in (wanted[key], b"none")
    ]


def filled(fields: Iterable[bytes | None]) -> list[bool]:
    """Return, for each field of a space, whether it says that the space has keys."""
    return [field is not None and len(field) == _FILLED for field in fields]


def last_written(field: bytes | None) -> int:
    """Return the last version that wrote to a space, from its field; 0 if none did."""
    return int.from_bytes(field[:8], "big") if field else 0


def demand_logs(spaces: Sequence[tuple[bytes, int]], fields: Sequence[bytes | None], logs: Sequence[Any]) -> None:
    """Raise SnapshotTooOld if the log of a space lacks its last commit.

    `spaces`: of each log its space and the version after which it was read; `logs`: its entries, or an error.
    """
    for (_, since), field, log in zip(spaces, fields, logs, strict=True):
        written = last_written(field)
        if written > since and isinstance(log, list) and not _has(log, written):
            raise too_old(since)


def _has(log: Sequence[LogEntry], version: int) -> bool:
    """Return True if a log has a version. A commit in pieces may have added later entries."""
    for entry_id, _ in reversed(log):
        try:
            found = version_of(entry_id)
        except ValueError:  # that is an error of its own
            return True
        if found <= version:
            return found == version
    return False
