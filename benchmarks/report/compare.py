"""Compare two files of measurements: what changed beyond the noise of each."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.report.ratios import median

_LEAST = 0.10
"""The least change that is told, as a share."""


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each case and database whose quartiles do not overlap and whose median changed by 10 %."""
    before = {_key(row): row for row in old["cases"]}
    told = False
    for row in new["cases"]:
        earlier = before.get(_key(row))
        if earlier is None:
            continue
        was, now = median(earlier), median(row)
        (low, high), (old_low, old_high) = _quartiles(row), _quartiles(earlier)
        if abs(now / was - 1) >= _LEAST and (low > old_high or high < old_low):
            told = True
            word = "slower" if now > was else "faster"
            yield f"{row['case']}, {row['backend']}: {was:,.0f} → {now:,.0f} µs, {abs(now / was - 1):.0%} {word}"
    if not told:
        yield "no case changed beyond the noise"


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return row["group"], row["case"], row["backend"], row["durability"]


def _quartiles(row: dict[str, Any]) -> tuple[float, float]:
    times = row["microseconds"]
    if len(times) < 2:
        return times[0], times[0]
    low, _, high = statistics.quantiles(times, n=4)
    return low, high
