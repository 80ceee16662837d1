"""Isolation levels: SQLAlchemy's names and the driver's."""

from __future__ import annotations

SNAPSHOT = "SNAPSHOT"
REPEATABLE_READ = "REPEATABLE READ"
AUTOCOMMIT = "AUTOCOMMIT"

_DRIVER_NAMES = {
    REPEATABLE_READ: SNAPSHOT,
    "SERIALIZABLE": "SERIALIZABLE",
    "READ COMMITTED": "READ COMMITTED",
    AUTOCOMMIT: AUTOCOMMIT,
    SNAPSHOT: SNAPSHOT,
    "READ UNCOMMITTED": "READ COMMITTED",
}
"""SQLAlchemy's name of each level → the driver's. SNAPSHOT is ROME's own name for REPEATABLE READ. No level
reads what is not committed. Where one level has two names, the first is the one reported."""

_NAMES = {driver: name for name, driver in reversed(_DRIVER_NAMES.items())}

LEVELS = tuple(_DRIVER_NAMES)
"""Every name that an application may set."""


def driver_name(level: str) -> str:
    """Return the driver's name of a level. Raises KeyError for a name that is not in LEVELS."""
    return _DRIVER_NAMES[level.upper().replace("_", " ")]  # SQLAlchemy 1.4 leaves this to the dialect


def sqlalchemy_name(level: str) -> str:
    """Return SQLAlchemy's name of one of the driver's levels."""
    return _NAMES[level]
