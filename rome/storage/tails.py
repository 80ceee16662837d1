"""The writes after a version that is still read, so that its readers ask for each commit of the log once only.

A *tail* belongs to one version, `at`. Of each space that was read at that version it has the keys that later commits
wrote, with their values at `at`: the value before the first of these writes. A fetch at `at` asks the engine only for
the commits since the last one (`Tail.until`), and only for the spaces of its requests. An engine keeps the tails that
have keys in `Tails`, for the next statement of the transaction.

    at 7, space r1 until version 9     {b"a": b"old", b"b": None}      a was changed or deleted, b is new since then

A tail may reach further than the answers that it is applied to: a key that it lacks has been the same all the time, and
the value at `at` of a key that it has does not depend on the answers.

Lost history
    A server may lose the commits that a tail was made of. So the tail knows the newest version it has seen, and that
    version's digest; each round must confirm it (`Tail.confirm`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rome.errors import HistoryLost
from rome.forks import new_lock
from rome.storage.store import Committed, Fetched, KeyRange, Lookup, Request, history_lost

_MOST_TAILS = 64
_MOST_KEYS = 1_000_000
"""The tails that are kept, and their keys."""

_NO_KEYS: dict[bytes, Any] = {}


class Point(NamedTuple):
    """The digests and the catalog's version at a version, as Fetched has them."""

    catalog_version: int
    incarnation: bytes
    digest: bytes
    catalog_digest: bytes


def point_of(fetched: Fetched) -> Point:
    """Return the digests and the catalog's version of a fetched version."""
    return Point(fetched.catalog_version, fetched.incarnation, fetched.digest, fetched.catalog_digest)


class ChangedHistory(HistoryLost):
    """The commits that a tail was made of are not in the database's past any more; the version itself may be."""


class _Written:
    """The keys of one space that were written up to version `until`, with their values at the tail's version."""

    __slots__ = ("in_order", "until", "values")

    def __init__(self, until: int) -> None:
        self.until = until
        self.values: dict[bytes, Any] = {}
        self.in_order: list[bytes] | None = None


class Tail:
    """The writes after version `at`, space by space. Threads may share it."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen: tuple[int, bytes | None] = at, None
        """The newest version that was seen and its digest; None before the first round."""
        self.point: Point | None = None
        """That of `at`; None before the first round."""
        self.is_partial = False
        """True if some values are not known yet; the engine has put something else in their place."""
        self._spaces: dict[bytes, _Written] = {}

    @property
    def size(self) -> int:
        """The number of keys."""
        return sum(len(written.values) for written in self._spaces.values())

    def until(self, space: bytes) -> int:
        """Return the version up to which the writes to a space are known."""
        written = self._spaces.get(space)
        return self.at if written is None else written.until

    def confirm(self, seen: tuple[int, bytes | None], digest: bytes) -> None:
        """Compare what was `seen` when the round began with that version's digest now (b'': there is no such version).

        Raise ChangedHistory.
        """
        if seen[1] not in (None, digest):
            raise ChangedHistory(*history_lost(seen[0]).args)

    def extend(self, space: bytes, until: int, commits: Sequence[Mapping[bytes, Any]]) -> None:
        """Add the commits to a space after the version that `until` returned, up to version `until`.

        `commits`: of each commit, oldest first, the keys that it wrote, with their values before.
        """
        written = self._spaces.get(space)
        if written is None:
            written = self._spaces[space] = _Written(self.at)
        if commits:
            fresh: dict[bytes, Any] = {}
            for commit in reversed(commits):
                fresh.update(commit)
            # Of a key that was written more than once, the oldest value counts.
            if written.values:
                for key, old in fresh.items():
                    written.values.setdefault(key, old)
            else:
                written.values = fresh
            written.in_order = None
        written.until = max(until, written.until)

    def of(self, space: bytes) -> dict[bytes, Any]:
        """Return key → value at the version (None: it did not exist), for the keys of a space that were written."""
        written = self._spaces.get(space)
        return _NO_KEYS if written is None else written.values

    def written(self, space: bytes, key_range: KeyRange) -> list[bytes]:
        """Return the keys of a range that were written, in order."""
        written = self._spaces.get(space)
        if written is None or not written.values:
            return []
        keys = written.in_order
        if keys is None:
            keys = written.in_order = sorted(written.values)
        return keys[bisect_left(keys, key_range[0]) : bisect_left(keys, key_range[1])]


class Tails:
    """The tails of one database that are kept, least recently used first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Tail] = OrderedDict()
        self._lock = new_lock()

    def of(self, at: int) -> Tail:
        """Return the tail of a version: the one that is kept, or a new one."""
        return self._kept.get(at) or Tail(at)

    def keep(self, tail: Tail) -> None:
        """Keep a tail for the next fetch at its version, if it has keys."""
        if not tail.size:
            return
        with self._lock:
            self._kept[tail.at] = tail
            self._kept.move_to_end(tail.at)
            keys = sum(each.size for each in self._kept.values())
            while len(self._kept) > 1 and (keys > _MOST_KEYS or len(self._kept) > _MOST_TAILS):
                _, oldest = self._kept.popitem(last=False)
                keys -= oldest.size

    def forget(self, tail: Tail) -> None:
        """Do not keep a tail any more."""
        with self._lock:
            self._kept.pop(tail.at, None)


def spaces_of(requests: Iterable[Request]) -> list[bytes]:
    """Return the spaces that requests read, each once."""
    spaces: dict[bytes, None] = {}
    for request in requests:
        if isinstance(request, Lookup):
            spaces[request.index] = spaces[request.rows] = None
        else:
            spaces[request.space] = None
    return list(spaces)


def commits_after(since: int, read_page: Callable[[int], Sequence[Committed]], full_page: int) -> Iterator[Committed]:
    """Return the commits after a version, oldest first: those of the first page, which is read now, and of later ones.

    `read_page` returns the commits after a version, at most `full_page`.
    """
    return _commits(read_page(since), read_page, full_page)


def _commits(
    page: Sequence[Committed], read_page: Callable[[int], Sequence[Committed]], full_page: int
) -> Iterator[Committed]:
    while page:
        yield from page
        if len(page) < full_page:
            return
        page = read_page(page[-1].version)
