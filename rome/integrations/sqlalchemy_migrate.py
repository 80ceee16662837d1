"""ALTER TABLE by sqlalchemy-migrate, in the migrations of services that were made for SQLAlchemy 1.4.

What it does on SQLite (it makes the table anew, and copies the rows) is right on ROME. Importing this module registers
that.
"""

from __future__ import annotations

from migrate.changeset.databases import visitor

visitor.DIALECTS["rome"] = visitor.DIALECTS["sqlite"]
