"""`replicas=N`: a commit is acknowledged when N replicas have received it.

The command WAIT follows the script of the commit in the same round trip. It returns when N replicas have everything
that its connection has written, or after the timeout, and says how many there are. A failover to one of these replicas
keeps the commit. The replicas have it in memory; whether they write it to a disk is their own affair.

WAIT looks only at what its own connection has written. A commit that is sent again on another connection writes nothing
there, because its token is known, and the last piece of a large commit may be another client's. Then a write that
changes nothing comes first (`Replication._confirm`).

It is no consensus. A commit that too few replicas have is not undone: everybody reads it. A failover may choose another
replica, or a primary that is cut off may go on for a while with the replicas on its side of the network; then even a
commit that N replicas had is lost. Digests detect that, as any other loss.

The command WAITAOF is not used. For replicas, it returns only once a second, when they report what they have synced.
For the local disk, it makes a commit wait 100 ms with `appendfsync everysec` (10 commits a second by one client, and 63
by eight), and adds nothing to `appendfsync always`, by which the server syncs before it replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from rome.errors import InterfaceError, NotReplicated
from rome.storage.redis.address import Address
from rome.storage.redis.commits import Commits
from rome.storage.redis.connection import Command, Server
from rome.storage.redis.layout import Layout
from rome.storage.store import Batch

_COUNTER = b"replication"
"""The counter that is written and removed before a WAIT for what other connections have written."""


class Replication:
    """Commits to one database that wait for replicas."""

    def __init__(self, server: Server, layout: Layout, address: Address, commits: Commits) -> None:
        """Ask whether the server can wait for replicas. Raise InterfaceError if not, StoreUnavailable."""
        self._server = server
        self._layout = layout
        self._address = address
        self._commits = commits
        milliseconds = max(1, round(address.replicas_timeout * 1000))
        self._wait: Command = (b"WAIT", b"%d" % address.replicas, b"%d" % milliseconds)
        (reply,) = server.round([(b"WAIT", b"0", b"1")])
        if isinstance(reply, ResponseError):
            raise InterfaceError(f"option 'replicas' of the ROME URL can't be used: {server.name}: {reply}")

    def commit(self, batch: Batch, arguments: Sequence[bytes]) -> int:
        """Commit a batch, in pieces if there are no `arguments` of commit.lua; return its version.

        Raise as `Store.commit` does.
        """
        commits = self._commits
        if not arguments:
            return self._confirm(commits.commit_in_pieces(batch))
        reply, received, sent = self._server.run_script_and(self._wait, "commit", (self._layout.meta,), *arguments)
        commits.permission_seen = True
        if type(reply) is not int:
            return self._confirm(commits.retry(batch, reply, sent))
        return self._confirm(reply) if sent > 1 else self._judged(reply, received)

    def _confirm(self, version: int) -> int:
        """Wait for a commit that another connection may have written. Return its version. Raise NotReplicated."""
        counters = self._layout.counters
        *replies, received = self._server.round(
            [
                (b"MULTI",),
                (b"HINCRBY", counters, _COUNTER, b"1"),
                (b"HDEL", counters, _COUNTER),
                (b"EXEC",),
                self._wait,
            ]
        )
        failed = next((reply for reply in replies if isinstance(reply, ResponseError)), received)
        return self._judged(version, failed)

    def _judged(self, version: int, received: Any) -> int:
        """Return the version of a commit if enough replicas have it. `received`: how many, or an error of the server.

        Raise NotReplicated.
        """
        if type(received) is int and received >= self._address.replicas:
            return version
        # It may be no primary any more: new connections ask the Sentinels which one is.
        self._server.close()
        address = self._address
        count = received if type(received) is int else 0
        reason = f" ({received})" if isinstance(received, ResponseError) else ""
        raise NotReplicated(
            f"commit {version} of database {address.database!r} is applied, but {count} of {address.replicas} replicas "
            f"had it within {address.replicas_timeout:g} s (replicas_timeout){reason}: if {address.server} fails "
            "before they have it, it is lost. Do not run the transaction again",
            version,
            count,
        )
