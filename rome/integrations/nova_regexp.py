"""Nova's filters by regular expression. Importing this module replaces a function of `nova.db.utils`, if it is loaded.

Nova has no hook for the operator of another database, so its function is replaced by one that handles ROME's URLs and
calls Nova's for all others. (With the discovery module for Nova, `[database] connection` may be another database's URL;
it uses `sqlite_regexp_ops` for every URL.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

REASON = (
    "Filters are regular expressions. Nova chooses the operator by the database in [database] connection; for one that "
    "it does not know it uses LIKE, which matches other instances. ROME has SQLite's REGEXP."
)


def sqlite_regexp_ops(original: Callable[[str], Any], connection: str) -> Any:  # noqa: ARG001 - the arguments of Nova's function
    """Return what Nova's function returns for SQLite: a function that escapes a pattern, and the operator."""
    return original("sqlite://")


def _register() -> None:
    utils: Any = sys.modules.get("nova.db.utils")
    if utils is None:
        return
    original = utils.get_regexp_ops

    def get_regexp_ops(connection: str) -> Any:
        if connection.startswith("rome"):
            return sqlite_regexp_ops(original, connection)
        return original(connection)

    utils.get_regexp_ops = get_regexp_ops


_register()
