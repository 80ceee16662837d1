"""Operations on rows: sorting, LIMIT, grouping, compound operators, and the right side of IN."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

from rome.compiled.runtime.values import rank
from rome.fallback import UnsupportedValue

ONE_EMPTY_ROW = ((),)
"""The rows of a SELECT without FROM."""


_TURNS_PER_RUN, _TURNS_PER_ROW = 5000, 50
"""So many turns of a loop take as long as running a statement in SQLite, and as loading one row into it."""


def check_loops(*scans: Sequence[Any]) -> None:
    """Raise UnsupportedValue if loops over all combinations of these rows take longer than SQLite with its indexes."""
    counts = [len(scan) for scan in scans]
    if prod(counts) > _TURNS_PER_RUN + _TURNS_PER_ROW * sum(counts):
        raise UnsupportedValue("so many combinations of rows")


# ── order and limits ──────────────────────────────────────────────────────────────────────────────────────────────────


def ordered(
    rows: Iterable[Any], fast: Callable[[Any], Any] | None, exact: Callable[[Any], Any], descending: bool
) -> list[Any]:
    """Sort rows by a key, stably. The keys of `exact` can always be compared; those of `fast` are tried first.

    None in place of `fast`: the rows, or values, themselves. Where Python can compare them, it does so as SQLite.
    """
    rows = list(rows)
    try:
        return sorted(rows, key=fast, reverse=descending)
    except TypeError:
        return sorted(rows, key=exact, reverse=descending)


def _limit(value: Any) -> int:
    if value.__class__ is not int:
        raise UnsupportedValue("LIMIT of a non-integer")
    return int(value)


def start_of(offset: Any) -> int:
    """Return the position of the first row after an OFFSET."""
    return max(0, _limit(offset))


def stop_of(limit: Any, offset: Any) -> int | None:
    """Return the position after the last row that LIMIT and OFFSET keep; None for a negative LIMIT: no limit."""
    limit = _limit(limit)
    return None if limit < 0 else limit + start_of(offset)


def only_value(rows: Sequence[Sequence[Any]]) -> Any:
    """Return the value of a scalar subquery."""
    if len(rows) > 1:
        raise UnsupportedValue("a scalar subquery of several rows")
    return rows[0][0] if rows else None


def first_value(rows: Sequence[Sequence[Any]]) -> Any:
    """Return the value of a scalar subquery with a LIMIT."""
    return rows[0][0] if rows else None


def _ranks(row: Iterable[Any]) -> list[tuple[int, Any]]:
    return [rank(value) for value in row]


Add = Callable[[defaultdict[Any, list[Any]]], object]
"""Appends members to the lists of their group keys."""


def grouped(add: Add) -> list[tuple[Any, list[Any]]]:
    """Return each group key, a tuple, with its members, in the order of the keys.

    SQLite sorts to group, and applications rely on it.
    """
    return _grouped(add, _ranks)


def grouped_by_one(add: Add) -> list[tuple[Any, list[Any]]]:
    """Return what `grouped` does where each key is a single value: thousands of rows need no tuples."""
    return _grouped(add, rank)


def _grouped(add: Add, order: Callable[[Any], Any]) -> list[tuple[Any, list[Any]]]:
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    add(found)
    return [(key, found[key]) for key in ordered(found, None, order, descending=False)]


def rows_united(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    """Return the rows of a UNION, sorted: SQLite sorts them to compare them."""
    return ordered({*left, *right}, None, _ranks, descending=False)


# ── the right side of IN ──────────────────────────────────────────────────────────────────────────────────────────────


class Everything:
    """A container of all values."""

    def __contains__(self, _value: object) -> bool:
        return True


class Members:
    """The right side of IN: `present` are its values; `excluding` those for which NOT IN is not true."""

    __slots__ = ("empty", "excluding", "has_null", "present")

    def __init__(self, present: frozenset[Any], has_null: bool) -> None:
        self.present = present
        self.has_null = has_null
        self.empty = not present and not has_null
        self.excluding: Any = Everything() if has_null else present


def members(listed: Sequence[Any], *steps: Callable[[Any], Any]) -> Members:
    """Return the right side of IN; each value goes through the steps (conversion, folding)."""
    for step in steps:
        listed = [step(value) for value in listed]
    found = frozenset(listed)
    return Members(found - {None}, None in found)


def in_value(value: Any, right: Members) -> int | None:
    """Return value IN right: 1, 0 or NULL."""
    if right.empty:
        return 0
    if value is None:
        return None
    if value in right.present:
        return 1
    return None if right.has_null else 0


class RowMembers:
    """The right side of IN for row values. `steps`: the conversions and foldings of each column."""

    __slots__ = ("_incomplete", "_present")

    def __init__(self, rows: Sequence[Sequence[Any]], steps: Sequence[Sequence[Callable[[Any], Any]]]) -> None:
        if any(steps):
            rows = [tuple(map(_apply_steps, row, steps)) for row in rows]
        self._present = frozenset(tuple(row) for row in rows)
        self._incomplete = [row for row in self._present if None in row]

    def contain(self, row: tuple[Any, ...]) -> int | None:
        """Return row IN self: 1, 0, or NULL if NULLs alone keep the row from being equal to a member."""
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


def _apply_steps(value: Any, steps: Sequence[Callable[[Any], Any]]) -> Any:
    for step in steps:
        value = step(value)
    return value
