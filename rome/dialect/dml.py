"""INSERT … ON CONFLICT for ROME."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import sqlite


class Insert(sqlite.Insert):
    """SQLite's INSERT with `on_conflict_do_update()` and `on_conflict_do_nothing()`, printed by ROME's dialect."""

    stringify_dialect = "rome"
    inherit_cache = sqlite.Insert.__dict__["inherit_cache"]  # SQLAlchemy 2.0 does not cache upserts


def insert(table: Any) -> Insert:
    """Return an INSERT into a table, mapped class or alias that supports ON CONFLICT."""
    return Insert(table)
