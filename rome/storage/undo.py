"""Snapshot reads for engines that keep only the newest version: the present answers, with the log undone.

The engine answers requests in one round and from one version, together with the *tail*: what the commits of its log
after the version `at` wrote (`rome.storage.tails`). From both, `fetch_at` computes the answers as of `at`:

    key not written in the tail      its present value
    key written in the tail          its value before its first write there

Mostly the tail is empty or touches none of the keys, and the present answer is the answer. There are three exceptions.
Only these requests are repeated, each with a *companion* request in the same round:

* A limited Range or Lookup from which the undo removes keys. It is repeated with a greater limit: one more for each key
  that the tail wrote in its ranges, which is always enough for this tail.
* A Lookup to which the undo restores an entry whose row is neither in the tail nor in the present answer. The companion
  gets these rows. (Rare: a commit that removes an entry writes its row, too.)
* A Count of keys that are in the tail. An undo record says whether a key existed before, not whether it exists now; the
  companion gets these keys as they are now.

An answer as of `at` stays valid, so answers of different rounds can be combined. A commit between two rounds may make a
third one necessary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from rome.errors import FormatError
from rome.storage.keys import row_key_of
from rome.storage.store import Count, Fetched, Get, KeyRange, Lookup, Range, Request, Scan, history_lost
from rome.storage.tails import Point, Tail

Pair = tuple[bytes, bytes | None]
"""A key and its value; of a Lookup, an entry and its row's value (None: no such row)."""

Columns = tuple[Sequence[bytes], Sequence[bytes | None]]
"""Keys and their values; in the present answer of a Lookup, entries and their rows' values (None: no such row)."""


class Present(NamedTuple):
    """The answers of one round, all from one version."""

    point: Point
    """That of the older version."""
    answers: list[Any]
    """One for each request, as in Fetched, except that a Lookup keeps, and its limit counts, entries without a row."""


def fetch_at(requests: Sequence[Request], tail: Tail, ask: Callable[[Sequence[Request]], Present]) -> Fetched:
    """Return the result of `Store.fetch` for the version of a tail.

    `ask` makes one round of the engine, and extends the tail for the spaces of the requests to the version that answers
    them. It raises SnapshotTooOld if the log does not reach back to the tail's version. It is called once, and again
    only in the cases above. Raise HistoryLost if the version differs between rounds.
    """
    answers: list[Any] = [None] * len(requests)
    unanswered = {place: _Asked(request) for place, request in enumerate(requests)}
    points: set[Point] = set()
    while True:
        point, present = ask([request for asked in unanswered.values() for request in asked.requests])
        points.add(point)
        if len(points) > 1:
            raise history_lost(tail.at)
        got = iter(present)
        for place, asked in list(unanswered.items()):
            answer, extra = next(got), next(got) if asked.companion else None
            result = _rewind(requests[place], asked, answer, extra, tail)
            if isinstance(result, _Asked):
                unanswered[place] = result
            else:
                answers[place] = result
                del unanswered[place]
        if not unanswered:
            return Fetched(
                tail.at, point.catalog_version, answers, point.incarnation, point.digest, point.catalog_digest
            )


def complete(request: Lookup, answer: Columns) -> Columns:
    """Return a Lookup's answer. Raise FormatError if the row of an entry is missing.

    Entries and rows are written together, so only an accident can part them: eviction, or another program.
    """
    if all(answer[1]):  # no row is empty, so none is false
        return answer
    row_key = row_key_of(next(entry for entry, row in zip(*answer, strict=True) if not row))
    raise FormatError(
        f"the row with key {row_key!r} of space {request.rows!r} is missing or empty, though space {request.index!r} "
        "has an index entry for it: the server has evicted it, or another program has changed it; restore the database"
    )


def _columns(pairs: Iterable[Pair]) -> Columns:
    listed = list(pairs)
    return [key for key, _ in listed], [value for _, value in listed]


class _Asked(NamedTuple):
    """The requests that answer one request: the request itself, perhaps with a greater limit, and its companion."""

    request: Request
    companion: Get | None = None

    @property
    def requests(self) -> tuple[Request, ...]:
        return (self.request,) if self.companion is None else (self.request, self.companion)

    @property
    def limit(self) -> int | None:
        return self.request.limit if isinstance(self.request, Range | Lookup) else None


def _rewind(request: Request, asked: _Asked, answer: Any, extra: list[bytes | None] | None, past: Tail) -> Any:
    """Return the answer as of the older version; an _Asked if the present answer is not enough.

    `extra`: the answer to the companion.
    """
    if isinstance(request, Get):
        old = past.of(request.space)
        if not old:
            return answer
        return [old.get(key, value) for key, value in zip(request.keys, answer, strict=True)]
    known = dict(zip(asked.companion.keys, extra, strict=True)) if asked.companion and extra is not None else {}
    if isinstance(request, Count):
        return _rewind_count(request, answer, known, past)
    if isinstance(request, Scan):
        return _rewind_whole(answer, past.of(request.space))
    if isinstance(request, Lookup):
        if not past.of(request.index) and not past.of(request.rows):
            return complete(request, answer)
        answer = list(zip(*answer, strict=True))
    space, ranges = _where(request)
    touched = sum(len(past.written(space, key_range)) for key_range in ranges) if past.of(space) else 0
    pairs: list[Pair] = answer
    if touched:
        is_whole = asked.limit is None or len(answer) < asked.limit
        pairs = _merge(answer, space, ranges, request.reverse, is_whole, past)
        if not is_whole and request.limit is not None and len(pairs) < request.limit:
            # Also ask for the rows of the entries that the undo may restore.
            companion = None
            if isinstance(request, Lookup):
                rows = tuple(dict.fromkeys([*known, *_rows_of_restored(request, ranges, past)]))
                companion = Get(request.rows, rows) if rows else None
            return _Asked(request._replace(limit=request.limit + touched), companion)
    pairs = pairs[: request.limit]
    return _rewind_rows(request, asked, pairs, answer, known, past) if isinstance(request, Lookup) else pairs


def _rewind_count(request: Count, present: int, known: dict[bytes, bytes | None], past: Tail) -> int | _Asked:
    written = [key for key_range in request.ranges for key in past.written(request.space, key_range)]
    if not known.keys() >= set(written):
        return _Asked(request, Get(request.space, tuple(dict.fromkeys(written))))
    old = past.of(request.space)
    return present + sum((old[key] is not None) - (known[key] is not None) for key in written)


def _rewind_whole(answer: Columns, old: dict[bytes, bytes | None]) -> Columns:
    if not old:
        return answer
    rows = {**dict(zip(*answer, strict=True)), **old}
    return _columns(pair for pair in rows.items() if pair[1] is not None)


def _rewind_rows(
    request: Lookup, asked: _Asked, pairs: list[Pair], answer: list[Pair], known: dict[bytes, bytes | None], past: Tail
) -> Columns | _Asked:
    """Return the entries of the older version with the rows of that version."""
    old = past.of(request.rows)
    now = {row_key_of(entry): value for entry, value in answer} | known
    found: list[Pair] = []
    missing: list[bytes] = []
    for entry, _ in pairs:
        row_key = row_key_of(entry)
        if row_key in old:
            found.append((entry, old[row_key]))
        elif row_key in now:
            found.append((entry, now[row_key]))
        else:
            missing.append(row_key)
    if missing:
        return _Asked(asked.request, Get(request.rows, tuple(dict.fromkeys([*known, *missing]))))
    return complete(request, _columns(found))


def _rows_of_restored(request: Lookup, ranges: Sequence[KeyRange], past: Tail) -> list[bytes]:
    """Return the keys of the rows, not written in the tail, of entries that existed before it."""
    old, rows = past.of(request.index), past.of(request.rows)
    entries = [entry for one in ranges for entry in past.written(request.index, one) if old[entry] is not None]
    return [row_key for entry in entries if (row_key := row_key_of(entry)) not in rows]


def _where(request: Range | Lookup) -> tuple[bytes, tuple[KeyRange, ...]]:
    """Return the space whose keys a request lists, and its ranges in the order of the answer."""
    if isinstance(request, Range):
        return request.space, ((request.begin, request.end),)
    return request.index, request.ranges[::-1] if request.reverse else request.ranges


def _merge(
    answer: list[Pair], space: bytes, ranges: Sequence[KeyRange], reverse: bool, is_whole: bool, past: Tail
) -> list[Pair]:
    """Return the keys of the older version in the order of the answer, up to where the answer ends.

    An answer that is not whole ends at its last key. The answer is cut into the parts of its ranges: a part ends at a
    key that is outside of the range, or out of order (ranges may overlap; a key is then listed for each).
    """
    old = past.of(space)
    merged: list[Pair] = []
    at = 0
    for begin, end in ranges:
        first = at
        while at < len(answer) and begin <= answer[at][0] < end:
            if at > first and _reached(answer[at][0], answer[at - 1][0], reverse):
                break
            at += 1
        part = answer[first:at]
        last_part = not is_whole and at == len(answer)
        back: list[Pair] = [(key, old[key]) for key in past.written(space, (begin, end)) if old[key] is not None]
        if last_part:
            back = [pair for pair in back if part and _reached(pair[0], part[-1][0], reverse)]
        merged += sorted([*(pair for pair in part if pair[0] not in old), *back], reverse=reverse)
        if last_part:
            break
    return merged


def _reached(key: bytes, last: bytes, reverse: bool) -> bool:
    return key >= last if reverse else key <= last
