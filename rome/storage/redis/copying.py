"""Copy a database page by page, because no script may keep a server from its other clients for long.

    pages     the client reads the present rows and entries of all spaces, and writes them to staged keys of the target
    follow    what was committed to the source meanwhile is read from its log, and written there, too
    publish   a script gives the staged keys their names and writes the state: the copy is visible (publish.lua)

So the copy is of one version, the last one that was followed, though the pages are of several: a key that was written
between the first page and this version has the value of its last commit, and any other key was the same all the time.

Staged keys expire. So the copy of a client that is killed leaves nothing, and is never visible in part.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple, Protocol

from redis.exceptions import ResponseError

from rome.errors import DatabaseError
from rome.storage.redis.connection import Command, Server
from rome.storage.redis.layout import STATE, Layout, spaces_of_head, state_of_copy
from rome.storage.redis.parts import PartialAnswer, rest_of
from rome.storage.redis.presence import filled
from rome.storage.store import Committed, Range, Request, history_lost, holds_entries

MOST_ROWS = 4000
"""Rows of a round."""

_MOST_SPACES = 32
"""Spaces that are read in one round."""

_STAGED_MS = b"600000"
_RENEWAL = 60.0
"""How long staged keys are kept, in milliseconds, and how often this time begins anew, in seconds."""

Values = dict[bytes, dict[bytes, bytes | None]]
"""By space: keys and their values; None if a key was deleted."""


class Copied(NamedTuple):
    """The contents of a database at a version, as far as they are no rows."""

    state: bytes
    counters: Sequence[bytes]
    """Their names and last numbers, alternately."""
    spaces: dict[bytes, bool]
    """By space: whether it must have keys."""

    @property
    def version(self) -> int:
        """The version."""
        return int(STATE.unpack(self.state)[0])

    @property
    def digest(self) -> bytes:
        """The version's digest."""
        return self.state[-8:]


class Source(Protocol):
    """The database that is copied."""

    def contents(self) -> Copied | None:
        """Return what the newest version has, None before the first commit. No commit is under way then."""

    def present(self, requests: Sequence[Request]) -> tuple[int, bytes, list[Any]]:
        """Return the newest version, its digest, and the present answers to requests, which may be PartialAnswers."""

    def confirm(self, seen: Mapping[int, bytes]) -> None:
        """Raise HistoryLost if one of some versions is not in the database's past with the same digest."""

    def changes(self, since: int) -> Iterator[Committed]:
        """Return the commits after a version. Raise SnapshotTooOld."""


def read_contents(meta: Mapping[bytes, bytes], heads: Sequence[bytes], counters: Sequence[bytes]) -> Copied | None:
    """Return the contents of a database from its meta hash, the heads of its log and its counters."""
    dropped: dict[bytes, None] = {}
    for head in heads:
        written, its_dropped = spaces_of_head(head)
        for space in written:
            dropped.pop(space, None)
        dropped.update(dict.fromkeys(its_dropped))
    spaces = [field[2:] for field in meta if field.startswith(b"s:") and field[2:] not in dropped]
    has_keys = dict(zip(spaces, filled(meta[b"s:" + space] for space in spaces), strict=True))
    return Copied(meta[b"state"], counters, has_keys) if b"state" in meta else None


def copy_database(source: Source, server: Server, layout: Layout, publish: Callable[..., Any]) -> Any:
    """Copy a database into an empty one; return the reply of publish.lua, None if there is nothing to copy.

    `server`, `layout`: those of the empty one. `publish` runs the script. Raise HistoryLost; SnapshotTooOld if the
    log of the source is too short to follow it.
    """
    contents = source.contents()
    if contents is None:
        return None
    staging = _Staging(server, layout)
    try:
        seen = {contents.version: contents.digest}
        version = _copy_pages(source, contents, staging, seen)
        contents = source.contents()
        if contents is None:
            raise history_lost(version)
        seen[contents.version] = contents.digest
        _follow(source, version, staging, contents.version)
        source.confirm(seen)
        spaces = [(b"s:" + space, b"%d" % has_keys) for space, has_keys in contents.spaces.items()]
        counters = len(contents.counters) // 2
        state = state_of_copy(contents.state, os.urandom(8))
        return publish(staging.token, state, b"%d" % counters, *contents.counters, *chain(*spaces))
    finally:
        staging.remove()


def _copy_pages(source: Source, contents: Copied, staging: _Staging, seen: dict[int, bytes]) -> int:
    """Stage all rows and entries. Return the version up to which the source was followed.

    `seen` gets the versions that were read, with their digests.
    """
    version = contents.version
    pages: deque[Range] = deque(map(Range, contents.spaces))
    while pages:
        asked = [pages.popleft() for _ in range(min(len(pages), _MOST_SPACES))]
        limit = MOST_ROWS // len(asked)
        newest, seen[newest], answers = source.present([page._replace(limit=limit) for page in asked])
        values: Values = {}
        for page, answer in zip(asked, answers, strict=True):
            part = answer if type(answer) is PartialAnswer else PartialAnswer(answer, 1, is_divided=True)
            values[page.space] = dict(part.answer)
            if part is answer or len(answer) == limit:
                rest = rest_of(page, part)
                assert isinstance(rest, Range)
                pages.append(rest)
        staging.write(values)
        if newest > version:
            version = _follow(source, version, staging, newest)
    return version


def _follow(source: Source, since: int, staging: _Staging, last: int) -> int:
    """Stage what was committed after version `since` up to version `last`, which is returned."""
    values: Values = {}
    count = 0
    if last == since:
        return last
    for version, changes in source.changes(since):
        if version > last:
            break
        for change in changes:
            values.setdefault(change.space, {})[change.key] = change.new
        count += len(changes)
        if count >= MOST_ROWS:
            staging.write(values)
            values, count = {}, 0
    staging.write(values)
    return last


class _Staging:
    """The staged keys of a copy."""

    def __init__(self, server: Server, layout: Layout) -> None:
        self.token = os.urandom(8).hex().encode()
        self._server = server
        self._values, self._order = (layout.staged(self.token) + kind for kind in (b":s:", b":o:"))
        self._names: dict[bytes, None] = {}
        self._renewed = time.monotonic()

    def write(self, values: Values) -> None:
        """Put and delete keys."""
        names: dict[bytes, None] = {}
        commands: list[Command] = []
        for space, pairs in values.items():
            put = {key: value for key, value in pairs.items() if value is not None}
            gone = [key for key, value in pairs.items() if value is None]
            name, order = self._values + space, self._order + space
            if holds_entries(space):
                order = name
            else:
                names[name] = None
                commands += [(b"HSET", name, *chain(*put.items()))] if put else []
                commands += [(b"HDEL", name, *gone)] if gone else []
            names[order] = None
            commands += [(b"ZADD", order, *chain(*((b"0", key) for key in put)))] if put else []
            commands += [(b"ZREM", order, *gone)] if gone else []
        self._names |= names
        if time.monotonic() > self._renewed + _RENEWAL:
            self._renewed, names = time.monotonic(), self._names
        commands += [(b"PEXPIRE", name, _STAGED_MS) for name in names]
        for reply in self._server.round(commands):
            if isinstance(reply, ResponseError):
                raise self._server.refused(reply)

    def remove(self) -> None:
        """Remove what is left of the staged keys."""
        if self._names:
            with suppress(DatabaseError):
                self._server.round([(b"UNLINK", *self._names)])
