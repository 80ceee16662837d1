"""Large answers in parts, because no script may keep the server from its other clients for long.

The script rows.lua answers the first part of a large Range or Lookup only, and the client asks for the rest. Each part
is of its own round, so it may be of a version of its own. That does no harm to a fetch at an older version, which
undoes the log up to the newest of these versions (`rome.storage.undo`): a key that was not written since the older
version is the same in all parts, and of one that was written, the present value does not count. So a fetch whose answer
turns out to be large is continued at the version of its first part.

A Lookup of many ranges is divided before it is sent, for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from rome.storage.store import KeyRange, Lookup, Range, Request

MOST_RANGES = 5000
"""Ranges of a Lookup that one script reads: some microseconds each."""


class PartialAnswer(NamedTuple):
    """The first part of the answer to a Range or a Lookup."""

    answer: Any
    ranges: int
    """How many ranges were read, in the order in which they are read."""
    is_divided: bool
    """True if the last of these may not have been read to its end."""


def in_full(
    requests: Sequence[Request], answers: list[Any], ask: Callable[[Sequence[Request]], list[Any]]
) -> list[Any]:
    """Return the answers to requests in full. `ask` returns those to other requests, which may be parts again."""
    parts: dict[int, list[Any]] = {}
    asked: dict[int, Request] = dict(enumerate(requests))
    found = answers
    while asked:
        rests: dict[int, Request] = {}
        for (place, request), answer in zip(asked.items(), found, strict=True):
            if type(answer) is PartialAnswer:
                parts.setdefault(place, []).append(answer.answer)
                rest = rest_of(request, answer)
                if rest is not None:
                    rests[place] = rest
            elif place in parts:
                parts[place].append(answer)
        asked = rests
        found = ask(list(asked.values())) if asked else []
    return [_joined(requests[at], parts[at]) if at in parts else answer for at, answer in enumerate(answers)]


def rest_of(request: Request, part: PartialAnswer) -> Request | None:
    """Return the request for what comes after a part of the answer to a request; None if it has reached the limit."""
    assert isinstance(request, Range | Lookup)
    keys = part.answer[0] if isinstance(request, Lookup) else [key for key, _ in part.answer]
    limit = None if request.limit is None else request.limit - len(keys)
    if limit == 0:
        return None
    if isinstance(request, Range):
        begin, end = _after(keys[-1], (request.begin, request.end), request.reverse)
        return request._replace(begin=begin, end=end, limit=limit)
    ranges = list(request.ranges[::-1] if request.reverse else request.ranges)
    rest = ranges[part.ranges :]
    if part.is_divided:
        rest.insert(0, _after(keys[-1], ranges[part.ranges - 1], request.reverse))
    return request._replace(ranges=tuple(rest[::-1] if request.reverse else rest), limit=limit)


def _after(key: bytes, key_range: KeyRange, reverse: bool) -> KeyRange:
    """Return the part of a range that is read after a key."""
    begin, end = key_range
    return (begin, key) if reverse else (key + b"\0", end)


def _joined(request: Request, parts: Sequence[Any]) -> Any:
    """Return the answer to a request from its parts."""
    if isinstance(request, Lookup):
        entries, rows = zip(*parts, strict=True)
        return list(chain.from_iterable(entries)), list(chain.from_iterable(rows))
    return list(chain.from_iterable(parts))
