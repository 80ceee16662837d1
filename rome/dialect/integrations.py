"""Packages that ROME has something to tell, if the program uses them.

Neither oslo.db nor Alembic can be asked to load a dialect's part from a dialect, and importing them takes longer than
importing ROME. So each time an engine is made, the parts of those packages are registered which are loaded by then:
oslo.db makes its engines itself. (Alembic's newer versions also find ROME by an entry point, `alembic.plugins`.)
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
