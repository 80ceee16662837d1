"""The Store contract on one Redis or Valkey server: each fetch and each commit is one round trip."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from redis.crc import key_slot
from redis.exceptions import ResponseError

from rome.errors import DatabaseError, FormatError, InterfaceError, NumbersTaken
from rome.fast_tuples import tuple_maker
from rome.storage.lock_table import LockTable
from rome.storage.redis.acl import IN_CLUSTER, lacking_command, least_rule
from rome.storage.redis.address import Address
from rome.storage.redis.catch_up import CatchUp
from rome.storage.redis.commits import Commits
from rome.storage.redis.connection import LONGEST_ARGUMENT, Command, Server
from rome.storage.redis.copying import Copied, copy_database, read_contents
from rome.storage.redis.layout import (
    COUNTERS_FIELD,
    COUNTERS_MARK,
    FORMAT_DIGITS,
    STATE,
    Layout,
    history_bounds,
    read_record,
    version_of,
)
from rome.storage.redis.locks import RedisLocks
from rome.storage.redis.log_pages import LogPages
from rome.storage.redis.notes import RedisNotes
from rome.storage.redis.parts import PartialAnswer, in_full
from rome.storage.redis.past import (
    Apart,
    Emptied,
    commits_of,
    demand_reachable,
    learn,
    places_apart,
    read_emptied_spaces,
    values_apart,
    with_counts,
    with_values,
    without_counts,
)
from rome.storage.redis.presence import Presence, demand_logs, missing_key
from rome.storage.redis.reads import Rounds, Since, State, rows_in
from rome.storage.redis.replicas.replication import Replication
from rome.storage.redis.writes import REFUSALS, arguments_of, error_of, other_format
from rome.storage.store import (
    Batch,
    Committed,
    Draw,
    Fetched,
    Lookup,
    Request,
    Stats,
    Store,
    history_lost,
    next_digest,
    too_old,
)
from rome.storage.tails import ChangedHistory, Point, Tail, Tails, spaces_of
from rome.storage.undo import Present, complete, fetch_at

_T = TypeVar("_T")


class _Pending(Exception):
    """A commit in pieces is under way: a tail that is kept must not have what it wrote."""


_NEW = State(0, 0, Point(0, b"", b"", b""), is_pending=False)

_fetched = tuple_maker(Fetched)
_point = tuple_maker(Point)
_state = tuple_maker(State)

_LAST_PIECE = 2**64 - 1
"""After all pieces of a version, in the ids of the log's entries."""


class RedisStore:
    """A Store on a Redis or Valkey server."""

    is_shared = True
    longest_value = LONGEST_ARGUMENT
    empties_spaces = True

    def __init__(self, address: Address, stats: Stats | None = None) -> None:
        """Connect. `stats`: those to count in, if there are some. Raise StoreUnavailable."""
        self.stats = Stats() if stats is None else stats
        self._address = address
        self._layout = Layout(address.database)
        self._server = Server(address, self.stats)
        self._rounds = Rounds(self._layout, self._server.scripts)
        catch_up = CatchUp(self._read_newest_state, self._tail_of, self._fetch_at)
        self._commits = Commits(
            self._server, self._layout, address, self._read_horizon, catch_up.catch_up, self._take_numbers
        )
        self._presence = Presence(self._server.round, self._layout, address.server)
        self._tails = Tails()
        self._last_state: tuple[Any, State] = (None, _NEW)
        """The reply of the last round that differed, and what it says."""
        self._server.open()
        self._replication: Replication | None = None
        if address.replicas:
            self._replication = Replication(self._server, self._layout, address, self._commits)

    def fetch(self, requests: Sequence[Request], at: int | None = None, draws: Sequence[Draw] = ()) -> Fetched:
        """Answer all requests from one version, and take numbers of counters.

        Raise SnapshotTooOld, FormatError, StoreUnavailable.
        """
        if at is not None:
            return self._fetch_at(requests, at, draws)
        state, answers, drawn, _ = self._ask(requests, None, draws)
        version, _, (catalog, *digests), is_pending = state
        if is_pending:
            return self._fetch_at(requests, version)._replace(drawn=drawn)
        if PartialAnswer in map(type, answers):
            answers = in_full(requests, answers, partial(self._ask_rests, state))
        if Lookup in map(type, requests):
            for request, answer in zip(requests, answers, strict=True):
                if type(request) is Lookup and not all(answer[1]):
                    complete(request, answer)
        return _fetched((version, catalog, answers, *digests, drawn))

    def commit(self, batch: Batch) -> int:
        """Apply a batch, all or nothing, once per token.

        Raise Conflict, SnapshotTooOld, FormatError, StoreUnavailable; DataError for a row that is too long;
        NotReplicated.
        """
        commits = self._commits
        arguments = arguments_of(batch, commits.limits, not commits.permission_seen)
        if self._replication is not None and (batch.writes or batch.drops or batch.empties):
            return self._replication.commit(batch, arguments)
        if not arguments:
            return commits.commit_in_pieces(batch)
        reply, sent = self._server.run_script("commit", (self._layout.meta,), *arguments)
        commits.permission_seen = True
        return reply if type(reply) is int else commits.retry(batch, reply, sent)

    def digest_after(self, digest: bytes, token: bytes) -> bytes:
        """Return the digest of the version that a commit makes."""
        return next_digest(digest, token)

    def allocate(self, counter: bytes, n: int) -> int:
        """Take `n` consecutive numbers of a counter; return the first. Raise CounterUsedUp."""
        return int(self._run("counter", b"allocate", counter, b"%d" % n)) - n + 1

    def peek(self, counter: bytes) -> int:
        """Return the first number that `allocate` would take of a counter."""
        layout = self._layout
        found, is_marked = self._server.round(
            [(b"HMGET", layout.counters, counter, COUNTERS_MARK), (b"HGET", layout.meta, COUNTERS_FIELD)]
        )
        last, mark = self._checked(found)
        if self._checked(is_marked) and mark is None:
            raise missing_key(layout.counters, self._address.server)
        return int(last or 0) + 1

    def advance(self, counter: bytes, value: int) -> None:
        """Advance a counter, so that numbers allocated from now on are greater than `value`."""
        self._run("counter", b"advance", counter, b"%d" % value)

    def changes(self, since: int) -> Iterator[Committed]:
        """Return the commits after version `since`, oldest first, read page by page. Raise SnapshotTooOld."""
        return LogPages(self._layout, self._with_state, self._last_state[1].horizon).after(since)

    def version(self) -> int:
        """Return the newest version."""
        return self._ask((), None)[0].version

    def clear(self) -> None:
        """Remove all keys of the database."""
        self._run("clear")

    def copy_from(self, source: Store) -> None:
        """Copy the newest version of another Redis database into this empty one.

        Raise InterfaceError; SnapshotTooOld if the source's log is too short for what is committed meanwhile.
        """
        if not isinstance(source, RedisStore):
            raise InterfaceError(f"a Redis database can't be a copy of one in a {type(source).__name__}")
        (there,) = self._server.round([(b"EXISTS", self._layout.meta, self._layout.counters)])
        reply = [b"not empty"]
        if not self._checked(there):
            reply = copy_database(source, self._server, self._layout, partial(self._run, "publish"))
        if reply == [b"not empty"]:
            raise InterfaceError("the database to copy into is not empty")

    def contents(self) -> Copied | None:
        """Return what a copy of the newest version has, None before the first commit. No commit is under way then."""
        layout = self._layout
        names = (b"HGETALL", layout.meta), (b"LRANGE", layout.heads, b"0", b"-1"), (b"HGETALL", layout.counters)
        while True:
            (meta, heads, counters), state = self._with_state(*names)
            fields = dict(zip(meta[::2], meta[1::2], strict=True))
            if not state.is_pending:
                return read_contents(fields, heads, counters)
            pending = fields[b"pending"]
            refusal = [b"ahead", b"%d" % (state.version + 1)] if pending == b"!" else [b"pending", pending[16:]]
            if not self._commits.settle(refusal):
                raise error_of(refusal, self._address.server, self._address.database)

    def present(self, requests: Sequence[Request]) -> tuple[int, bytes, list[Any]]:
        """Return the newest version, its digest, and the present answers to requests, which may be PartialAnswers."""
        state, answers, _, _ = self._ask(requests, None)
        return state.version, state.point.digest, answers

    def confirm(self, seen: Mapping[int, bytes]) -> None:
        """Raise HistoryLost if one of some versions is not in the database's past with the same digest."""
        records, state = self._with_state(
            *((b"GETRANGE", self._layout.history, *history_bounds(version)) for version in seen)
        )
        for (version, digest), record in zip(seen.items(), records, strict=True):
            now = state.point.digest if version == state.version else record[: len(digest)]
            if version > state.version or now != digest:
                raise history_lost(version)

    def upgrade(self) -> int:
        """Bring the database to this format; return the format that it had. Raise FormatError."""
        return int(self._run("upgrade"))

    def await_commit(self, since: int, spaces: Sequence[bytes], seconds: float) -> None:
        """Wait for a new entry in the logs of some spaces: an XREAD that blocks."""
        milliseconds = max(1, int(min(seconds, self._address.socket_timeout / 2) * 1000))
        names = [self._layout.keys_log + space for space in spaces]
        head = (b"XREAD", b"COUNT", b"1", b"BLOCK", b"%d" % milliseconds, b"STREAMS")
        (reply,) = self._server.round([(*head, *names, *[b"%d-%d" % (since, _LAST_PIECE)] * len(names))])
        self._checked(reply)

    def lock_table(self) -> LockTable:
        """Return the lock table of the database."""
        return RedisLocks(self._server, self._layout, self._address)

    @property
    def least_rule(self) -> str:
        """The words of the ACL rule that a user of this database needs at least."""
        rule = least_rule(self._layout.pattern)
        return f"{rule} {IN_CLUSTER}" if self.in_cluster else rule

    @property
    def replicas(self) -> int:
        """The number of replicas that each commit waits for."""
        return self._address.replicas

    @property
    def slot(self) -> int:
        """The slot of a cluster that the database is in."""
        return int(key_slot(self._layout.meta))

    @property
    def in_cluster(self) -> bool:
        """True if the URL has cluster=on."""
        return bool(self._address.nodes)

    def notes(self) -> RedisNotes:
        """Return the notes of the processes that use the database."""
        return RedisNotes(self._server, self._layout.processes)

    def lacking_permissions(self) -> list[str] | None:
        """Return the commands that the user may not run on the database's keys; None if the server can't tell it."""
        (reply,) = self._server.round([lacking_command(self._layout.meta)])
        if isinstance(reply, ResponseError):
            return ["eval"] if "NOPERM" in str(reply) else None
        return None if reply is None else [name.decode() for name in reply]

    def ask_server(self, *commands: Command) -> list[Any]:
        """Return the server's replies to commands about itself, errors among them. Raise StoreUnavailable."""
        return self._server.round(commands)

    def close(self) -> None:
        """Close the connections. A store that is used again connects again."""
        self._server.close()

    def _ask_rests(self, state: State, requests: Sequence[Request]) -> list[Any]:
        """Return the answers to requests as of the version of a former round. Raise as `fetch` does, HistoryLost."""
        fetched = self._fetch_at(requests, state.version)
        if fetched.digest != state.point.digest:
            raise history_lost(state.version)
        return fetched.answers

    def _fetch_at(self, requests: Sequence[Request], at: int, draws: Sequence[Draw] = ()) -> Fetched:
        """Answer requests from a version with the log undone; that of the newest version is empty."""
        drawn: list[int] = []

        def fetch(tail: Tail, is_kept: bool) -> Fetched:
            def ask(asked: Sequence[Request]) -> Present:
                # Numbers are drawn once, in the first round.
                point, answers = self._ask_at(tail, is_kept, asked, spaces_of(asked), () if drawn else draws, drawn)
                return Present(
                    point, in_full(asked, answers, ask_rests) if PartialAnswer in map(type, answers) else answers
                )

            def ask_rests(asked: Sequence[Request]) -> list[Any]:
                return self._ask_at(tail, is_kept, asked, spaces_of(asked), (), []).answers

            needed = requests if is_kept else without_counts(requests)
            found = fetch_at(needed, tail, ask)
            return found if is_kept else found._replace(answers=with_counts(requests, found.answers))

        fetched, tail = self._with_tail(at, fetch)
        places = places_apart(requests, fetched.answers) if tail.is_partial else None
        if places:
            values = self._read_apart(list(places))
            learn(tail, values, places)
            answers = [with_values(*each, values) for each in zip(requests, fetched.answers, strict=True)]
            fetched = fetched._replace(answers=answers)
        return fetched._replace(drawn=drawn) if draws else fetched

    def _with_tail(self, at: int, use: Callable[[Tail, bool], _T]) -> tuple[_T, Tail]:
        """Call `use` with a tail of a version, and whether it is kept; again, if that one can't be used."""
        tail, is_kept = self._tails.of(at), True
        while True:
            try:
                result = use(tail, is_kept)
                break
            except ChangedHistory:
                self._tails.forget(tail)
                tail = Tail(at)
            except _Pending:
                # The new tail gets what the pending commit has written so far.
                tail, is_kept = Tail(at), False
        if is_kept:
            self._tails.keep(tail)
        return result, tail

    def _ask_at(
        self,
        tail: Tail,
        is_kept: bool,
        requests: Sequence[Request],
        spaces: Sequence[bytes],
        draws: Sequence[Draw],
        drawn: list[int],
    ) -> Present:
        """Send one round for requests at the version of a tail, and extend it for some spaces. Raise SnapshotTooOld.

        Raise ChangedHistory; _Pending if a commit is pending, unless the tail `is_kept` no longer than for this fetch.
        `drawn` gets the first number of each draw.
        """
        seen = tail.seen
        since = Since(seen[0], [(space, tail.until(space)) for space in spaces])
        state, answers, first_numbers, (record, *logs) = self._ask(requests, since, draws)
        drawn += first_numbers
        version, point = state.version, state.point
        demand_reachable(tail.at, state.horizon, version)
        if state.is_pending and is_kept:
            raise _Pending
        if seen[0] >= version:
            digest = point.digest if seen[0] == version else b""
        elif seen[0] == 0:
            digest, point = b"", Point(0, point.incarnation, b"", b"")
        elif not record:
            raise history_lost(seen[0])  # the server has evicted the history
        else:
            digest, catalog, catalog_digest = read_record(record)
            point = Point(catalog, point.incarnation, digest, catalog_digest if catalog else b"")
        tail.confirm(seen, digest)
        if tail.point is None:
            tail.point = point
        emptied: Emptied = {}
        if any(logs):
            self._raise_first(logs)
            emptied = self._read_emptied(since, logs, state)
        newest = version if is_kept else None
        for (space, _), entries in zip(since.spaces, logs, strict=True):
            commits = commits_of(self._layout, space, entries, newest, emptied) if entries else ()
            if commits or tail.until(space) > tail.at:
                tail.extend(space, version, commits)
                tail.is_partial = tail.is_partial or any(
                    type(old) is Apart for each in commits for old in each.values()
                )
        tail.seen = version, state.point.digest
        return Present(tail.point, answers)

    def _read_emptied(self, since: Since, logs: Sequence[Any], state: State) -> Emptied:
        """Return what the spaces had that were emptied since a version, by their logs: mostly without a round trip."""
        spaces = [space for space, _ in since.spaces]
        of_spaces = zip(spaces, logs, strict=True)
        return read_emptied_spaces(self._layout, of_spaces, state.version, lambda names: self._with_state(*names)[0])

    def _ask(
        self, requests: Sequence[Request], since: Since | None, draws: Sequence[Draw] = ()
    ) -> tuple[State, list[Any], list[int], list[Any]]:
        """Send one round; return the state, the answers, the first numbers of draws, and the replies about the log."""
        packed = self._rounds.pack(requests, since, draws)
        replies, size, _ = self._server.exchange(packed, self._rounds.pack, requests, since, draws)
        rest = replies[-1]
        if len(replies) == 1:
            meta, rest = rest, []
        else:
            if type(rest) is ResponseError:
                self._raise_first(replies)
            meta = rest.pop(0)
        readers, watched = packed[2]
        fields: list[Any] = []
        if type(meta) is list and len(meta) > 3:
            fields = meta[3:]
            del meta[3:]
        # Mostly the state has not changed since the round before.
        last, state = self._last_state
        if meta != last:
            state = self._read_state(meta)
        if ResponseError in map(type, rest):
            self._raise_first(rest)
        exists = rest.pop(0) if watched else 0
        drawn: list[int] = []
        has_mark = True
        if draws:
            first = len(requests)
            drawn = [last - count + 1 for (_, count), last in zip(draws, rest[first:], strict=False)]
            has_mark = rest[first + len(draws)] is not None
            del rest[first : first + len(draws) + 1]
        # A commit that is under way may have removed keys; it changes the fields when it is done.
        if (exists < len(watched) or not has_mark) and not state.is_pending:
            self._presence.demand(watched, fields, exists, has_mark)
        rows = 0
        answers = rest
        logs: list[Any] = []
        if since is not None:
            answers, logs = rest[: len(requests)], rest[len(requests) :]
        for place, read in enumerate(readers):
            answer = answers[place]
            if read is not None:
                answers[place] = answer = read(answer)
            rows += len(answer) - answer.count(None) if type(answer) is list else rows_in(answer)
        self.stats.add(1, len(replies), rows, size)
        if logs and since is not None and since.spaces:
            demand_logs(since.spaces, fields[-len(since.spaces) :], logs[1:])
        return state, answers, drawn, logs

    def _read_state(self, meta: Any) -> State:
        """Return the state that the meta hash has. Raise FormatError if the database is of another format."""
        data, number, pending = self._checked(meta)
        if number is None:
            self._presence.demand_new()
            return _NEW._replace(is_pending=bool(pending))
        try:
            if number != FORMAT_DIGITS:
                raise other_format(number, self._address.server, self._address.database)
            version, horizon, _, catalog, incarnation, catalog_digest, digest = STATE.unpack(data)
        except (TypeError, struct.error) as error:
            key = self._layout.meta.decode(errors="backslashreplace")
            raise FormatError(f"the state in key {key} on {self._address.server} does not decode: {error}") from error
        point = _point((catalog, incarnation, digest, catalog_digest if catalog else b""))
        state = _state((version, horizon, point, bool(pending)))
        self._last_state = meta, state
        return state

    def _take_numbers(self, batch: Batch) -> None:
        """Take the numbers that a commit in pieces expects, because others may draw some between the pieces.

        Raise NumbersTaken.
        """
        expects = batch.expects
        for counter, last in expects.items():
            if self.peek(counter) != last + 1:
                raise NumbersTaken(counter)
        for counter, last in expects.items():
            if self.allocate(counter, batch.advances[counter] - last) != last + 1:
                raise NumbersTaken(counter)

    def _read_apart(self, places: Sequence[Apart]) -> dict[Apart, dict[bytes, Any]]:
        """Return the old values that are logged apart: one round trip. Raise SnapshotTooOld if they are gone."""
        layout = self._layout
        names = [
            (name + place.space, place.entry_id) for place in places for name in (layout.keys_log, layout.values_log)
        ]
        replies = self._server.round([(b"XRANGE", name, entry_id, entry_id) for name, entry_id in names])
        self._raise_first(replies)
        if not all(replies):
            raise too_old(min(version_of(place.entry_id) for place in places) - 1)
        pairs = zip(places, replies[::2], replies[1::2], strict=True)
        return {place: values_apart(layout, place, keys, values) for place, keys, values in pairs}

    def _read_newest_state(self) -> State:
        return self._ask((), None)[0]

    def _read_horizon(self) -> int:
        return self._read_newest_state().horizon

    def _tail_of(self, at: int, spaces: Sequence[bytes]) -> tuple[Present, Tail]:
        """Return the tail of a version, which reaches the newest one for some spaces."""
        return self._with_tail(at, lambda tail, is_kept: self._ask_at(tail, is_kept, (), spaces, (), []))

    def _with_state(self, *commands: Command) -> tuple[list[Any], State]:
        """Return the replies to commands and the state, all from one version."""
        replies = self._server.round([(b"MULTI",), self._rounds.read_state, *commands, (b"EXEC",)])
        if type(replies[-1]) is ResponseError:
            self._raise_first(replies)
        meta, *found = replies[-1]
        state = self._read_state(meta)
        self._raise_first(found)
        return found, state

    def _run(self, script: str, *arguments: bytes) -> Any:
        """Run a script that may refuse; return its reply. Raise the error of its refusal."""
        keys = (self._layout.meta,)
        reply, _ = self._server.run_script(script, keys, FORMAT_DIGITS, *arguments)
        while isinstance(reply, list) and reply and self._commits.settle(reply):
            reply, _ = self._server.run_script(script, keys, FORMAT_DIGITS, *arguments)
        refusal = self._refusal(reply)
        if refusal is not None:
            raise refusal
        return reply

    def _refusal(self, reply: Any) -> DatabaseError | None:
        """Return the error for a reply by which a script refuses; None for any other reply."""
        if isinstance(reply, list) and reply[0] in REFUSALS:
            return error_of(reply, self._address.server, self._address.database)
        return None

    def _raise_first(self, replies: Sequence[Any]) -> None:
        """Raise the error of the first reply that is an error."""
        for reply in replies:
            self._checked(reply)

    def _checked(self, reply: Any) -> Any:
        """Return a reply. Raise its error if it is one."""
        if isinstance(reply, ResponseError):
            raise self._server.refused(reply)
        return reply
