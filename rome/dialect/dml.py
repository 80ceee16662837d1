"""INSERT … ON CONFLICT for ROME."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import sqlite


class Insert(sqlite.Insert):
    """An INSERT with `on_conflict_do_update()` and `on_conflict_do_nothing()`, as SQLite's; it prints as ROME's."""

    stringify_dialect = "rome"
    inherit_cache = sqlite.Insert.__dict__["inherit_cache"]  # SQLAlchemy 2.0 does not cache upserts


def insert(table: Any) -> Insert:
    """An upsert-capable INSERT into the table, mapped class or alias."""
    return Insert(table)
