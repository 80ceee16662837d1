"""What `with_for_update()` becomes: the clause that `rome.session.for_update` understands."""

from __future__ import annotations

from typing import Any


def locking_clause(argument: Any) -> str:
    """The text for SQLAlchemy's ForUpdateArg. The rows of all tables are locked, also where `of` names some of them.

    There is one strength of row locks only: `read` and `key_share` are taken as FOR UPDATE.
    """
    if argument.nowait:
        return " FOR UPDATE NOWAIT"
    return " FOR UPDATE SKIP LOCKED" if argument.skip_locked else " FOR UPDATE"
