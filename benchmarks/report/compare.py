"""Compare two files of measurements: what changed beyond the noise of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report.ratios import median, quartiles, title

_LEAST = 0.10
"""The least change that is told, as a share."""


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each case and database whose quartiles do not overlap and whose median changed by 10 %."""
    before = {_key(row): row for row in _rows(old)}
    told = False
    for row in _rows(new):
        earlier = before.get(_key(row))
        if earlier is None:
            continue
        was, now = median(earlier), median(row)
        (low, high), (old_low, old_high) = quartiles(row), quartiles(earlier)
        if abs(now / was - 1) >= _LEAST and (low > old_high or high < old_low):
            told = True
            word = "slower" if now > was else "faster"
            name = f"{title(row['group'], row['case'])}, {row['backend']}"
            yield f"{name}: {was:,.0f} → {now:,.0f} µs, {abs(now / was - 1):.0%} {word}"
    if not told:
        yield "no case changed beyond the noise"


def _rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [*result["cases"], *result.get("services", [])]


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return row["group"], row["case"], row["backend"], row["durability"]
