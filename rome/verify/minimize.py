"""Shorten what fails, by delta debugging (Zeller and Hildebrandt, 2002): leave out ever smaller parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Step = TypeVar("_Step")


def minimize(
    steps: Sequence[_Step], fails: Callable[[tuple[_Step, ...]], bool], tries: int = 2000
) -> tuple[_Step, ...]:
    """Return steps that fail, of which none can be left out; `tries` bounds how often `fails` is called."""
    least = tuple(steps)
    size = max(len(least) // 2, 1)
    while tries > 0:
        shrunk = False
        at = 0
        while at < len(least) and tries > 0:
            shorter = least[:at] + least[at + size :]
            tries -= 1
            if shorter and fails(shorter):
                least, shrunk = shorter, True
            else:
                at += size
        if size == 1 and not shrunk:
            break
        size = max(size // 2, 1)
    return least
