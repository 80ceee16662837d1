"""The Store contract on one Redis or Valkey server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from redis.exceptions import ResponseError

from rome.errors import DatabaseError, HistoryLost, InterfaceError, StoreUnavailable
from rome.fast_tuples import tuple_maker
from rome.storage.redis.address import Address
from rome.storage.redis.connection import Server
from rome.storage.redis.failures import refused
from rome.storage.redis.layout import Layout, before, read_log, read_state, state_of_copy
from rome.storage.redis.reads import Question, Questions, rows_in
from rome.storage.redis.scripts import Argument, Command
from rome.storage.redis.wire import Packed, pack
from rome.storage.redis.writes import REFUSALS, arguments_of, error_of, other_format
from rome.storage.store import (
    FORMAT,
    Batch,
    Committed,
    Fetched,
    Lookup,
    Request,
    Stats,
    Store,
    history_lost,
    too_old,
)
from rome.storage.undo import Digests, Present, existing, fetch_at

_Counts = tuple[int, int, int, Digests]
"""The newest version, the catalog's version, the horizon, and the digests."""

_NEW: _Counts = 0, 0, 0, Digests(b"", b"", b"")

_fetched = tuple_maker(Fetched)

_command_of: Callable[[Question], bytes] = itemgetter(0)

_EXEC = pack([("EXEC",)])
_PAGE = 1000
"""Commits of the log that `changes` reads in one round."""


class RedisStore:
    """A Store on a Redis or Valkey server. Each fetch and each commit is one round trip."""

    def __init__(self, address: Address) -> None:
        """Connects. Raises StoreUnavailable."""
        self.stats = Stats()
        self._address = address
        self._layout = Layout(address.database)
        self._server = Server(address.connect, address.server, self.stats)
        self._questions = Questions(self._layout, self._server.scripts)
        self._read_meta = ("HMGET", self._layout.meta, "state", "format")
        self._ask_meta = pack([self._read_meta])
        self._ask_more = pack([("MULTI",), self._read_meta])
        self._permission_seen = False
        self._meta_seen: tuple[Any, _Counts] = (None, _NEW)
        self._server.open()

    def fetch(self, requests: Sequence[Request], at: int | None = None) -> Fetched:
        """Answer all requests from one version. Raises SnapshotTooOld, FormatError, StoreUnavailable."""
        version, catalog, answers, tail, digests = self._ask(requests, at)
        if tail and at is not None:
            asked = [Present(catalog, answers, tail, digests)]
            return fetch_at(requests, at, lambda more: asked.pop() if asked else Present(*self._ask(more, at)[1:]))
        for place, request in enumerate(requests):
            if isinstance(request, Lookup):
                answers[place] = existing(answers[place])
        return _fetched((version, catalog, answers, *digests))

    def commit(self, batch: Batch) -> int:
        """Apply a batch, all or nothing, once per token.

        Raises Conflict, SnapshotTooOld, FormatError, StoreUnavailable; OperationalError for a million keys or more.
        """
        limits = self._address.log_commits, self._address.log_bytes
        reply, sent = self._call("commit", *arguments_of(batch, *limits, not self._permission_seen))
        self._permission_seen = True
        refusal = self._refusal(reply)
        if refusal is None:
            return int(reply)
        # Where the version that the batch rests on is lost, the batch can't be there either.
        if sent > 1 and not isinstance(refusal, HistoryLost) and self._may_have_forgotten(batch):
            raise StoreUnavailable(
                f"the connection to {self._address.server} was lost while committing, and its log is too short to tell "
                "whether the transaction was applied"
            ) from refusal
        raise refusal

    def allocate(self, counter: bytes, n: int) -> int:
        """Take `n` consecutive numbers of a counter; the first of them. Raises OperationalError if it is used up."""
        return int(self._run("counter", "allocate", counter, n)) - n + 1

    def advance(self, counter: bytes, value: int) -> None:
        """Numbers allocated from now on are greater than `value`."""
        self._run("counter", "advance", counter, value)

    def changes(self, since: int) -> Iterator[Committed]:
        """The commits after version `since`, oldest first, read page by page. Raises SnapshotTooOld."""
        return self._pages(since, self._page(since))

    def version(self) -> int:
        """The newest version."""
        return self._ask((), None)[0]

    def clear(self) -> None:
        """Remove everything under the database's names."""
        self._run("clear")

    def copy_from(self, source: Store) -> None:
        """Copy the newest version of another Redis database into this empty one. Raises InterfaceError.

        On one server the data do not leave it; from another they come as one large answer.
        """
        if not isinstance(source, RedisStore):
            raise InterfaceError(f"a Redis database can't be a copy of one in a {type(source).__name__}")
        (there,) = self._server.round(lambda: [("EXISTS", self._layout.meta, self._layout.counters)])
        if self._checked(there):
            raise InterfaceError("the database to copy into is not empty")
        ours, theirs = self._address, source._address
        if (ours.server, ours.db) == (theirs.server, theirs.db):
            source._run("copy", self._layout.meta, os.urandom(8))
        else:
            self._restore(source._run("copy"))

    def close(self) -> None:
        """Disconnect. A store that is used again connects again."""
        self._server.close()

    def _ask(
        self, requests: Sequence[Request], at: int | None
    ) -> tuple[int, int, list[Any], Sequence[Committed], Digests]:
        """One round: the newest version, and the fields of Present. Lookups keep entries whose row is missing."""
        of = self._questions.of
        questions = [of(request) for request in requests]
        replies, size = self._server.exchange(self._packed(questions, at), self._pack_again, requests, at)
        if len(replies) == 1:
            meta, rest = replies[0], []
        else:
            rest = replies[-1]
            if isinstance(rest, ResponseError):
                self._raise_first(replies)
            meta = rest.pop(0)
        # Mostly they are those of the round before.
        seen, counts = self._meta_seen
        version, catalog, horizon, digests = counts if meta == seen else self._counts(meta)
        tail: list[Committed] = []
        if at is not None:
            _demand_reachable(at, horizon, version)
            log = self._checked(rest.pop())
            if log:
                catalog, were = before(log[0])
                digests = _digests(digests.incarnation + were[8:], catalog)
                tail = read_log(log)
        if ResponseError in map(type, rest):
            self._raise_first(rest)
        answers = []
        rows = 0
        for (_, read), reply in zip(questions, rest, strict=True):
            answer = read(reply)
            rows += rows_in(answer)
            answers.append(answer)
        self.stats.add(1, len(replies), rows, size)
        return version, catalog, answers, tail, digests

    def _pack_again(self, requests: Sequence[Request], at: int | None) -> Packed:
        return self._packed([*map(self._questions.of, requests)], at)

    def _packed(self, questions: Sequence[Question], at: int | None) -> Packed:
        """The commands of a round that asks questions, with what tells its version."""
        asked = b"".join(map(_command_of, questions))
        count = len(questions)
        if at is not None:
            asked += pack([("XRANGE", self._layout.log, at + 1, "+")])
            count += 1
        return (self._ask_more + asked + _EXEC, count + 3) if count else (self._ask_meta, 1)

    def _counts(self, meta: Any) -> _Counts:
        """What the meta hash says of the newest version. Raises FormatError if it is of another format."""
        state, number = self._checked(meta)
        if number is None:
            return _NEW
        if int(number) != FORMAT:
            raise other_format(int(number), self._address.server, self._address.database)
        version, catalog, horizon, digests = read_state(state)
        counts = version, catalog, horizon, _digests(digests, catalog)
        self._meta_seen = meta, counts
        return counts

    def _pages(self, since: int, page: Sequence[Committed]) -> Iterator[Committed]:
        while page:
            yield from page
            if len(page) < _PAGE:
                return
            since = page[-1].version
            page = self._page(since)

    def _page(self, since: int) -> list[Committed]:
        layout = self._layout
        log = ("XRANGE", layout.log, since + 1, "+", "COUNT", _PAGE)
        meta, entries = self._executed(self._server.round(lambda: [("MULTI",), self._read_meta, log, ("EXEC",)]))
        version, _, horizon, _ = self._counts(meta)
        _demand_reachable(since, horizon, version)
        return read_log(self._checked(entries))

    def _run(self, script: str, *arguments: Argument) -> Any:
        """Run a script that may refuse. Raises the error of its refusal."""
        reply, _ = self._call(script, *arguments)
        refusal = self._refusal(reply)
        if refusal is not None:
            raise refusal
        return reply

    def _call(self, script: str, *arguments: Argument) -> tuple[Any, int]:
        """Run a script; its reply, and how often it was sent."""
        sent = 0

        def make_commands() -> list[Command]:
            nonlocal sent
            sent += 1
            return [self._server.scripts.call(script, (self._layout.meta,), FORMAT, *arguments)]

        (reply,) = self._server.round(make_commands)
        return self._checked(reply), sent

    def _refusal(self, reply: Any) -> DatabaseError | None:
        """The error for a reply by which a script refuses."""
        if isinstance(reply, list) and reply[0] in REFUSALS:
            return error_of(reply, self._address.server, self._address.database)
        return None

    def _may_have_forgotten(self, batch: Batch) -> bool:
        """Whether the batch, if it was applied when it was sent first, may have left the log since, with its token.

        Then its refusal may be due to itself. It was applied after all versions that its checks name.
        """
        (meta,) = self._server.round(lambda: [self._read_meta])
        _, _, horizon, _ = self._counts(meta)
        return any(version < horizon for version in (*batch.seen, *(check.since for check in batch.checks)))

    def _restore(self, copied: Sequence[Any]) -> None:
        """Write what copy.lua answered for another server. The version comes last: until then the database is new."""
        state, counters, spaces, *dumps = copied
        layout = self._layout
        commands: list[Command] = [("RESTORE", layout.counters, 0, counters, "REPLACE")] if counters else []
        for space, values, order in zip(spaces, dumps[::2], dumps[1::2], strict=True):
            commands.append(("HSET", layout.meta, b"s:" + space, state[:8]))
            for name, dump in ((layout.values(space), values), (layout.order(space), order)):
                if dump is not None:
                    commands.append(("RESTORE", name, 0, dump, "REPLACE"))
        if state:
            commands.append(("HSET", layout.meta, "state", state_of_copy(state, os.urandom(8)), "format", FORMAT))
        try:
            for command in commands:
                (reply,) = self._server.round(partial(list[Command], (command,)))
                self._checked(reply)
        except BaseException:
            self.clear()
            raise

    def _executed(self, replies: Sequence[Any]) -> list[Any]:
        """The replies of a MULTI's commands. Raises the error of a command that was not even queued."""
        if isinstance(replies[-1], ResponseError):
            self._raise_first(replies)
        executed: list[Any] = replies[-1]
        return executed

    def _raise_first(self, replies: Sequence[Any]) -> None:
        """Raise the error for the first reply that is one."""
        for reply in replies:
            self._checked(reply)

    def _checked(self, reply: Any) -> Any:
        """The reply. Raises the error for it, if it is one."""
        if isinstance(reply, ResponseError):
            raise refused(self._address.server, reply)
        return reply


def _digests(data: bytes, catalog: int) -> Digests:
    """The digests as they stand in the meta hash and in the log; a catalog that is at version 0 has none."""
    return Digests(data[:8], data[16:], data[8:16] if catalog else b"")


def _demand_reachable(at: int, horizon: int, version: int) -> None:
    """Raise SnapshotTooOld for a version that the log does not reach, HistoryLost for one that is yet to come."""
    if at > version:
        raise history_lost(at)
    if at < horizon:
        raise too_old(at)
