"""The statement compiler: SQLite's, except for the lengths of IN lists and for FOR UPDATE.

SQLAlchemy expands an IN list to one placeholder for each value, so every length of the list makes another SQL text, and
each text has to be planned once. The compiler therefore pads lists with copies of their last value, which does not
change what IN matches. Between each power of two and the next there are two lengths:

    session.query(T).filter(T.id.in_([1, 2, 3, 4, 5]))      … WHERE id IN (?, ?, ?, ?, ?, ?)      [1, 2, 3, 4, 5, 5]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

_LONGEST = 20_000
"""Longer lists are not padded: SQLite allows 32,766 parameters in a statement."""


class RomeCompiler(SQLiteCompiler):
    """Compile statements as SQLite's compiler does, with padded IN lists and FOR UPDATE."""

    def _literal_execute_expanding_parameter(self, name: str, parameter: Any, values: Any, **kw: Any) -> Any:
        if not parameter.literal_execute:
            values = pad_list(values)
        return super()._literal_execute_expanding_parameter(name, parameter, values, **kw)

    def visit_empty_set_op_expr(self, type_: Any, expand_op: Any, **kw: Any) -> str:
        """Return an empty list: SQLite accepts `x IN ()`.

        SQLAlchemy's default is a subquery without rows, of which the planner could not know that it is empty.
        """
        return ""

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        """Return the locking clause of the outermost SELECT; rows that only a subquery reads are not locked."""
        return locking_clause(select._for_update_arg) if len(self.stack) == 1 else ""


def pad_list(values: Sequence[Any]) -> Sequence[Any]:
    """Return the values with the last one repeated until there are 1, 2, 3, 4, 6, 8, 12, 16, 24 … of them.

    >>> pad_list([1, 2, 3, 4, 5])
    [1, 2, 3, 4, 5, 5]
    """
    count = len(values)
    if count < 5 or count > _LONGEST:
        return values
    power = 1 << (count - 1).bit_length()
    length = power * 3 // 4 if count <= power * 3 // 4 else power
    return [*values, *[values[-1]] * (length - count)]


def locking_clause(argument: Any) -> str:
    """Return the text for SQLAlchemy's ForUpdateArg, in the form that `rome.session.for_update` parses.

    ROME has one strength of row locks, and locks the rows of all tables of the FROM clause: `read`, `key_share` and
    `of` have no effect.
    """
    if argument.nowait:
        return " FOR UPDATE NOWAIT"
    return " FOR UPDATE SKIP LOCKED" if argument.skip_locked else " FOR UPDATE"
