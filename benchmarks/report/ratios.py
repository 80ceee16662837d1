"""How ROME compares with its competitors: one ratio for each case.

A ratio is the competitor's median divided by ROME's: 2 means that ROME takes half the time. The competitor is the
fastest one of the same durability: for ROME on Valkey the fastest driver of a SQL server, for ROME in a file SQLite's.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

COMPETITORS = {
    "ROME on Valkey": lambda row: row["kind"] == "server",
    "ROME on Valkey, cache": lambda row: row["kind"] == "server",
    "ROME in a file": lambda row: row["backend"] == "SQLite file",
}


@dataclass(frozen=True)
class Ratio:
    """One case of one database of ROME, compared with its fastest competitor; times in microseconds."""

    rome: str
    group: str
    case: str
    durability: str
    ours: float
    theirs: float
    competitor: str
    spread: tuple[float, float]
    """The ratio of the quartiles: the competitor's lower one to ROME's upper one, and the reverse."""

    @property
    def ratio(self) -> float:
        """The competitor's time divided by ROME's."""
        return self.theirs / self.ours

    @property
    def title(self) -> str:
        """The case with its group, and its durability if it is not the usual one."""
        name = title(self.group, self.case)
        return name if self.durability == "relaxed" else f"{name}, {self.durability}"


def title(group: str, case: str) -> str:
    """Return the name of a case with its group."""
    return case if group == "ORM" else f"{group}: {case}"


def ratios(cases: Iterable[dict[str, Any]]) -> list[Ratio]:
    """Return the ratio of each case that ROME and a competitor have run."""
    rows = list(cases)
    found = []
    for rome, competes in COMPETITORS.items():
        for row in rows:
            if row["backend"] != rome:
                continue
            same = [each for each in rows if _place(each) == _place(row) and competes(each)]
            if same:
                fastest = min(same, key=median)
                place = row["group"], row["case"], row["durability"]
                (low, high), (their_low, their_high) = quartiles(row), quartiles(fastest)
                spread = their_low / high, their_high / low
                found.append(Ratio(rome, *place, median(row), median(fastest), fastest["backend"], spread))
    return found


def _place(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["group"], row["case"], row["durability"]


def median(row: dict[str, Any]) -> float:
    """Return the median of a row's microseconds."""
    return statistics.median(row["microseconds"])


def quartiles(row: dict[str, Any]) -> tuple[float, float]:
    """Return the lower and the upper quartile of a row's microseconds."""
    times = row["microseconds"]
    if len(times) < 2:
        return times[0], times[0]
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")  # no less than the least time
    return low, high


@dataclass(frozen=True)
class Verdict:
    """The distribution of the ratios of one database of ROME."""

    rome: str
    what: str
    cases: int
    faster: int
    geometric_mean: float
    median: float
    best: Ratio
    worst: Ratio

    def __str__(self) -> str:
        return (
            f"{self.rome}: faster than the fastest competitor in {self.faster} of {self.cases} {self.what}; "
            f"geometric mean of the ratios {self.geometric_mean:.2f}, median {self.median:.2f}, "
            f"best {self.best.ratio:.2f} ({self.best.title}), worst {self.worst.ratio:.2f} ({self.worst.title})"
        )


def verdicts(found: Iterable[Ratio], what: str) -> list[Verdict]:
    """Return the verdict for each database of ROME. `what`: was compared."""
    result = []
    for rome in COMPETITORS:
        own = [each for each in found if each.rome == rome]
        if own:
            values = [each.ratio for each in own]
            best, worst = max(own, key=lambda each: each.ratio), min(own, key=lambda each: each.ratio)
            mean = statistics.geometric_mean(values)
            faster = sum(value > 1 for value in values)
            result.append(Verdict(rome, what, len(own), faster, mean, statistics.median(values), best, worst))
    return result
