"""The known part of one space: values of keys, and key ranges whose keys are all known.

A key is in one of these states:

    in `_values`                        its value is known; None: it does not exist
    within a known range, not in it     it does not exist, unless it is in `_keys`: then its value was forgotten
    otherwise                           unknown

Spaces of index entries have keys only.

The version at which this is true is the cache's. `is_unchanged` tells whether it was true at an older version, too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import islice

from sortedcontainers import SortedList

from rome.storage.store import LAST, KeyRange

UNKNOWN = b"\xffunknown"
"""In place of a value that is not known. No other value is this object."""

VALUE_BYTES = 200
KEY_BYTES = 100
"""The memory of a value, or a key, without its bytes: dictionary entry, objects, order."""


def bytes_of_row(key: bytes, value: bytes) -> int:
    """Return an estimate of the memory of a row in a known range."""
    return KEY_BYTES + VALUE_BYTES + 2 * len(key) + len(value)


_MOST_RECENT = 2000
"""The changed keys of a space that are remembered with their version."""


class KnownSpace:
    """The known part of a space. Its caller holds the lock of the cache."""

    def __init__(self, since: int, *, is_index: bool) -> None:
        """`since`: the version at which the cache began; nothing is known of changes up to it."""
        self.size = 0
        """An estimate of its bytes in memory."""
        self.last_use = 0
        self._is_index = is_index
        self._values: dict[bytes, bytes | None] = {}
        self._hits: set[bytes] = set()
        """The keys that were read since values were forgotten last."""
        self._keys = SortedList()
        self._begins: list[bytes] = []
        self._ends: list[bytes] = []
        """The known ranges: disjoint, in order."""
        self._changed: dict[bytes, int] = {}
        """Key → the version that changed it last, for changes after `_changed_since`."""
        self._changed_since = since
        self._last_change = since

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def value(self, key: bytes) -> bytes | None:
        """Return the value of a key: None if it does not exist, UNKNOWN if that is not known."""
        value = self._values.get(key, UNKNOWN)
        if value is not UNKNOWN:
            self._hits.add(key)
            return value
        return None if self._covers_key(key) and key not in self._keys else UNKNOWN

    def exists(self, key: bytes) -> bool | None:
        """Return whether there is a key; None if that is not known."""
        value = self._values.get(key, UNKNOWN)
        if value is not UNKNOWN:
            return value is not None
        return key in self._keys if self._covers_key(key) else None

    def covers(self, key_range: KeyRange) -> bool:
        """Return True if all keys of a range are known."""
        begin, end = key_range
        return begin >= end or self._end_of(begin) >= end

    def keys_in(self, key_range: KeyRange, limit: int | None, reverse: bool) -> list[bytes] | None:
        """Return the keys of a range, or the first `limit`, in order or in reverse; None if not all are known."""
        begin, end = key_range
        if begin >= end:
            return []
        if not self.covers(key_range):
            if limit is None:
                return None
            if reverse:
                begin = max(begin, self._begin_of(end))
            else:
                end = min(end, self._end_of(begin))
            if begin >= end:
                return None
            keys = list(islice(self._keys.irange(begin, end, (True, False), reverse), limit))
            return keys if len(keys) == limit else None
        return list(islice(self._keys.irange(begin, end, (True, False), reverse), limit))

    def count(self, key_range: KeyRange) -> int | None:
        """Return the number of keys in a range; None if not all are known."""
        if not self.covers(key_range):
            return None
        begin, end = key_range
        number: int = self._keys.bisect_left(end) - self._keys.bisect_left(begin)
        return max(0, number)

    # ── learning ──────────────────────────────────────────────────────────────────────────────────────────────────

    def learn_values(self, keys: Iterable[bytes], values: Iterable[bytes | None]) -> None:
        """Note the values of keys (None: there is no such key)."""
        for key, value in zip(keys, values, strict=True):
            self._set_value(key, value)

    def learn_range(self, key_range: KeyRange, keys: Sequence[bytes]) -> None:
        """Note that a range has exactly these keys."""
        begin, end = key_range
        if begin >= end or self.covers(key_range):
            return
        old = list(self._keys.irange(begin, end, (True, False)))
        new = set(keys).difference(old)
        self._keys.update(new)
        self.size += sum(map(len, new)) + KEY_BYTES * len(new)
        self._add_range(begin, end)

    def change(self, key: bytes, value: bytes | None, version: int) -> None:
        """Apply a commit's change of a key: its new value, or None if it was deleted."""
        self._last_change = version
        self._changed[key] = version
        if len(self._changed) > _MOST_RECENT:
            self._changed_since = version
            self._changed.clear()
        is_covered = self._covers_key(key)
        if is_covered:
            if value is None:
                self._discard_key(key)
            elif key not in self._keys:
                self._keys.add(key)
                self.size += len(key) + KEY_BYTES
        if not self._is_index and (is_covered or key in self._values):
            self._set_value(key, value)

    # ── older versions ────────────────────────────────────────────────────────────────────────────────────────────

    def is_unchanged(self, version: int, *, keys: Iterable[bytes] = (), ranges: Iterable[KeyRange] = ()) -> bool:
        """Return True if these keys and ranges have not changed since a version; False if that is not known."""
        if self._last_change <= version:
            return True
        if version < self._changed_since:
            return False
        changed = self._changed
        if any(changed.get(key, 0) > version for key in keys):
            return False
        later = [key for key, at in changed.items() if at > version]
        return not any(begin <= key < end for begin, end in ranges for key in later)

    # ── forgetting ────────────────────────────────────────────────────────────────────────────────────────────────

    def forget(self) -> None:
        """Forget everything but the changes."""
        self._values.clear()
        self._hits.clear()
        self._keys.clear()
        self._begins.clear()
        self._ends.clear()
        self.size = 0

    def forget_some(self) -> None:
        """Forget a quarter of the values, the oldest that were not read since the last time, and all ranges."""
        kept, self._hits = self._hits, set()
        most = len(self._values) // 4 + 1
        gone = list(islice((key for key in self._values if key not in kept), most))
        gone += islice(kept, most - len(gone))
        self._keys.clear()
        self._begins.clear()
        self._ends.clear()
        for key in gone:
            self._values.pop(key, None)
        self.size = sum(len(key) + len(value or b"") + VALUE_BYTES for key, value in self._values.items())

    # ── ranges ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _covers_key(self, key: bytes) -> bool:
        at = bisect_right(self._begins, key) - 1
        return at >= 0 and key < self._ends[at]

    def _end_of(self, begin: bytes) -> bytes:
        """Return the end of the known range that has this key; b'' if none has."""
        at = bisect_right(self._begins, begin) - 1
        return self._ends[at] if at >= 0 and begin < self._ends[at] else b""

    def _begin_of(self, end: bytes) -> bytes:
        """Return the beginning of the known range that reaches up to this key; LAST if none does."""
        at = bisect_left(self._ends, end)
        return self._begins[at] if at < len(self._ends) and self._begins[at] < end else LAST

    def _add_range(self, begin: bytes, end: bytes) -> None:
        """Add a known range; merge it with those that it touches."""
        first, last = bisect_left(self._ends, begin), bisect_right(self._begins, end)
        if first < last:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
        self._begins[first:last] = [begin]
        self._ends[first:last] = [end]

    def _set_value(self, key: bytes, value: bytes | None) -> None:
        old = self._values.get(key, UNKNOWN)
        if old is not UNKNOWN:
            self.size -= len(old or b"")
        else:
            self.size += len(key) + VALUE_BYTES
        self.size += len(value or b"")
        self._values[key] = value

    def _discard_key(self, key: bytes) -> None:
        if key in self._keys:
            self._keys.remove(key)
            self.size -= len(key) + KEY_BYTES
