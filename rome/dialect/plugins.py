"""Packages that ROME has something to tell, if the program uses them.

None of oslo.db, Alembic and sqlalchemy-migrate can be asked to load a dialect's part from a dialect, and importing them
takes longer than importing ROME. So each time the dialect of a ROME URL is asked for, the parts of those packages are
registered which are loaded by then. That is early enough for oslo.db: it makes its engines itself, and looks up what it
knows about a kind of database by way of its dialect. Alembic may also be loaded after the engine was made; since 1.18
it finds ROME by an entry point then.
"""

from __future__ import annotations

import sys
from importlib import import_module

_PARTS = {
    "oslo_db.sqlalchemy.exc_filters": "rome.integrations.oslo_db.exc_filters",
    "oslo_db.sqlalchemy.provision": "rome.integrations.oslo_db.provision",
    "alembic.ddl.impl": "rome.integrations.alembic.impl",
    "nova.db.utils": "rome.integrations.nova_regexp",
    "migrate.changeset.databases.visitor": "rome.integrations.sqlalchemy_migrate",
}
"""The module whose presence shows that a package is in use, and the module of ROME that registers with it."""


def register() -> None:
    """Import the parts of ROME for the packages that are loaded. May be called any number of times."""
    for theirs, ours in _PARTS.items():
        if theirs in sys.modules:
            import_module(ours)
