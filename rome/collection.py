"""No garbage is collected while many rows are made: Python would look at all of them again and again, and free nothing.

The collector runs when some hundred objects were made more than freed. Rows are such objects, and live on. To make
50,000 rows takes half the time without it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 1000
"""Fewer rows are made before the collector has run often."""


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
