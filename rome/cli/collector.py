"""The garbage collector during commands that read or write many rows."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = 100_000, 50, 100


@contextmanager
def rare_collections() -> Iterator[None]:
    """Within the block, or the function that this decorates, collect cyclic garbage rarely.

    A batch is thousands of tuples without cycles. Python's thresholds make the collector look through all of them for
    each few hundred new ones, which takes a quarter of the time of a copy.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
