"""The contents of a cache: the known part of a database, at one version.

It answers requests from what is known, learns the answers of the store, and goes on to later versions by the log's
commits. Answers are *shared*: the same request gets the same object until one of its keys changes, and what a reader
derives from it (decoded rows) is kept with it.

Versions
    All that is known is true at `version`. A fetch that names an older version is answered if nothing that it reads has
    changed since. An answer of the store may be of another version than the contents: one of an older version is
    learned if it is still true, one of a later version when the contents have arrived there (`_early`).

Memory
    `size` is an estimate. Above `most_bytes` the shared answers are forgotten first, then the spaces that were not read
    for longest; of the last one, the values that were not read for longest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from rome.cache.known import UNKNOWN, KnownSpace
from rome.cache.results import FEWEST_INDEXED, INDEXED_BYTES
from rome.storage.columns import checks_of, writes_of
from rome.storage.keys import row_keys_of
from rome.storage.store import (
    CATALOG,
    LAST,
    Batch,
    Committed,
    Count,
    Demand,
    Fetched,
    Get,
    KeyRange,
    Lookup,
    Range,
    Request,
    Scan,
    holds_entries,
)
from rome.storage.tails import Point, point_of, spaces_of

_MOST_EARLY = 100
_MOST_POINTS = 1000
_MOST_COUNTS = 1000
_SHARED_BYTES = 500
"""The memory of a shared answer, without that of its rows."""
_DECODED = 4
"""How many times the bytes of a row its decoded values need, as an estimate."""


class SharedValues(list[bytes | None]):
    """The answer to a Get. `derived` is for its readers."""

    derived: Any = None


class SharedColumns(tuple[Sequence[bytes], Sequence[bytes | None]]):  # noqa: SLOT001 - it has an attribute
    """The answer to a Lookup or a Scan. `derived` is for its readers."""

    derived: Any = None


class SharedPairs(list[tuple[bytes, bytes | None]]):
    """The answer to a Range. `derived` is for its readers."""

    derived: Any = None


SHARED = (SharedValues, SharedColumns, SharedPairs)

MISSING = object()
"""In place of an answer that is not known."""


class _Shared(NamedTuple):
    answer: Any
    size: int


class Contents:
    """The known part of a database. The caller holds the lock of the cache."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes`: the bound of its memory, as an estimate."""
        self.most_bytes = most_bytes
        self.evictions = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.version: int | None = None
        self._since = 0
        self._spaces: dict[bytes, KnownSpace] = {}
        self._points: OrderedDict[int, Point] = OrderedDict()
        self._shared: OrderedDict[Request, _Shared] = OrderedDict()
        self._shared_of: dict[bytes, set[Request]] = {}
        """By space: the shared answers that read it; those of a Get with one key are found by that."""
        self._shared_size = 0
        self._counts: dict[bytes, dict[Count, int]] = {}
        self._early: list[tuple[Sequence[Request], Fetched]] = []
        self._uses = 0

    def begin(self, version: int, point: Point) -> None:
        """Begin at a version, with nothing known."""
        self.clear()
        self.version = self._since = version
        self._points[version] = point

    @property
    def size(self) -> int:
        """The estimated bytes in memory."""
        return self._shared_size + sum(space.size for space in self._spaces.values())

    @property
    def spaces(self) -> list[bytes]:
        """The spaces of which something is known, or was."""
        return list(self._spaces)

    def point(self, version: int) -> Point | None:
        """Return the digests of a version that the contents had, or that was fetched; None if they are forgotten."""
        return self._points.get(version)

    # ── answering ─────────────────────────────────────────────────────────────────────────────────────────────────

    def answers(self, requests: Sequence[Request], version: int) -> list[Any]:
        """Return the answers as of a version, the present or an older one; MISSING for those that are not known."""
        if self.version is None or version > self.version or version not in self._points:
            return [MISSING] * len(requests)
        if version == self.version:
            return [self._answer(request) for request in requests]
        return [self._answer(request) if self._is_unchanged(request, version) else MISSING for request in requests]

    def _answer(self, request: Request) -> Any:
        shared = self._shared.get(request)
        if shared is not None:
            return shared.answer
        self._uses += 1
        for name in spaces_of((request,)):
            space = self._spaces.get(name)
            if space is None:
                return MISSING
            space.last_use = self._uses
        answer = _ANSWERS[type(request)](self, request)
        if answer is MISSING or isinstance(request, Count):
            return answer
        return self._share(request, answer)

    def _values(self, request: Get) -> Any:
        value = self._spaces[request.space].value
        values = [value(key) for key in request.keys]
        return MISSING if any(each is UNKNOWN for each in values) else values

    def _range(self, request: Range) -> Any:
        space = self._spaces[request.space]
        keys = space.keys_in((request.begin, request.end), request.limit, request.reverse)
        if keys is None:
            return MISSING
        if holds_entries(request.space):
            return [(key, b"") for key in keys]
        values = [space.value(key) for key in keys]
        return MISSING if any(each is UNKNOWN for each in values) else list(zip(keys, values, strict=True))

    def _scan(self, request: Scan) -> Any:
        space = self._spaces[request.space]
        keys = space.keys_in((b"", LAST), None, False)
        if keys is None:
            return MISSING
        values = [space.value(key) for key in keys]
        return MISSING if any(each is UNKNOWN for each in values) else (keys, values)

    def _lookup(self, request: Lookup) -> Any:
        index, rows = self._spaces[request.index], self._spaces[request.rows]
        entries: list[bytes] = []
        for key_range in request.ranges[::-1] if request.reverse else request.ranges:
            left = None if request.limit is None else request.limit - len(entries)
            if left == 0:
                break
            found = index.keys_in(key_range, left, request.reverse)
            if found is None:
                return MISSING
            entries += found
        values = [rows.value(key) for key in row_keys_of(entries)] if entries else []
        return MISSING if any(each is UNKNOWN or each is None for each in values) else (entries, values)

    def _count(self, request: Count) -> Any:
        known = self._counts.get(request.space, {}).get(request)
        if known is not None:
            return known
        counts = [self._spaces[request.space].count(key_range) for key_range in request.ranges]
        return MISSING if None in counts else sum(filter(None, counts))

    def _is_unchanged(self, request: Request, version: int) -> bool:
        """Return True if the answer to a request is the same now as at an older version."""
        if version < self._since:
            return False
        if isinstance(request, Lookup):
            index, rows = self._spaces.get(request.index), self._spaces.get(request.rows)
            if index is not None and not index.is_unchanged(version, ranges=request.ranges):
                return False
            if rows is None or rows.is_unchanged(version, ranges=((b"", LAST),)):
                return True
            answer = self._answer(request)
            return answer is not MISSING and rows.is_unchanged(version, keys=row_keys_of(answer[0]))
        space = self._spaces.get(request.space)
        if space is None:
            return True
        if isinstance(request, Get):
            return space.is_unchanged(version, keys=request.keys)
        return space.is_unchanged(version, ranges=_ranges_of(request))

    # ── learning ──────────────────────────────────────────────────────────────────────────────────────────────────

    def learn(self, requests: Sequence[Request], fetched: Fetched) -> list[Any]:
        """Keep answers of the store. Return them, shared where they are true at the present version."""
        if self.version is None or fetched.version < self._since:
            return fetched.answers
        if fetched.version > self.version:
            if len(self._early) < _MOST_EARLY:
                self._early.append((requests, fetched))
            return fetched.answers
        self._keep_point(fetched.version, point_of(fetched))
        answers = [
            self._learn(request, answer, fetched.version)
            for request, answer in zip(requests, fetched.answers, strict=True)
        ]
        self._forget_what_is_too_much()
        return answers

    def _learn(self, request: Request, answer: Any, version: int) -> Any:
        if isinstance(request, Lookup):
            unchanged = self._space(request.index).is_unchanged(version, ranges=request.ranges) and self._space(
                request.rows
            ).is_unchanged(version, keys=row_keys_of(answer[0]) if answer[0] else ())
        else:
            self._space(request.space)
            unchanged = self._is_unchanged(request, version)
        if not unchanged:
            return answer
        _LEARNERS[type(request)](self, request, answer)
        return answer if isinstance(request, Count) else self._share(request, answer)

    def _learn_values(self, request: Get, answer: Sequence[bytes | None]) -> None:
        self._space(request.space).learn_values(request.keys, answer)

    def _learn_range(self, request: Range, answer: Sequence[tuple[bytes, bytes | None]]) -> None:
        space = self._space(request.space)
        keys = [key for key, _ in answer]
        space.learn_range(_known_part((request.begin, request.end), keys, request.limit, request.reverse), keys)
        if not holds_entries(request.space):
            space.learn_values(keys, [value for _, value in answer])

    def _learn_scan(self, request: Scan, answer: tuple[Sequence[bytes], Sequence[bytes]]) -> None:
        space = self._space(request.space)
        space.learn_range((b"", LAST), answer[0])
        space.learn_values(*answer)

    def _learn_lookup(self, request: Lookup, answer: tuple[Sequence[bytes], Sequence[bytes]]) -> None:
        entries, values = answer
        index = self._space(request.index)
        if len(request.ranges) == 1:
            (key_range,) = request.ranges
            index.learn_range(_known_part(key_range, entries, request.limit, request.reverse), entries)
        elif request.limit is None or len(entries) < request.limit:
            for key_range in request.ranges:
                index.learn_range(key_range, [each for each in entries if key_range[0] <= each < key_range[1]])
        if entries:
            self._space(request.rows).learn_values(row_keys_of(entries), values)

    def _learn_count(self, request: Count, answer: int) -> None:
        counts = self._counts.setdefault(request.space, {})
        if len(counts) >= _MOST_COUNTS:
            counts.clear()
        counts[request] = answer

    def _space(self, name: bytes) -> KnownSpace:
        space = self._spaces.get(name)
        if space is None:
            space = self._spaces[name] = KnownSpace(self._since, is_index=holds_entries(name))
        return space

    # ── shared answers ────────────────────────────────────────────────────────────────────────────────────────────

    def _share(self, request: Request, answer: Any) -> Any:
        """Keep an answer, to give the same object again."""
        shared: Any
        rows: Sequence[Any]
        if isinstance(request, Get):
            shared, rows = SharedValues(answer), answer
        elif isinstance(request, Range):
            shared, rows = SharedPairs(answer), [value for _, value in answer]
        else:
            shared, rows = SharedColumns(answer), answer[1]
        size = _SHARED_BYTES + _DECODED * sum(len(each or b"") for each in rows)
        if len(rows) >= FEWEST_INDEXED:
            size += INDEXED_BYTES * len(rows)
        self._unshare(request)
        self._shared[request] = _Shared(shared, size)
        self._shared_size += size
        if not _is_of_one_key(request):
            for name in spaces_of((request,)):
                self._shared_of.setdefault(name, set()).add(request)
        return shared

    def _unshare(self, request: Request) -> None:
        shared = self._shared.pop(request, None)
        if shared is not None:
            self._shared_size -= shared.size
            for name in spaces_of((request,)):
                self._shared_of.get(name, set()).discard(request)

    # ── going on ──────────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, commits: Iterable[Committed], version: int, point: Point) -> None:
        """Apply commits up to a version, which has these digests. Leave out those that the contents have.

        If they were cleared since the commits were asked for, they begin anew later.
        """
        present = self.version
        if present is None or present >= version:
            return
        for commit in commits:
            if commit.version <= present:
                continue
            for space, key, old, new in commit.changes:
                self._change(space, key, new, commit.version, (new is not None) - (old is not None))
        self._arrive(version, point)

    def advance_by(self, batch: Batch, version: int, digest_after: Callable[[bytes, bytes], bytes | None]) -> bool:
        """Apply a commit of this process, and keep what it wrote. Return False if it has not made the next version.

        `digest_after`: that of the store.
        """
        before = self.point(self.version) if self.version else None  # the first commit makes an incarnation
        if before is None or version != (self.version or 0) + 1:
            return False
        digest = digest_after(before.digest, batch.token)
        if digest is None:
            return False
        catalog_version, catalog_digest = before.catalog_version, before.catalog_digest
        if writes_of(batch).get(CATALOG):
            catalog_version, catalog_digest = version, digest
        new = _new_keys(batch) if self._counts else frozenset()
        for space, key, value in batch.writes:
            growth = None
            if space in self._counts:
                existed = False if (space, key) in new else self._space(space).exists(key)
                growth = None if existed is None else (value is not None) - existed
            self._change(space, key, value, version, growth)
            if not holds_entries(space):
                self._space(space).learn_values((key,), (value,))
        self._arrive(version, Point(catalog_version, before.incarnation, digest, catalog_digest))
        return True

    def _change(self, name: bytes, key: bytes, value: bytes | None, version: int, growth: int | None) -> None:
        """Apply one change. `growth`: by how many keys the space has grown; None if that is not known."""
        self._space(name).change(key, value, version)
        self._unshare(Get(name, (key,)))
        for request in list(self._shared_of.get(name, ())):
            self._unshare(request)
        counts = self._counts.get(name)
        if counts and growth is None:
            counts.clear()
        elif counts and growth:
            for request in counts:
                counts[request] += growth * sum(begin <= key < end for begin, end in request.ranges)

    def _arrive(self, version: int, point: Point) -> None:
        self.version = version
        self._keep_point(version, point)
        early, self._early = self._early, []
        for requests, fetched in early:
            self.learn(requests, fetched)
        self._forget_what_is_too_much()

    def _keep_point(self, version: int, point: Point) -> None:
        self._points[version] = point
        while len(self._points) > _MOST_POINTS:
            self._points.popitem(last=False)

    # ── forgetting ────────────────────────────────────────────────────────────────────────────────────────────────

    def _forget_what_is_too_much(self) -> None:
        if self.size <= self.most_bytes:
            return
        self.evictions += 1
        for _ in range(len(self._shared) // 2 + 1):
            if self._shared:
                self._unshare(next(iter(self._shared)))
        by_use = sorted(self._spaces.values(), key=lambda space: space.last_use)
        for space in by_use[:-1]:
            if self.size <= self.most_bytes:
                return
            space.forget()
        while self.size > self.most_bytes:
            self._shared.clear()
            self._shared_of.clear()
            self._shared_size = 0
            by_use[-1].forget_some()


def _known_part(key_range: KeyRange, keys: Sequence[bytes], limit: int | None, reverse: bool) -> KeyRange:
    """Return the part of a range that an answer with these keys tells all keys of."""
    begin, end = key_range
    if limit is None or len(keys) < limit:
        return key_range
    if not keys:
        return begin, begin
    return (keys[-1], end) if reverse else (begin, keys[-1] + b"\x00")


def _ranges_of(request: Request) -> Sequence[KeyRange]:
    if isinstance(request, Range):
        return ((request.begin, request.end),)
    if isinstance(request, Count):
        return request.ranges
    return ((b"", LAST),)


def _new_keys(batch: Batch) -> frozenset[tuple[bytes, bytes]]:
    """Return the keys, with their spaces, that did not exist before a commit because a check demanded it."""
    _, of_keys = checks_of(batch)
    return frozenset(
        (space, key) for (space, _, demand), keys in of_keys.items() if demand is Demand.NO_KEYS for key in keys
    )


def _is_of_one_key(request: Request) -> bool:
    return isinstance(request, Get) and len(request.keys) == 1


_ANSWERS: dict[type[Request], Callable[[Contents, Any], Any]] = {
    Get: Contents._values,
    Range: Contents._range,
    Scan: Contents._scan,
    Lookup: Contents._lookup,
    Count: Contents._count,
}
_LEARNERS: dict[type[Request], Callable[[Contents, Any, Any], None]] = {
    Get: Contents._learn_values,
    Range: Contents._learn_range,
    Scan: Contents._learn_scan,
    Lookup: Contents._learn_lookup,
    Count: Contents._learn_count,
}
