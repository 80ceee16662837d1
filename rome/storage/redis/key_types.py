"""Find the keys of a database that have another type than ROME's: the server's error WRONGTYPE does not name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rome.storage.redis.layout import Layout
from rome.storage.store import holds_entries

Ask = Callable[[Sequence[tuple[bytes, ...]]], list[Any]]
"""Sends commands and returns the replies, errors among them."""


def find_other_types(ask: Ask, layout: Layout) -> list[str]:
    """Return a phrase for each key of another type: its name, its type, and the type that ROME gives it."""
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
