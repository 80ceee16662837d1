"""Nova's filters by regular expression. Importing this module replaces a function of `nova.db.utils`.

Nova chooses the operator by the name of the database in `[database] connection`. For a name that it doesn't know it
uses LIKE, which matches other instances. ROME has SQLite's REGEXP operator. Nova has no hook for this, so its function
is replaced by one that handles ROME's URLs and calls Nova's for all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nova.db import utils

_original: Callable[[str], Any] = utils.get_regexp_ops


def get_regexp_ops(connection: str) -> Any:
    """Return Nova's function that escapes a pattern, and the operator, for the database of this URL."""
    return _original("sqlite://" if connection.startswith("rome") else connection)


utils.get_regexp_ops = get_regexp_ops
