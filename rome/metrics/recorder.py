"""The recorder: adds events up, in this process.

An event is only appended to a list when it is reported, so that the application's statement hardly waits. The list is
added up when somebody reads the numbers, or when it is long: first it is ordered by the kinds of events and the texts
of statements, because many events that are alike are added up by few calls.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from rome.events import Event, StatementEnded
from rome.forks import new_lock, tell_in_child
from rome.metrics.measurements import LABELLING, Metric, database_name, measured

_MOST_PENDING = 2000
_MOST_STATEMENTS = 1000
"""The texts of statements that are kept apart. When there are more, the half with less time is added up as one."""

OTHERS = "(other statements)"

Labels = tuple[str, ...]
_text = attrgetter("sql")
_name_of_kind = attrgetter("__class__.__name__")


@dataclass
class Histogram:
    """The observations of one combination of labels."""

    buckets: list[int]
    """The number of observations up to each bound that are above the one before, and of those above the last."""
    total: float = 0.0

    def add(self, bounds: Sequence[float], numbers: Sequence[float]) -> None:
        """Add observations."""
        self.total += sum(numbers)
        if len(numbers) == 1:
            self.buckets[bisect_left(bounds, numbers[0])] += 1
            return
        ordered, before = sorted(numbers), 0
        for place, bound in enumerate(bounds):
            upto = bisect_right(ordered, bound)
            self.buckets[place] += upto - before
            before = upto
        self.buckets[-1] += len(ordered) - before


@dataclass
class StatementTotals:
    """The totals of all executions of one text."""

    count: int = 0
    errors: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    rounds: int = 0
    rows: int = 0

    def add(self, other: StatementTotals) -> None:
        """Add others."""
        self.count += other.count
        self.errors += other.errors
        self.seconds += other.seconds
        self.longest = max(self.longest, other.longest)
        self.rounds += other.rounds
        self.rows += other.rows


@dataclass
class _Numbers:
    counters: dict[Metric, dict[Labels, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    histograms: dict[Metric, dict[Labels, Histogram]] = field(default_factory=lambda: defaultdict(dict))
    statements: dict[tuple[str, str], StatementTotals] = field(default_factory=dict)


class Recorder:
    """The sums of all events since it was made. It is an observer of `rome.events`."""

    def __init__(self) -> None:
        self._pending: list[Event] = []
        """Events that are not added up yet."""
        self._numbers = _Numbers()
        self._lock = new_lock()
        tell_in_child(self)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        pending = self._pending
        pending.append(event)
        if len(pending) > _MOST_PENDING:
            self._settled()

    @property
    def counters(self) -> dict[Metric, dict[Labels, float]]:
        """By metric and labels: the counts."""
        return self._settled().counters

    @property
    def histograms(self) -> dict[Metric, dict[Labels, Histogram]]:
        """By metric and labels: the histograms."""
        return self._settled().histograms

    def statements(self, database: str) -> dict[str, StatementTotals]:
        """By text: the statements of a database, by its URL as text."""
        found = self._settled().statements
        return {sql: totals for (url, sql), totals in found.items() if url == database}

    def count(self, metric: Metric, *labels: str) -> float:
        """Return the sum of a counter over all labels that begin with these."""
        found = self.counters[metric]
        return sum(number for each, number in list(found.items()) if each[: len(labels)] == labels)

    def _settled(self) -> _Numbers:
        """Add the pending events. Return the numbers."""
        with self._lock:
            pending = _taken(self._pending)
            pending.sort(key=_name_of_kind)
            for kind, of_kind in groupby(pending, type):
                if kind is not StatementEnded:
                    for alike in _alike(list(of_kind)):
                        self._add(alike)
                    continue
                for _, of_text in groupby(sorted(of_kind, key=_text), _text):
                    for alike in _alike(list(of_text)):
                        self._add(alike)
                        self._add_statement(alike)
            return self._numbers

    def _add(self, alike: Sequence[Event]) -> None:
        for metric, labels, numbers in measured(alike):
            if not metric.bounds:
                self._numbers.counters[metric][labels] += sum(numbers)
                continue
            of_metric = self._numbers.histograms[metric]
            histogram = of_metric.get(labels)
            if histogram is None:
                histogram = of_metric[labels] = Histogram([0] * (len(metric.bounds) + 1))
            histogram.add(metric.bounds, numbers)

    def _add_statement(self, alike: Sequence[StatementEnded]) -> None:
        url, _, sql, _, _, _, error = alike[0]
        _, _, _, seconds, rounds, rows, _ = zip(*alike, strict=True)
        count = len(alike)
        totals = StatementTotals(count, count if error else 0, sum(seconds), max(seconds), sum(rounds), sum(rows))
        statements, place = self._numbers.statements, (database_name(url), sql)
        known = statements.get(place)
        if known is not None:
            known.add(totals)
            return
        if len(statements) >= _MOST_STATEMENTS:
            self._merge_small_statements()
        statements[place] = totals

    def _merge_small_statements(self) -> None:
        by_time = sorted(self._numbers.statements.items(), key=lambda each: each[1].seconds)
        for (database, sql), totals in by_time[: len(by_time) // 2]:
            if sql != OTHERS:
                del self._numbers.statements[database, sql]
                self._numbers.statements.setdefault((database, OTHERS), StatementTotals()).add(totals)

    def begin_child(self) -> None:
        """Forget what the parent has counted."""
        self._pending = []
        self._numbers = _Numbers()


def _taken(pending: list[Event]) -> list[Event]:
    """Return what is in a list, and remove it; other threads append meanwhile."""
    new = pending[:]
    del pending[: len(new)]
    return new


def _alike(events: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Return events of one kind in groups with the same labels."""
    fields = [map(id, map(attrgetter(name), events)) for name in LABELLING[type(events[0])]]
    keys = list(zip(*fields, strict=True))
    if len(set(keys)) <= 1:
        return (events,)  # by far the most frequent
    groups: dict[tuple[int, ...], list[Any]] = {}
    for key, event in zip(keys, events, strict=True):
        groups.setdefault(key, []).append(event)
    return groups.values()
