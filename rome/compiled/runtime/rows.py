"""What compiled statements do with rows: put them in order, cut, group, and look for them in others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rome.compiled.runtime.values import rank
from rome.fallback import UnsupportedValue

ONCE = ((),)
"""What a SELECT without FROM goes through."""


# ── order and limits ──────────────────────────────────────────────────────────────────────────────────────────────────


def ordered(
    rows: Iterable[Any], fast: Callable[[Any], Any], exact: Callable[[Any], Any], descending: bool
) -> list[Any]:
    """Rows by a key; equal ones stay in their order. `fast` is tried first, `exact` can always be compared."""
    rows = list(rows)
    try:
        return sorted(rows, key=fast, reverse=descending)
    except TypeError:
        return sorted(rows, key=exact, reverse=descending)


def _limit(value: Any) -> int:
    if value.__class__ is not int:
        raise UnsupportedValue("LIMIT of no integer")
    return int(value)


def start_of(offset: Any) -> int:
    """The position of the first row behind an OFFSET."""
    return max(0, _limit(offset))


def stop_of(limit: Any, offset: Any) -> int | None:
    """The position behind the last row that LIMIT and OFFSET leave. A negative limit is none."""
    limit = _limit(limit)
    return None if limit < 0 else limit + start_of(offset)


def only_value(rows: Sequence[Sequence[Any]]) -> Any:
    """The value of a scalar subquery."""
    if len(rows) > 1:
        raise UnsupportedValue("a scalar subquery of several rows")
    return rows[0][0] if rows else None


def first_value(rows: Sequence[Sequence[Any]]) -> Any:
    """The value of a scalar subquery with a LIMIT."""
    return rows[0][0] if rows else None


def _ranks(row: Iterable[Any]) -> list[tuple[int, Any]]:
    return [rank(value) for value in row]


def grouped(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, list[Any]]]:
    """Each group key with its members, in the order of the keys: SQLite sorts to group, and programs rely on it."""
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, member in pairs:
        found[key].append(member)
    return [(key, found[key]) for key in sorted(found, key=_ranks)]


def rows_united(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    """UNION; in order, as that of the others, because SQLite sorts to compare."""
    return sorted({*left, *right}, key=_ranks)


def rows_except(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    """EXCEPT."""
    return sorted(set(left).difference(right), key=_ranks)


def rows_in_both(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    """INTERSECT."""
    return sorted(set(left).intersection(right), key=_ranks)


# ── the right side of IN ──────────────────────────────────────────────────────────────────────────────────────────────


class Everything:
    """What contains all values."""

    def __contains__(self, _value: object) -> bool:
        return True


class Members:
    """The right side of IN. `present` is in it; `excluding` holds what NOT IN is not true of."""

    __slots__ = ("empty", "excluding", "has_null", "present")

    def __init__(self, present: frozenset[Any], has_null: bool) -> None:
        self.present = present
        self.has_null = has_null
        self.empty = not present and not has_null
        self.excluding: Any = Everything() if has_null else present


def members(listed: Sequence[Any], *steps: Callable[[Any], Any]) -> Members:
    """The right side of IN, each value put through the steps."""
    for step in steps:
        listed = [step(value) for value in listed]
    found = frozenset(listed)
    return Members(found - {None}, None in found)


def in_value(value: Any, right: Members) -> int | None:
    """IN."""
    if right.empty:
        return 0
    if value is None:
        return None
    if value in right.present:
        return 1
    return None if right.has_null else 0


class RowMembers:
    """The right side of IN for row values. `steps`: for each column, what its values are put through."""

    __slots__ = ("_incomplete", "_present")

    def __init__(self, rows: Sequence[Sequence[Any]], steps: Sequence[Sequence[Callable[[Any], Any]]]) -> None:
        if any(steps):
            rows = [tuple(map(_stepped, row, steps)) for row in rows]
        self._present = frozenset(tuple(row) for row in rows)
        self._incomplete = [row for row in self._present if None in row]

    def contain(self, row: tuple[Any, ...]) -> int | None:
        """IN. NULL, if only a NULL stands between the row and one of the members."""
        if None not in row:
            if row in self._present:
                return 1
            candidates: Iterable[tuple[Any, ...]] = self._incomplete
        else:
            candidates = self._present
        for candidate in candidates:
            pairs = zip(row, candidate, strict=True)
            if all(one is None or other is None or one == other for one, other in pairs):
                return None
        return 0


def _stepped(value: Any, steps: Sequence[Callable[[Any], Any]]) -> Any:
    for step in steps:
        value = step(value)
    return value
