"""Migrations on ROME: Alembic's implementation for the dialect. Importing this module registers it.

Alembic finds it by the entry point `alembic.plugins`; versions before 1.18, which know none, by
`rome.dialect.integrations`.
"""

from __future__ import annotations

from typing import Any

from alembic.ddl.sqlite import SQLiteImpl


class RomeImpl(SQLiteImpl):
    """SQLite's ALTER statements, and batch mode for what they can't do; a migration is one transaction."""

    __dialect__ = "rome"
    transactional_ddl = True


def setup(plugin: Any) -> None:
    """Called by Alembic when it loads plugins. Nothing is left to do: defining the class above registered it."""
