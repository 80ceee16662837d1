"""Register ROME with the libraries that know dialects by name: oslo.db, Alembic, SQLAlchemy-Utils …

None of them can load an integration from a dialect, and importing them takes longer than importing ROME. Therefore,
each time SQLAlchemy resolves a ROME URL, ROME imports its integration for each of these libraries that the program has
loaded by then. That is early enough for oslo.db, which makes its engines itself. Alembic may be loaded after the engine
was made; since 1.18 it finds ROME by an entry point.
"""

from __future__ import annotations

import sys
from importlib import import_module

_INTEGRATIONS = {
    "oslo_db.sqlalchemy.exc_filters": "rome.integrations.oslo_db.exc_filters",
    "oslo_db.sqlalchemy.provision": "rome.integrations.oslo_db.provision",
    "alembic.ddl.impl": "rome.integrations.alembic.impl",
    "sqlalchemy_utils.functions.database": "rome.integrations.sqlalchemy_utils",
    "nova.db.utils": "rome.integrations.nova_regexp",
    "migrate.changeset.databases.visitor": "rome.integrations.sqlalchemy_migrate",
}
"""A library's module that is loaded when the library is in use → ROME's module that registers with it."""


def register() -> None:
    """Import the integrations for all libraries that are loaded. May be called any number of times."""
    for library, integration in _INTEGRATIONS.items():
        if library in sys.modules:
            import_module(integration)
