"""Requests as Redis commands, and their replies as answers.

One command a request. Where Redis has it, it is used: HMGET, HGETALL, ZRANGE, ZLEXCOUNT. Rows in key order and rows
by an index take two steps, of which the second needs what the first finds: the script rows.lua makes both on the
server. The keys of several ranges are counted by count.lua.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from rome.storage.redis.layout import Layout
from rome.storage.redis.scripts import Command, Scripts
from rome.storage.redis.wire import pack
from rome.storage.store import FORMAT, Count, Get, Lookup, Range, Request, Whole, holds_entries
from rome.storage.undo import Columns, Pair

Read = Callable[[Any], Any]
"""Makes the answer of a reply."""

Question = tuple[bytes, Read]
"""The command that asks for a request, packed, and what reads its reply."""


class Questions:
    """Makes questions about one database."""

    def __init__(self, layout: Layout, scripts: Scripts) -> None:
        self._layout = layout
        self._scripts = scripts
        self._nothing: Command = ("EXISTS", layout.meta)
        self._heads: dict[bytes, bytes] = {}

    def of(self, request: Request) -> Question:
        """The question for a request. A Lookup's answer keeps entries whose row is missing."""
        if isinstance(request, Get):
            space, keys = request
            if len(keys) == 1 and space[:1] != b"i":
                # Most questions are of this kind.
                head = self._heads.get(space) or self._head(space)
                (key,) = keys
                return b"%b$%d\r\n%b\r\n" % (head, len(key), key), _as_it_is
        command, read = self._asked(request)
        return pack((command,)), read

    def _head(self, space: bytes) -> bytes:
        """What the packed command that gets one key of a space begins with. There are as many spaces as tables."""
        name = self._layout.values(space)
        head = self._heads[space] = b"*3\r\n$5\r\nHMGET\r\n$%d\r\n%b\r\n" % (len(name), name)
        return head

    def _asked(self, request: Request) -> tuple[Command, Read]:
        if isinstance(request, Get):
            return self._get(request)
        if isinstance(request, Lookup):
            return self._lookup(request)
        if isinstance(request, Range):
            return self._range(request)
        if isinstance(request, Whole):
            return ("HGETALL", self._layout.values(request.space)), _read_whole
        return self._count(request)

    def _get(self, request: Get) -> tuple[Command, Read]:
        space, keys = request
        if not keys:
            return self._nothing, _read_nothing
        name = self._layout.values(space)
        if holds_entries(space):
            return ("ZMSCORE", name, *keys), _read_scores
        return ("HMGET", name, *keys), _as_it_is

    def _range(self, request: Range) -> tuple[Command, Read]:
        space, begin, end, limit, reverse = request
        name = self._layout.values(space)
        if holds_entries(space):
            bounds = [b"[" + begin, b"(" + end]
            order = ("REV",) if reverse else ()
            command = ("ZRANGE", name, *(bounds[::-1] if reverse else bounds), "BYLEX", *order)
            return command + _limit(limit), _read_entries
        return self._rows("keys", self._layout.order(space), name, ((begin, end),), limit, reverse)

    def _lookup(self, request: Lookup) -> tuple[Command, Read]:
        index, rows, ranges, limit, reverse = request
        if not ranges:
            return self._nothing, _read_no_columns
        names = self._layout.values(index), self._layout.values(rows)
        return self._rows("entries", *names, ranges[::-1] if reverse else ranges, limit, reverse)

    def _rows(
        self, what: str, order: bytes, rows: bytes, ranges: Sequence[Sequence[bytes]], limit: int | None, reverse: bool
    ) -> tuple[Command, Read]:
        direction = "reverse" if reverse else "forward"
        most = -1 if limit is None else limit
        keys = (self._layout.meta, order, rows)
        read = _read_columns if what == "entries" else _read_pairs
        return self._scripts.call("rows", keys, FORMAT, what, direction, most, *chain(*ranges)), read

    def _count(self, request: Count) -> tuple[Command, Read]:
        space, ranges = request
        name = self._layout.values(space) if holds_entries(space) else self._layout.order(space)
        if len(ranges) == 1:
            ((begin, end),) = ranges
            return ("ZLEXCOUNT", name, b"[" + begin, b"(" + end), _as_it_is
        return self._scripts.call("count", (self._layout.meta, name), FORMAT, *chain(*ranges)), _as_it_is


def rows_in(answer: Any) -> int:
    """How many values an answer hands out."""
    if isinstance(answer, list):
        return len(answer) - answer.count(None)
    if isinstance(answer, tuple):
        values = answer[1]
        return len(values) if all(values) else len(values) - values.count(None)
    return 0


def _limit(limit: int | None) -> tuple[str | int, ...]:
    return () if limit is None else ("LIMIT", 0, limit)


def _as_it_is(reply: Any) -> Any:
    return reply


def _read_nothing(_reply: Any) -> list[Any]:
    return []


def _read_no_columns(_reply: Any) -> Columns:
    return [], []


def _read_scores(reply: Any) -> list[bytes | None]:
    return [None if score is None else b"" for score in reply]


def _read_entries(reply: Any) -> list[Pair]:
    return [(entry, b"") for entry in reply]


def _read_whole(reply: Any) -> Columns:
    return reply[::2], reply[1::2]


def _read_columns(reply: Any) -> Columns:
    return tuple(reply)


def _read_pairs(reply: Any) -> list[Pair]:
    keys, values = reply
    return list(zip(keys, values, strict=True))
