"""Hold back Python's garbage collector while many rows are made: it would scan all of them repeatedly and free nothing.

The collector runs when some hundred more objects were made than freed. Rows are such objects, and live on. To make
50,000 rows takes half the time without it, and a copy of a database three quarters. A statement makes its rows without
any collection (`collecting_later`). A command that runs for hours must free cycles, but may do so rarely
(`collecting_rarely`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 1000
"""Fewer rows are made before the collector has run often."""

_RARE = 100_000, 50, 100
"""The thresholds of `gc.set_threshold`: a batch of rows has some ten thousand objects."""


@contextmanager
def collecting_later(rows: int) -> Iterator[None]:
    """Collect no garbage within the block, if it makes that many rows. Threads may do so at once."""
    if rows < MANY or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Collect garbage rarely within the block, or within the function that this decorates."""
    before = gc.get_threshold()
    gc.set_threshold(*_RARE)
    try:
        yield
    finally:
        gc.set_threshold(*before)
