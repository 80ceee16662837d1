"""Migrations on ROME: Alembic's implementation for the dialect. Importing this module registers it.

`rome.dialect.integrations` does so in a program that uses Alembic.
"""

from __future__ import annotations

from alembic.ddl.sqlite import SQLiteImpl


class RomeImpl(SQLiteImpl):
    """SQLite's ALTER statements, and batch mode for what they can't do; a migration is one transaction."""

    __dialect__ = "rome"
    transactional_ddl = True
