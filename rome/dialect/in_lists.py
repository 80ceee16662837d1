"""IN lists of few lengths: SQLAlchemy makes a text with n parameters of a list of n values, for every n another.

A text is planned once and then known. So lists are filled up to the next of few lengths by repeating their last value,
which an IN does not notice. Lists then have about two lengths between each power of two and the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

from rome.dialect.locking import locking_clause

_LONGEST = 20_000
"""Longer lists are left alone: SQLite takes 32,766 parameters at most."""


class RomeCompiler(SQLiteCompiler):
    """Statements as SQLite's compiler makes them, but for IN lists and FOR UPDATE."""

    def _literal_execute_expanding_parameter(self, name: str, parameter: Any, values: Any, **kw: Any) -> Any:
        if not parameter.literal_execute:
            values = filled_up(values)
        return super()._literal_execute_expanding_parameter(name, parameter, values, **kw)

    def visit_empty_set_op_expr(self, type_: Any, expand_op: Any, **kw: Any) -> str:
        """No list at all: `x IN ()`, as SQLite takes it. Of a subquery without rows the planner would not know that."""
        return ""

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        """FOR UPDATE at the end of the statement; rows that are only looked at in a subquery are not locked."""
        return locking_clause(select._for_update_arg) if len(self.stack) == 1 else ""


def filled_up(values: Sequence[Any]) -> Sequence[Any]:
    """The values, the last one repeated until there are 1, 2, 3, 4, 6, 8, 12, 16, 24 … of them.

    >>> filled_up([1, 2, 3, 4, 5])
    [1, 2, 3, 4, 5, 5]
    """
    count = len(values)
    if count < 5 or count > _LONGEST:
        return values
    power = 1 << (count - 1).bit_length()
    length = power * 3 // 4 if count <= power * 3 // 4 else power
    return [*values, *[values[-1]] * (length - count)]
