"""ALTER TABLE by sqlalchemy-migrate, for the migrations of services that need SQLAlchemy 1.4.

On SQLite it rebuilds the table and copies the rows, which is right for ROME. Importing this module registers its SQLite
implementation for ROME.
"""

from __future__ import annotations

from migrate.changeset.databases import visitor

visitor.DIALECTS["rome"] = visitor.DIALECTS["sqlite"]
