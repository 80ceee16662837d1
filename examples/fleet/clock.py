"""The time of a line in a log."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """Return the present in UTC, without a time zone, as the tables have it."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
