"""Requests as Redis commands, and their replies as answers.

Where Redis has a command, it is used: HMGET, HGETALL, ZRANGE, ZLEXCOUNT. Rows in key order and rows by an index take
two steps, of which the second needs what the first finds: the script rows.lua makes both on the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from rome.storage.redis.layout import Layout
from rome.storage.redis.scripts import Command, Scripts
from rome.storage.store import FORMAT, LAST, Count, Get, Lookup, Range, Request, holds_entries
from rome.storage.undo import Pair


class Question(NamedTuple):
    """The commands that ask for a request, and what makes the answer from their replies."""

    commands: Sequence[Command]
    read: Callable[[Sequence[Any]], Any]


class Questions:
    """Makes questions about one database."""

    def __init__(self, layout: Layout, scripts: Scripts) -> None:
        self._layout = layout
        self._scripts = scripts

    def of(self, request: Request) -> Question:
        """The question for a request. A Lookup's answer keeps entries whose row is missing."""
        if isinstance(request, Get):
            return self._get(request)
        if isinstance(request, Lookup):
            return self._lookup(request)
        if isinstance(request, Range):
            return self._range(request)
        return self._count(request)

    def _get(self, request: Get) -> Question:
        if not request.keys:
            return Question((), list)
        name = self._layout.values(request.space)
        if holds_entries(request.space):
            return Question((("ZMSCORE", name, *request.keys),), _read_scores)
        return Question((("HMGET", name, *request.keys),), _read_first)

    def _range(self, request: Range) -> Question:
        space, begin, end, limit, reverse = request
        name = self._layout.values(space)
        if holds_entries(space):
            bounds = [b"[" + begin, b"(" + end]
            order = ("REV",) if reverse else ()
            command = ("ZRANGE", name, *(bounds[::-1] if reverse else bounds), "BYLEX", *order)
            return Question((command + _limit(limit),), _read_entries)
        if limit is None and not begin and end >= LAST:
            # The whole space: sorting here is cheaper than a script there.
            return Question((("HGETALL", name),), _read_all_backwards if reverse else _read_all)
        return self._rows("keys", self._layout.order(space), name, ((begin, end),), limit, reverse)

    def _lookup(self, request: Lookup) -> Question:
        index, rows, ranges, limit, reverse = request
        if not ranges:
            return Question((), list)
        names = self._layout.values(index), self._layout.values(rows)
        return self._rows("entries", *names, ranges[::-1] if reverse else ranges, limit, reverse)

    def _rows(
        self, what: str, order: bytes, rows: bytes, ranges: Sequence[Sequence[bytes]], limit: int | None, reverse: bool
    ) -> Question:
        direction = "reverse" if reverse else "forward"
        bounds = [bound for key_range in ranges for bound in key_range]
        most = -1 if limit is None else limit
        keys = (self._layout.meta, order, rows)
        return Question((self._scripts.call("rows", keys, FORMAT, what, direction, most, *bounds),), _read_pairs)

    def _count(self, request: Count) -> Question:
        space, ranges = request
        entries = holds_entries(space)
        name = self._layout.values(space) if entries else self._layout.order(space)
        return Question([("ZLEXCOUNT", name, b"[" + begin, b"(" + end) for begin, end in ranges], sum)


def rows_in(request: Request, answer: Any) -> int:
    """How many values an answer hands out."""
    if isinstance(request, Count):
        return 0
    found: list[Any] = answer
    return len(found) - found.count(None)


def _limit(limit: int | None) -> tuple[str | int, ...]:
    return () if limit is None else ("LIMIT", 0, limit)


def _read_first(replies: Sequence[Any]) -> Any:
    return replies[0]


def _read_scores(replies: Sequence[Any]) -> list[bytes | None]:
    return [None if score is None else b"" for score in replies[0]]


def _read_entries(replies: Sequence[Any]) -> list[Pair]:
    return [(entry, b"") for entry in replies[0]]


def _read_all(replies: Sequence[Any]) -> list[Pair]:
    flat = iter(cast("list[bytes]", replies[0]))
    return sorted(zip(flat, flat, strict=True))


def _read_all_backwards(replies: Sequence[Any]) -> list[Pair]:
    return _read_all(replies)[::-1]


def _read_pairs(replies: Sequence[Any]) -> list[Pair]:
    keys, values = replies[0]
    return list(zip(keys, values, strict=True))
