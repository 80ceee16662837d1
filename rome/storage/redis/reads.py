"""Pack requests as Redis commands, and make their answers of the replies.

    Get        HMGET            ZMSCORE in a space of entries
    Scan       HGETALL
    Range      rows.lua         ZRANGE BYLEX in a space of entries
    Lookup     rows.lua
    Count      ZLEXCOUNT        count.lua for several ranges

One command a request, native where Redis has it. Rows in key order and rows by an index take two steps, of which the
second needs what the first finds; the script rows.lua does both on the server. It answers large requests in parts
(`parts`).

A round is a MULTI of the state of the database (a part of the meta hash), the requests and, at an older version, the
log since then of the spaces that they read. So all of it is from one version.

Redis removes a hash or a sorted set that gets empty, so a space that the server has evicted looks like an empty one.
The field of a space in the meta hash tells them apart: it says whether the space has keys. Each round asks for the
fields of the spaces that native commands read, and how many of their hashes and sorted sets exist; rows.lua asks itself
if it finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from rome.errors import FormatError
from rome.fast_tuples import tuple_maker
from rome.storage.redis.connection import Command, Packed, Scripts, pack, pack_one
from rome.storage.redis.layout import COUNTERS_FIELD, COUNTERS_MARK, FORMAT_DIGITS, Layout, history_bounds
from rome.storage.redis.parts import MOST_RANGES, PartialAnswer
from rome.storage.store import Count, Draw, Get, Lookup, Range, Request, Scan, holds_entries
from rome.storage.tails import Point
from rome.storage.undo import Columns, Pair

Read = Callable[[Any], Any]
"""Makes the answer of a reply."""

_MULTI = pack([(b"MULTI",)])
_EXEC = pack([(b"EXEC",)])


Watched = dict[bytes, bytes]
"""Names of hashes and sorted sets that a round reads → the fields of their spaces in the meta hash."""


class State(NamedTuple):
    """The newest version, the horizon, the point of the newest version, and whether rows may be ahead of it."""

    version: int
    horizon: int
    point: Point
    is_pending: bool


class Since(NamedTuple):
    """The log that a round asks for: of each space, what came after a version; and the digest of a version."""

    version: int
    spaces: list[tuple[bytes, int]]


class Asked(NamedTuple):
    """The information to read the replies of a round.

    `readers`: for each request and draw; None where the reply is the answer. `watched`: in the order of their fields.
    """

    readers: list[Read | None]
    watched: Watched


_asked = tuple_maker(Asked)


class _Fields(dict[bytes, bytes]):
    """By space: the packed name of its field in the meta hash."""

    def __missing__(self, space: bytes) -> bytes:
        field = self[space] = _argument(b"s:" + space)
        return field


class Rounds:
    """Packs the rounds of fetches from one database."""

    def __init__(self, layout: Layout, scripts: Scripts) -> None:
        self._layout = layout
        self._scripts = scripts
        self.read_state: Command = (b"HMGET", layout.meta, b"state", b"format", b"pending")
        self._state_only: Packed = pack([self.read_state]), 1, Asked([], {})
        self._meta = pack_one((layout.meta, b"state", b"format", b"pending")).partition(b"\r\n")[2]
        self._plain_beginning = self._beginning({}, ())
        self._nothing: Command = (b"EXISTS", layout.meta)
        self._heads: dict[bytes, tuple[bytes, bytes, bytes]] = {}
        """By space of values: the beginning of the packed command that gets one key, and what is watched then."""
        self._alone: dict[bytes, tuple[bytes, Asked]] = {}
        """By space of values: all before the key of a round that gets one key and nothing else."""
        self._fields = _Fields()

    def pack(self, requests: Sequence[Request], since: Since | None, draws: Sequence[Draw] = ()) -> Packed:
        """Return the round that fetches requests, and `Asked`.

        An answer to a Lookup keeps the entries whose row is missing. The replies of EXEC are: the state, how many of
        the watched keys exist (if some are watched), one reply for each request and draw, with draws the mark of the
        counters and, if `since` is given, the record of its version in the history and the log of each of its spaces.
        The state ends with the fields of the watched keys, of the counters with draws, and of the spaces of `since`.
        """
        if len(requests) == 1 and type(requests[0]) is Get and since is None and not draws:
            alone = self._alone.get(requests[0].space)
            if alone is not None and len(requests[0].keys) == 1:
                # Most rounds are of this kind.
                (key,) = requests[0].keys
                return b"%b$%d\r\n%b\r\n%b" % (alone[0], len(key), key, _EXEC), 5, alone[1]
        commands = []
        readers: list[Read | None] = []
        watched: Watched = {}
        for request in requests:
            if type(request) is Get and len(request.keys) == 1:
                # The head of the command is packed once for each space.
                space, (key,) = request
                head = self._heads.get(space) or self._head(space)
                if head[0]:
                    commands.append(b"%b$%d\r\n%b\r\n" % (head[0], len(key), key))
                    readers.append(None)
                    watched[head[1]] = head[2]
                    continue
            command, read = self._command(request)
            commands.append(pack_one(command))
            readers.append(read)
            if type(request) is not Lookup:
                self._watch(request, watched)
        fields = list(watched.values())
        layout = self._layout
        if draws:
            for counter, count in draws:
                commands.append(pack_one((b"HINCRBY", layout.counters, counter, b"%d" % count)))
                readers.append(partial(_first_number, count))
            commands.append(pack_one((b"HGET", layout.counters, COUNTERS_MARK)))
            fields.append(_argument(COUNTERS_FIELD))
        if since is not None:
            commands.append(pack_one((b"GETRANGE", layout.history, *history_bounds(since.version))))
            for space, until in since.spaces:
                commands.append(pack_one((b"XRANGE", layout.keys_log + space, b"%d" % (until + 1), b"+")))
                fields.append(self._fields[space])
        elif not commands:
            return self._state_only
        beginning = self._beginning(watched, fields) if fields else self._plain_beginning
        data = b"".join((beginning, *commands, _EXEC))
        return data, len(commands) + (4 if watched else 3), _asked((readers, watched))

    def _head(self, space: bytes) -> tuple[bytes, bytes, bytes]:
        if holds_entries(space):
            return b"", b"", b""
        name = _argument(self._layout.values + space)
        head = self._heads[space] = b"*3\r\n$5\r\nHMGET\r\n" + name, name, self._fields[space]
        watched = {name: head[2]}
        self._alone[space] = self._beginning(watched, [head[2]]) + head[0], _asked(([None], watched))
        return head

    def _beginning(self, watched: Watched, fields: Sequence[bytes]) -> bytes:
        state = b"*%d\r\n$5\r\nHMGET\r\n%b%b" % (5 + len(fields), self._meta, b"".join(fields))
        exists = b"*%d\r\n$6\r\nEXISTS\r\n%b" % (1 + len(watched), b"".join(watched)) if watched else b""
        return _MULTI + state + exists

    def _watch(self, request: Request, watched: Watched) -> None:
        """Add the hash or sorted set that a request reads; rows.lua watches its own."""
        if isinstance(request, Lookup) or (isinstance(request, Range) and not holds_entries(request.space)):
            return
        if isinstance(request, Count):
            watched[_argument(self._counted(request.space))] = self._fields[request.space]
        elif not isinstance(request, Get) or request.keys:
            watched[_argument(self._layout.values + request.space)] = self._fields[request.space]

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
        command = self._rows(b"keys", self._layout.order + space, name, ((begin, end),), limit, reverse)
        return command, _read_pairs

    def _lookup(self, request: Lookup) -> tuple[Command, Read | None]:
        index, rows, ranges, limit, reverse = request
        if not ranges:
            return self._nothing, _read_no_columns
        names = self._layout.values + index, self._layout.values + rows
        in_order, read = ranges[::-1] if reverse else ranges, _read_columns
        if len(ranges) > MOST_RANGES:
            in_order, read = in_order[:MOST_RANGES], _read_first_ranges
        return self._rows(b"entries", *names, in_order, limit, reverse), read

    def _rows(
        self,
        what: bytes,
        order: bytes,
        rows: bytes,
        ranges: Sequence[Sequence[bytes]],
        limit: int | None,
        reverse: bool,
    ) -> Command:
        direction = b"reverse" if reverse else b"forward"
        most = b"%d" % (-1 if limit is None else limit)
        keys = (self._layout.meta, order, rows)
        return self._scripts.call("rows", keys, FORMAT_DIGITS, what, direction, most, *chain(*ranges))

    def _count(self, request: Count) -> tuple[Command, Read | None]:
        space, ranges = request
        name = self._counted(space)
        if len(ranges) == 1:
            ((begin, end),) = ranges
            return (b"ZLEXCOUNT", name, b"[" + begin, b"(" + end), None
        return self._scripts.call("count", (self._layout.meta, name), FORMAT_DIGITS, *chain(*ranges)), None

    def _counted(self, space: bytes) -> bytes:
        """Return the name of the sorted set of a space's keys."""
        return (self._layout.values if holds_entries(space) else self._layout.order) + space


def _argument(word: bytes) -> bytes:
    """Return a packed word of a command."""
    return b"$%d\r\n%b\r\n" % (len(word), word)


def rows_in(answer: Any) -> int:
    """Return how many values an answer contains."""
    if type(answer) is tuple:  # of a Scan or a Lookup
        values = answer[1]
        return len(values) if all(values) else len(values) - values.count(None)
    if type(answer) is list:
        return len(answer) - answer.count(None)
    return rows_in(answer.answer) if type(answer) is PartialAnswer else 0


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


def _read_columns(reply: Any) -> Any:
    """Return entries and rows, or a part of them."""
    return tuple(reply) if len(reply) == 2 else PartialAnswer(reply[:2], reply[2], is_divided=True)


def _read_first_ranges(reply: Any) -> PartialAnswer:
    """Return the entries and rows of the first ranges of many."""
    found = _read_columns(reply)
    return found if type(found) is PartialAnswer else PartialAnswer(found, MOST_RANGES, is_divided=False)


def _read_pairs(reply: Any) -> Any:
    """Return keys and values, or a part of them. Raise FormatError if the value of a key is missing."""
    if len(reply) > 2:
        return PartialAnswer(_read_pairs(reply[:2]), reply[2], is_divided=True)
    keys, values = reply
    if None in values:
        raise FormatError(
            f"the row with key {keys[values.index(None)]!r} is missing: the server has evicted it, or another program "
            "has deleted it; restore the database"
        )
    return list(zip(keys, values, strict=True))
