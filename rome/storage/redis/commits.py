"""Commits: in one script, or in pieces if they are large. A pending commit in pieces is finished first."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from redis.exceptions import ResponseError

from rome.errors import DatabaseError, HistoryLost, StoreUnavailable
from rome.storage.columns import writes_of
from rome.storage.redis.address import Address
from rome.storage.redis.connection import Command, Server
from rome.storage.redis.layout import FORMAT_DIGITS, Layout
from rome.storage.redis.pieces import check_pieces, parts_of, write_pieces
from rome.storage.redis.writes import Limits, arguments_of, error_of
from rome.storage.store import Batch, Demand, conflict

_STAGED_MS = b"600000"
"""How long pieces are kept whose commit is not begun. Each round that stages some begins this time anew."""

_ROUND_BYTES = 8 * 1024 * 1024
"""Bytes of pieces that are staged in one round."""


class Commits:
    """The commits to one database."""

    def __init__(
        self,
        server: Server,
        layout: Layout,
        address: Address,
        horizon: Callable[[], int],
        catch_up: Callable[[Batch], Batch],
        take_numbers: Callable[[Batch], None],
    ) -> None:
        """`horizon` asks for the oldest version of the log. `catch_up` validates the checks of a batch itself, up to a
        recent version, and returns the batch with checks since then. `take_numbers` takes the
        numbers of a batch, or raises NumbersTaken.
        """
        self._server = server
        self._layout = layout
        self._address = address
        self._horizon = horizon
        self._catch_up = catch_up
        self._take_numbers = take_numbers
        self.limits = Limits(address.log_commits, address.log_bytes, bool(address.nodes))
        self.permission_seen = False
        """True when a script has seen that the user may write."""

    def retry(self, batch: Batch, refusal: Any, sent: int) -> int:
        """Return the version of a batch that was refused at first, if what was in its way can be removed.

        `sent`: how often it was sent. Raise the error of the refusal.
        """
        reply = refusal
        while type(reply) is not int and (reply == [b"behind"] or self.settle(reply)):
            if reply == [b"behind"]:
                batch = self._catch_up(batch)
            reply, more = self._run("commit", arguments_of(batch, self.limits, look=False))
            sent += more - 1
        return self._version(batch, reply, sent)

    def settle(self, refusal: Any) -> bool:
        """Finish the commit in pieces, or undo the stopped one, because of which a script refuses.

        Return False if it refuses for another reason, or if that is impossible.
        """
        if refusal[0] == b"pending":
            reply = self._finish(refusal[1])
            return type(reply) is int or reply[0] != b"ahead"
        if refusal[0] == b"ahead":
            return bool(self._run("repair", [FORMAT_DIGITS])[0] == [b"repaired"])
        return False

    def _finish(self, token: bytes) -> Any:
        """Do the steps of a commit that are left. Return its version, or its refusal."""
        step = [FORMAT_DIGITS, token, self.limits.header(0, 0, 0, 0, step=True), b""]
        reply, _ = self._run("commit", step)
        while reply == [b"step"]:
            reply, _ = self._run("commit", step)
        return reply

    def commit_in_pieces(self, batch: Batch) -> int:
        """Commit a large batch. Return its version. Raise as `Store.commit` does."""
        if batch.empties:
            raise conflict(batch.empties[0], b"", Demand.UNWRITTEN, 0)  # keys are deleted one by one
        return self._version(batch, *self._commit_in_pieces(batch))

    def _commit_in_pieces(self, batch: Batch) -> tuple[Any, int]:
        """Commit a large batch. Return its version or its refusal, and how often the request was sent."""
        token, writes = batch.token, writes_of(batch)
        parts = parts_of(writes)
        (found,) = self._server.round([(b"HMGET", self._layout.meta, b"+" + token, b"pending")])
        if isinstance(found, list) and (found[0] or (found[1] or b"")[16:] == token):
            return self._finish(token), 2
        self._take_numbers(batch)
        try:
            if not self.permission_seen:
                # A batch that only looks.
                reply, _ = self._run("commit", arguments_of(Batch(token), self.limits, look=True))
                if type(reply) is not int and not self.settle(reply):
                    return reply, 1
                self.permission_seen = True
            written = self._stage(token, enumerate(write_pieces(batch, writes, parts, self.limits), 1))
            checks = check_pieces(self._catch_up(batch), writes, parts, self.limits)
            checked = self._stage(token, zip(itertools.count(0, -1), checks, strict=False))
        except DatabaseError:
            # From the beginning of the commit on, others may need the pieces.
            with suppress(DatabaseError):
                self._server.round([(b"UNLINK", self._layout.staged(token))])
            raise
        begin = [FORMAT_DIGITS, token, b"%d" % checked, b"%d" % written]
        reply, sent = self._run("begin", begin)
        while type(reply) is not int and self.settle(reply):
            reply, more = self._run("begin", begin)
            sent += more - 1
        if reply == [b"step"]:
            reply = self._finish(token)
        return reply, sent

    def _stage(self, token: bytes, pieces: Iterable[tuple[int, bytes]]) -> int:
        """Put pieces on the server under their numbers. Return how many there are."""
        name, count = self._layout.staged(token), 0
        part: list[bytes] = []
        for number, piece in pieces:
            part += (b"%d" % number, piece)
            count += 1
            if sum(map(len, part)) > _ROUND_BYTES:
                self._send_pieces(name, part)
                part = []
        if part:
            self._send_pieces(name, part)
        return count

    def _send_pieces(self, name: bytes, part: list[bytes]) -> None:
        commands: list[Command] = [(b"HSET", name, *part), (b"PEXPIRE", name, _STAGED_MS)]
        for reply in self._server.round(commands):
            if isinstance(reply, ResponseError):
                raise self._server.refused(reply)

    def _version(self, batch: Batch, reply: Any, sent: int) -> int:
        """Return the version of a reply. Raise the error of a refusal."""
        if type(reply) is int:
            return reply
        refusal: DatabaseError = error_of(reply, self._address.server, self._address.database)
        # If the version that the batch depends on is lost, the batch was not applied either.
        if sent > 1 and not isinstance(refusal, HistoryLost) and self._may_have_forgotten(batch):
            raise StoreUnavailable(
                f"the connection to {self._address.server} was lost while committing, and its log is too short to tell "
                "whether the transaction was applied"
            ) from refusal
        raise refusal

    def _may_have_forgotten(self, batch: Batch) -> bool:
        """Return True if the batch may have been applied when it was sent first, and has left the log with its token.

        Then it may have been refused because of itself. It was applied after all versions that its checks name.
        """
        horizon = self._horizon()
        return any(version < horizon for version in (*batch.seen, *(check.since for check in batch.checks)))

    def _run(self, script: str, arguments: list[bytes]) -> tuple[Any, int]:
        return self._server.run_script(script, (self._layout.meta,), *arguments)
