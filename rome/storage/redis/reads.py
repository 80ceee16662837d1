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
from itertools import chain
from typing import Any, NamedTuple

from rome.errors import FormatError
from rome.storage.redis.connection import LONGEST_ARGUMENT, Command, Packed, Scripts, pack, pack_one
from rome.storage.redis.layout import COUNTERS_FIELD, COUNTERS_MARK, FORMAT_DIGITS, Layout, history_bounds
from rome.storage.redis.parts import MOST_RANGES, PartialAnswer
from rome.storage.store import Count, Draw, Get, Lookup, Range, Request, Scan, holds_entries
from rome.storage.tails import Point
from rome.storage.undo import Columns, Pair

Read = Callable[[Any], Any]
"""Makes the answer of a reply."""

_MULTI = pack([(b"MULTI",)])
_EXEC = pack([(b"EXEC",)])

_MOST_SHAPES = 1000
_MOST_KEYS = 32
"""The most keys, begins and ends in a round whose shape is kept."""

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

    `readers`: for each request; None where the reply is the answer. `watched`: in the order of their fields.
    """

    readers: list[Read | None]
    watched: Watched


class _Shape(NamedTuple):
    """The common part of rounds that differ only in the keys, or in the begins and ends of ranges.

    `template`: the round as bytes, with a place for the length and the bytes of each key and number.
    `calls_script`: the round is of this shape only while the server is believed to know the script.
    """

    template: bytes
    commands: int
    asked: Asked
    calls_script: bool


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
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        """By all that a round has besides keys and numbers."""
        self._fields = _Fields()

    def pack(self, requests: Sequence[Request], since: Since | None, draws: Sequence[Draw] = ()) -> Packed:
        """Return the round that fetches requests, and `Asked`.

        An answer to a Lookup keeps the entries whose row is missing. The replies of EXEC are: the state; how many of
        the watched keys exist (if some are watched); one reply for each request; with draws, the last number of each,
        and the mark of the counters; if `since` is given, the record of its version in the history, and the log of each
        of its spaces. The state ends with the fields of the watched keys, of the counters with draws, and of the spaces
        of `since`.
        """
        if since is not None:
            return self._pack_any(requests, since, draws)
        parts: list[Any] = []
        keys: list[bytes] = []
        for request in requests:
            if type(request) is Get:
                space, wanted = request
                parts.append((space, len(wanted)))
                keys += wanted
            elif type(request) is Lookup:
                index, rows, ranges, limit, reverse = request
                parts.append((index, rows, len(ranges), limit, reverse))
                keys += chain.from_iterable(ranges[::-1] if reverse else ranges)
            else:
                return self._pack_any(requests, None, draws)
        if draws:
            parts += [counter for counter, _ in draws]
            keys += [b"%d" % count for _, count in draws]
        place = tuple(parts)
        shape = self._shapes.get(place)
        if shape is not None and (not shape.calls_script or self._scripts.knows("rows")):
            # Most rounds are like one before.
            data = shape.template % (*chain.from_iterable(zip(map(len, keys), keys, strict=True)),)
            if len(data) <= LONGEST_ARGUMENT:
                return data, shape.commands, shape.asked
        packed = self._pack_any(requests, None, draws)
        if shape is None and len(keys) <= _MOST_KEYS and len(self._shapes) < _MOST_SHAPES:
            self._shapes[place] = self._shape_of(requests, draws)  # type: ignore[arg-type] # as checked above
        return packed

    def _pack_any(self, requests: Sequence[Request], since: Since | None, draws: Sequence[Draw]) -> Packed:
        if not requests and since is None and not draws:
            return self._state_only
        commands, asked = self._commands(requests, draws)
        before, after, count = self._frame(asked.watched, since, bool(draws))
        return b"".join((before, *map(pack_one, commands), after)), count + len(commands), asked

    def _shape_of(self, requests: Sequence[Get | Lookup], draws: Sequence[Draw]) -> _Shape:
        """Return the shape of a round. Keys and numbers are the last words of their commands."""
        commands, asked = self._commands(requests, draws)
        before, after, count = self._frame(asked.watched, None, bool(draws))
        template = [_escaped(before)]
        places = [2 * len(each.ranges) if isinstance(each, Lookup) else len(each.keys) for each in requests]
        for command, number in zip(commands, [*places, *[1] * len(draws)], strict=True):
            words = command[: len(command) - number]
            template.append(_escaped(b"*%d\r\n%b" % (len(command), b"".join(map(_argument, words)))))
            template.append(b"$%d\r\n%b\r\n" * number)
        template.append(_escaped(after))
        return _Shape(b"".join(template), count + len(commands), asked, Lookup in map(type, requests))

    def _commands(self, requests: Sequence[Request], draws: Sequence[Draw]) -> tuple[list[Command], Asked]:
        commands: list[Command] = []
        readers: list[Read | None] = []
        watched: Watched = {}
        for request in requests:
            command, read = self._command(request)
            commands.append(command)
            readers.append(read)
            self._watch(request, watched)
        commands += [(b"HINCRBY", self._layout.counters, counter, b"%d" % count) for counter, count in draws]
        return commands, Asked(readers, watched)

    def _frame(self, watched: Watched, since: Since | None, has_draws: bool) -> tuple[bytes, bytes, int]:
        """Return what is before and after the commands for requests and draws, and how many commands that is."""
        fields, layout = list(watched.values()), self._layout
        after = []
        if has_draws:
            after.append(pack_one((b"HGET", layout.counters, COUNTERS_MARK)))
            fields.append(_argument(COUNTERS_FIELD))
        if since is not None:
            after.append(pack_one((b"GETRANGE", layout.history, *history_bounds(since.version))))
            for space, until in since.spaces:
                after.append(pack_one((b"XRANGE", layout.keys_log + space, b"%d" % (until + 1), b"+")))
                fields.append(self._fields[space])
        after.append(_EXEC)
        before = self._beginning(watched, fields) if fields else self._plain_beginning
        return before, b"".join(after), len(after) + (3 if watched else 2)

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


def _escaped(data: bytes) -> bytes:
    """Return bytes as a part of a template that has no places."""
    return data.replace(b"%", b"%%")


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
