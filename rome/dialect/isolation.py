"""The isolation levels by SQLAlchemy's names."""

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
}
"""What the driver calls each level that SQLAlchemy may set. SNAPSHOT is ROME's own name for REPEATABLE READ; of two
names for one level the first is the one that is reported."""

_NAMES = {driver: name for name, driver in reversed(_DRIVER_NAMES.items())}

LEVELS = tuple(_DRIVER_NAMES)
"""Every name that may be set."""


def driver_name(level: str) -> str:
    """The driver's name of a level. Raises KeyError for a name that is not in LEVELS."""
    return _DRIVER_NAMES[level.upper().replace("_", " ")]  # SQLAlchemy 1.4 leaves this to the dialect


def sqlalchemy_name(level: str) -> str:
    """SQLAlchemy's name of one of the driver's levels."""
    return _NAMES[level]
