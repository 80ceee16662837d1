"""Packages that ROME has something to tell, if the program uses them.

Neither oslo.db nor Alembic can be asked to load a dialect's part from a dialect, and importing them takes longer than
importing ROME. So each time the dialect of a URL is asked for, the parts of those packages are registered which are
loaded by then: both ask for it after they are loaded. (Alembic's entry point `alembic.plugins` would spare this for
Alembic, but its releases from 1.18 to 1.20.0 fail at import where a package has one that names a module.)
"""

from __future__ import annotations

import sys
from importlib import import_module

_PARTS = {
    "oslo_db.sqlalchemy.exc_filters": "rome.oslo.exc_filters",
    "alembic.ddl.impl": "rome.alembic",
}
"""The module whose presence shows that a package is in use, and the module of ROME that registers with it."""


def register() -> None:
    """Import the parts of ROME for the packages that are loaded. May be called any number of times."""
    for theirs, ours in _PARTS.items():
        if theirs in sys.modules:
            import_module(ours)
