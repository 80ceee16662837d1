"""How long one measurement takes: the rounds that fit into its time, and no more passes than agree with each other.

A case that takes a second would take most of the run if it were repeated as often as one that takes a millisecond.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

LEAST_ROUNDS = 2
"""Rounds of a case that takes longer than its time."""

AGREE = 1.05
"""The ratio of the medians of two passes below which a third one would tell nothing new."""


class Pace:
    """The measurements of a run so far. `seconds`: what the rounds of one pass of a measurement may take."""

    def __init__(self, rounds: int, seconds: float) -> None:
        self._rounds, self._seconds = rounds, seconds
        self._medians: dict[tuple[object, ...], list[float]] = {}

    def measure(
        self, key: tuple[object, ...], benchmark: Any, work: Callable[[], None], setup: Callable[[], None]
    ) -> None:
        """Measure some work by pytest-benchmark, after one execution that does not count. Skip it if passes agree."""
        medians = self._medians.setdefault(key, [])
        if len(medians) > 1 and max(medians) < AGREE * min(medians):
            pytest.skip("the passes before agree")
        began = time.perf_counter()
        setup()
        work()
        once = time.perf_counter() - began
        rounds = min(self._rounds, max(LEAST_ROUNDS, int(self._seconds / once)))
        benchmark.pedantic(work, setup=setup, rounds=rounds)
        medians.append(statistics.median(benchmark.stats.stats.data))
