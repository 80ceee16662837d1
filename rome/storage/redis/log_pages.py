"""The commits of the log, read page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rome.storage.redis.connection import Command
from rome.storage.redis.layout import Layout
from rome.storage.redis.past import demand_reachable, read_changes, read_emptied_spaces, read_heads
from rome.storage.redis.reads import State
from rome.storage.store import Committed, too_old
from rome.storage.tails import commits_after

_PAGE = 500
"""Commits that one round reads."""


class LogPages:
    """The log of one database."""

    def __init__(self, layout: Layout, with_state: Callable[..., tuple[list[Any], State]], horizon: int) -> None:
        """`with_state` returns the replies to commands and the state, all from one version.

        `horizon`: the oldest version of the log, as far as it is known.
        """
        self._layout = layout
        self._with_state = with_state
        self._horizon = horizon

    def after(self, since: int) -> Iterator[Committed]:
        """Return the commits after a version, oldest first. Raise SnapshotTooOld, HistoryLost: for the first ones now.

        The later ones are read when they are wanted.
        """
        return commits_after(since, self._page, _PAGE)

    def _page(self, since: int) -> list[Committed]:
        """Read commits after a version: two round trips, one for their heads and one for what they wrote."""
        layout = self._layout
        while True:
            # The first head is that of the version after the horizon, which moves seldom.
            horizon, first = self._horizon, max(since - self._horizon, 0)
            bounds = b"%d" % first, b"%d" % (first + _PAGE - 1)
            (heads,), state = self._read(since, (b"LRANGE", layout.heads, *bounds))
            self._horizon = state.horizon
            if state.horizon == horizon:
                break
        expected = min(state.version - since, _PAGE)
        if len(heads) < expected:
            raise too_old(since)  # the server has evicted the heads
        written = read_heads(layout, heads[:expected], since + 1)
        if not written:
            return []
        spaces = list(dict.fromkeys(space for its_spaces in written.values() for space in its_spaces))
        bounds = b"%d" % min(written), b"%d" % max(written)
        names = [name + space for space in spaces for name in (layout.keys_log, layout.values_log)]
        logs, _ = self._read(since, *((b"XRANGE", name, *bounds) for name in names))
        entries = dict(zip(spaces, zip(logs[::2], logs[1::2], strict=True), strict=True))
        emptied = read_emptied_spaces(
            layout,
            zip(spaces, logs[::2], strict=True),
            max(written),
            lambda commands: self._read(since, *commands)[0],
        )
        return read_changes(layout, written, entries, emptied)

    def _read(self, since: int, *commands: Command) -> tuple[list[Any], State]:
        """Return replies about the log after a version, and the state."""
        replies, state = self._with_state(*commands)
        demand_reachable(since, state.horizon, state.version)
        return replies, state
