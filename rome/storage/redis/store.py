"""The Store contract on one Redis or Valkey server: each fetch and each commit is one round trip."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import ResponseError

from rome.errors import DatabaseError, FormatError, HistoryLost, InterfaceError, NotSupportedError, StoreUnavailable
from rome.fast_tuples import tuple_maker
from rome.storage.lock_table import LockTable
from rome.storage.redis.acl import least_rule
from rome.storage.redis.address import Address
from rome.storage.redis.connection import Command, Server
from rome.storage.redis.layout import FORMAT_DIGITS, STATE, Layout, read_log, state_before, state_of_copy
from rome.storage.redis.locks import RedisLocks
from rome.storage.redis.reads import Rounds, rows_in
from rome.storage.redis.writes import REFUSALS, arguments_of, error_of, other_format
from rome.storage.store import Batch, Committed, Draw, Fetched, Lookup, Request, Stats, Store, history_lost, too_old
from rome.storage.undo import Digests, Present, complete, fetch_at

_State = tuple[int, int, int, Digests]
"""The newest version, the catalog's version, the horizon, and the digests."""

_NEW: _State = 0, 0, 0, Digests(b"", b"", b"")

_fetched = tuple_maker(Fetched)

_PAGE = 1000
"""Commits of the log that `changes` reads in one round."""


class RedisStore:
    """A Store on a Redis or Valkey server."""

    is_shared = True

    def __init__(self, address: Address) -> None:
        """Connect. Raise StoreUnavailable."""
        self.stats = Stats()
        self._address = address
        self._layout = Layout(address.database)
        self._server = Server(address, self.stats)
        self._rounds = Rounds(self._layout, self._server.scripts)
        self._read_meta = (b"HMGET", self._layout.meta, b"state", b"format")
        self._permission_seen = False
        self._last_state: tuple[Any, _State] = (None, _NEW)
        """The reply of the last round that differed, and what it says."""
        self._server.open()

    def fetch(self, requests: Sequence[Request], at: int | None = None, draws: Sequence[Draw] = ()) -> Fetched:
        """Answer all requests from one version, and take numbers of counters.

        Raise SnapshotTooOld, FormatError, StoreUnavailable.
        """
        version, catalog, answers, tail, digests = self._ask(requests, at, draws)
        drawn: Sequence[int] = ()
        if draws:
            drawn = answers[len(requests) :]
            del answers[len(requests) :]
        if tail and at is not None:
            asked = [Present(catalog, answers, tail, digests)]
            past = fetch_at(requests, at, lambda more: asked.pop() if asked else Present(*self._ask(more, at)[1:]))
            return past._replace(drawn=drawn) if draws else past
        for place, request in enumerate(requests):
            if isinstance(request, Lookup) and not all(answers[place][1]):
                complete(request, answers[place])
        return _fetched((version, catalog, answers, *digests, drawn))

    def commit(self, batch: Batch) -> int:
        """Apply a batch, all or nothing, once per token.

        Raise Conflict, SnapshotTooOld, FormatError, StoreUnavailable; OperationalError for a million keys or more.
        """
        address, layout = self._address, self._layout
        arguments = arguments_of(batch, address.log_commits, address.log_bytes, not self._permission_seen)
        reply, sent = self._server.run_script("commit", (layout.meta,), FORMAT_DIGITS, *arguments)
        self._permission_seen = True
        if type(reply) is int:
            return reply
        refusal = error_of(reply, address.server, address.database)
        # If the version that the batch depends on is lost, the batch was not applied either.
        if sent > 1 and not isinstance(refusal, HistoryLost) and self._may_have_forgotten(batch):
            raise StoreUnavailable(
                f"the connection to {address.server} was lost while committing, and its log is too short to tell "
                "whether the transaction was applied"
            ) from refusal
        raise refusal

    def allocate(self, counter: bytes, n: int) -> int:
        """Take `n` consecutive numbers of a counter; return the first. Raise OperationalError if it is used up."""
        return int(self._run("counter", b"allocate", counter, b"%d" % n)) - n + 1

    def peek(self, counter: bytes) -> int:
        """Return the first number that `allocate` would take of a counter."""
        (last,) = self._server.round([(b"HGET", self._layout.counters, counter)])
        return int(self._checked(last) or 0) + 1

    def advance(self, counter: bytes, value: int) -> None:
        """Advance a counter, so that numbers allocated from now on are greater than `value`."""
        self._run("counter", b"advance", counter, b"%d" % value)

    def changes(self, since: int) -> Iterator[Committed]:
        """Return the commits after version `since`, oldest first, read page by page. Raise SnapshotTooOld."""
        return self._pages(since, self._page(since))

    def version(self) -> int:
        """Return the newest version."""
        return self._ask((), None)[0]

    def clear(self) -> None:
        """Remove all keys of the database."""
        self._run("clear")

    def copy_from(self, source: Store) -> None:
        """Copy the newest version of another Redis database into this empty one. Raise InterfaceError.

        On one server, unless it is a node of a cluster, the data is copied there; else it comes as one large reply.
        """
        if not isinstance(source, RedisStore):
            raise InterfaceError(f"a Redis database can't be a copy of one in a {type(source).__name__}")
        (there,) = self._server.round([(b"EXISTS", self._layout.meta, self._layout.counters)])
        if self._checked(there):
            raise InterfaceError("the database to copy into is not empty")
        ours, theirs = self._address, source._address
        if (ours.server, ours.db) == (theirs.server, theirs.db):
            with suppress(NotSupportedError):  # in a cluster
                source._run("copy", self._layout.meta, os.urandom(8), also=(self._layout.meta,))
                return
        self._restore(source._run("copy"))

    def lock_table(self) -> LockTable:
        """Return the lock table of the database."""
        return RedisLocks(self._server, self._layout, self._address)

    @property
    def least_rule(self) -> str:
        """The words of the ACL rule that a user of this database needs at least."""
        return least_rule(self._layout.pattern)

    def ask_server(self, *commands: Command) -> list[Any]:
        """Return the server's replies to commands about itself, errors among them. Raise StoreUnavailable."""
        return self._server.round(commands)

    def close(self) -> None:
        """Close the connections. A store that is used again connects again."""
        self._server.close()

    def _ask(
        self, requests: Sequence[Request], at: int | None, draws: Sequence[Draw] = ()
    ) -> tuple[int, int, list[Any], Sequence[Committed], Digests]:
        """Send one round; return the newest version and the fields of Present. Draws come after the answers."""
        packed = self._rounds.pack(requests, at, draws)
        replies, size, _ = self._server.exchange(packed, self._rounds.pack, requests, at, draws)
        if len(replies) == 1:
            meta, rest = replies[0], []
        else:
            rest = replies[-1]
            if type(rest) is ResponseError:
                self._raise_first(replies)
            meta = rest.pop(0)
        # Mostly the state has not changed since the round before.
        last, state = self._last_state
        version, catalog, horizon, digests = state if meta == last else self._read_state(meta)
        tail: list[Committed] = []
        if at is not None:
            _demand_reachable(at, horizon, version)
            log = self._checked(rest.pop())
            if log:
                catalog, catalog_digest, digest = state_before(log[0])
                digests = Digests(digests.incarnation, digest, catalog_digest if catalog else b"")
                tail = read_log(log)
        if ResponseError in map(type, rest):
            self._raise_first(rest)
        rows = 0
        answers = rest
        for place, read in enumerate(packed[2]):
            answer = answers[place] if read is None else read(answers[place])
            answers[place] = answer
            rows += len(answer) - answer.count(None) if type(answer) is list else rows_in(answer)
        self.stats.add(1, len(replies), rows, size)
        return version, catalog, answers, tail, digests

    def _read_state(self, meta: Any) -> _State:
        """Return the state that the meta hash has. Raise FormatError if the database is of another format."""
        data, number = self._checked(meta)
        if number is None:
            return _NEW
        try:
            if number != FORMAT_DIGITS:
                raise other_format(number, self._address.server, self._address.database)
            version, horizon, _, catalog, incarnation, catalog_digest, digest = STATE.unpack(data)
        except (TypeError, struct.error) as error:
            key = self._layout.meta.decode(errors="backslashreplace")
            raise FormatError(f"the state in key {key} on {self._address.server} does not decode: {error}") from error
        state = version, catalog, horizon, Digests(incarnation, digest, catalog_digest if catalog else b"")
        self._last_state = meta, state
        return state

    def _pages(self, since: int, page: Sequence[Committed]) -> Iterator[Committed]:
        while page:
            yield from page
            if len(page) < _PAGE:
                return
            since = page[-1].version
            page = self._page(since)

    def _page(self, since: int) -> list[Committed]:
        layout = self._layout
        log = (b"XRANGE", layout.log, b"%d" % (since + 1), b"+", b"COUNT", b"%d" % _PAGE)
        replies = self._server.round([(b"MULTI",), self._read_meta, log, (b"EXEC",)])
        if type(replies[-1]) is ResponseError:
            self._raise_first(replies)
        meta, entries = replies[-1]
        version, _, horizon, _ = self._read_state(meta)
        _demand_reachable(since, horizon, version)
        return read_log(self._checked(entries))

    def _run(self, script: str, *arguments: bytes, also: tuple[bytes, ...] = ()) -> Any:
        """Run a script that may refuse; return its reply. Raise the error of its refusal.

        `also`: keys of another database that it uses. A cluster must know them, to refuse the script before it runs:
        on Valkey 9.1 each later script of a connection fails after one that reached another node's keys.
        """
        reply, _ = self._server.run_script(script, (self._layout.meta, *also), FORMAT_DIGITS, *arguments)
        refusal = self._refusal(reply)
        if refusal is not None:
            raise refusal
        return reply

    def _refusal(self, reply: Any) -> DatabaseError | None:
        """Return the error for a reply by which a script refuses; None for any other reply."""
        if isinstance(reply, list) and reply[0] in REFUSALS:
            return error_of(reply, self._address.server, self._address.database)
        return None

    def _may_have_forgotten(self, batch: Batch) -> bool:
        """Return True if the batch may have been applied when it was sent first, and has left the log with its token.

        Then it may have been refused because of itself. It was applied after all versions that its checks name.
        """
        (meta,) = self._server.round([self._read_meta])
        _, _, horizon, _ = self._read_state(meta)
        return any(version < horizon for version in (*batch.seen, *(check.since for check in batch.checks)))

    def _restore(self, copied: Sequence[Any]) -> None:
        """Write the reply of copy.lua on another server. The state comes last: until then the database is empty."""
        state, counters, spaces, *dumps = copied
        layout = self._layout
        commands: list[Command] = [(b"RESTORE", layout.counters, b"0", counters, b"REPLACE")] if counters else []
        for space, values, order in zip(spaces, dumps[::2], dumps[1::2], strict=True):
            commands.append((b"HSET", layout.meta, b"s:" + space, state[:8]))
            for name, dump in ((layout.values + space, values), (layout.order + space, order)):
                if dump is not None:
                    commands.append((b"RESTORE", name, b"0", dump, b"REPLACE"))
        if state:
            its_state = state_of_copy(state, os.urandom(8))
            commands.append((b"HSET", layout.meta, b"state", its_state, b"format", FORMAT_DIGITS))
        try:
            for command in commands:
                (reply,) = self._server.round([command])
                self._checked(reply)
        except BaseException:
            self.clear()
            raise

    def _raise_first(self, replies: Sequence[Any]) -> None:
        """Raise the error of the first reply that is an error."""
        for reply in replies:
            self._checked(reply)

    def _checked(self, reply: Any) -> Any:
        """Return a reply. Raise its error if it is one."""
        if isinstance(reply, ResponseError):
            raise self._server.refused(reply)
        return reply


def _demand_reachable(at: int, horizon: int, version: int) -> None:
    """Raise SnapshotTooOld for a version before the log, HistoryLost for a future version."""
    if at > version:
        raise history_lost(at)
    if at < horizon:
        raise too_old(at)
