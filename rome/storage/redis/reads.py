"""Pack requests as Redis commands, and make their answers of the replies.

    Get        HMGET            ZMSCORE in a space of entries
    Scan       HGETALL
    Range      rows.lua         ZRANGE BYLEX in a space of entries
    Lookup     rows.lua
    Count      ZLEXCOUNT        count.lua for several ranges

One command a request, native where Redis has it. Rows in key order and rows by an index take two steps, of which the
second needs what the first finds; the script rows.lua does both on the server.

A round is a MULTI of the state of the database (a part of the meta hash), the requests and, at an older version, the
log since then of the spaces that they read. So all of it is from one version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from rome.errors import FormatError
from rome.storage.redis.connection import Command, Packed, Scripts, pack, pack_one
from rome.storage.redis.layout import FORMAT_DIGITS, Layout, history_bounds
from rome.storage.store import Count, Draw, Get, Lookup, Range, Request, Scan, holds_entries
from rome.storage.undo import Columns, Pair

Read = Callable[[Any], Any]
"""Makes the answer of a reply."""

_EXEC = pack([(b"EXEC",)])


class Since(NamedTuple):
    """The log that a round asks for: of each space, what came after a version; and the digest of a version."""

    version: int
    spaces: list[tuple[bytes, int]]


class Rounds:
    """Packs the rounds of fetches from one database."""

    def __init__(self, layout: Layout, scripts: Scripts) -> None:
        self._layout = layout
        self._scripts = scripts
        self.read_state: Command = (b"HMGET", layout.meta, b"state", b"format", b"pending")
        self._state_only: Packed = pack([self.read_state]), 1, []
        self._begin = pack([(b"MULTI",), self.read_state])
        self._nothing: Command = (b"EXISTS", layout.meta)
        self._heads: dict[bytes, bytes] = {}
        """By space of values: the beginning of the packed command that gets one key."""

    def pack(self, requests: Sequence[Request], since: Since | None, draws: Sequence[Draw] = ()) -> Packed:
        """Return the round that fetches requests, with a reader for each reply; None where the reply is the answer.

        An answer to a Lookup keeps the entries whose row is missing. The replies of EXEC are: the state, one for each
        request and draw and, if `since` is given, the record of its version in the history and the log of each of its
        spaces.
        """
        asked = [self._begin]
        readers: list[Read | None] = []
        for request in requests:
            if type(request) is Get and len(request.keys) == 1:
                # Most requests are of this kind: the head of the command is packed once for each space.
                space, (key,) = request
                head = self._heads.get(space) or self._head(space)
                if head:
                    asked.append(b"%b$%d\r\n%b\r\n" % (head, len(key), key))
                    readers.append(None)
                    continue
            command, read = self._command(request)
            asked.append(pack_one(command))
            readers.append(read)
        for counter, count in draws:
            asked.append(pack_one((b"HINCRBY", self._layout.counters, counter, b"%d" % count)))
            readers.append(partial(_first_number, count))
        if since is not None:
            layout = self._layout
            asked.append(pack_one((b"GETRANGE", layout.history, *history_bounds(since.version))))
            for space, until in since.spaces:
                asked.append(pack_one((b"XRANGE", layout.keys_log + space, b"%d" % (until + 1), b"+")))
        elif not readers:
            return self._state_only
        asked.append(_EXEC)
        return b"".join(asked), len(asked) + 1, readers

    def _head(self, space: bytes) -> bytes:
        if holds_entries(space):
            return b""
        name = self._layout.values + space
        head = self._heads[space] = b"*3\r\n$5\r\nHMGET\r\n$%d\r\n%b\r\n" % (len(name), name)
        return head

    def _command(self, request: Request) -> tuple[Command, Read | None]:
        if isinstance(request, Get):
            return self._get(request)
        if isinstance(request, Lookup):
            return self._lookup(request)
        if isinstance(request, Range):
            return self._range(request)
        if isinstance(request, Scan):
            return (b"HGETALL", self._layout.values + request.space), _read_whole
        return self._count(request)

    def _get(self, request: Get) -> tuple[Command, Read | None]:
        space, keys = request
        if not keys:
            return self._nothing, _read_nothing
        name = self._layout.values + space
        if holds_entries(space):
            return (b"ZMSCORE", name, *keys), _read_scores
        return (b"HMGET", name, *keys), None

    def _range(self, request: Range) -> tuple[Command, Read | None]:
        space, begin, end, limit, reverse = request
        name = self._layout.values + space
        if holds_entries(space):
            bounds = [b"[" + begin, b"(" + end]
            order = (b"REV",) if reverse else ()
            command = (b"ZRANGE", name, *(bounds[::-1] if reverse else bounds), b"BYLEX", *order)
            return command + _limit(limit), _read_entries
        return self._rows(b"keys", self._layout.order + space, name, ((begin, end),), limit, reverse)

    def _lookup(self, request: Lookup) -> tuple[Command, Read | None]:
        index, rows, ranges, limit, reverse = request
        if not ranges:
            return self._nothing, _read_no_columns
        names = self._layout.values + index, self._layout.values + rows
        return self._rows(b"entries", *names, ranges[::-1] if reverse else ranges, limit, reverse)

    def _rows(
        self,
        what: bytes,
        order: bytes,
        rows: bytes,
        ranges: Sequence[Sequence[bytes]],
        limit: int | None,
        reverse: bool,
    ) -> tuple[Command, Read | None]:
        direction = b"reverse" if reverse else b"forward"
        most = b"%d" % (-1 if limit is None else limit)
        keys = (self._layout.meta, order, rows)
        read = _read_columns if what == b"entries" else _read_pairs
        return self._scripts.call("rows", keys, FORMAT_DIGITS, what, direction, most, *chain(*ranges)), read

    def _count(self, request: Count) -> tuple[Command, Read | None]:
        space, ranges = request
        name = self._layout.values + space if holds_entries(space) else self._layout.order + space
        if len(ranges) == 1:
            ((begin, end),) = ranges
            return (b"ZLEXCOUNT", name, b"[" + begin, b"(" + end), None
        return self._scripts.call("count", (self._layout.meta, name), FORMAT_DIGITS, *chain(*ranges)), None


def rows_in(answer: Any) -> int:
    """Return how many values an answer contains."""
    if isinstance(answer, list):
        return len(answer) - answer.count(None)
    if isinstance(answer, tuple):  # of a Scan or a Lookup
        values = answer[1]
        return len(values) if all(values) else len(values) - values.count(None)
    return 0


def _limit(limit: int | None) -> tuple[bytes, ...]:
    return () if limit is None else (b"LIMIT", b"0", b"%d" % limit)


def _first_number(count: int, last: int) -> int:
    return last - count + 1


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
    """Return keys and values. Raise FormatError if the value of a key is missing."""
    keys, values = reply
    if None in values:
        raise FormatError(
            f"the row with key {keys[values.index(None)]!r} is missing: the server has evicted it, or another program "
            "has deleted it; restore the database"
        )
    return list(zip(keys, values, strict=True))
