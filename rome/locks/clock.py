"""The clock that TTLs are measured by: it never steps, and goes on while the machine is suspended."""

from __future__ import annotations

import time

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds since some moment."""
    return time.clock_gettime(_BOOTTIME)
