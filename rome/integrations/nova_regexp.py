"""Nova's filters by regular expression, on ROME. Importing this module, after Nova's, puts the difference there.

Nova knows the operator by the name of the database in `[database] connection`, and takes LIKE for a name that it
doesn't know, which finds other instances. ROME has SQLite's REGEXP. Nova has no hook for that, so its function is
replaced by one that answers for ROME's URLs, and asks Nova's for all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nova.db import utils

_of_nova: Callable[[str], Any] = utils.get_regexp_ops


def get_regexp_ops(connection: str) -> Any:
    """What makes a pattern safe, and the operator, for the database of this URL."""
    return _of_nova("sqlite://" if connection.startswith("rome") else connection)


utils.get_regexp_ops = get_regexp_ops
