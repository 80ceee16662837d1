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
from sqlalchemy.sql.util import surface_selectables_only

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
        if len(self.stack) != 1:
            return ""
        argument = select._for_update_arg
        return locking_clause(
            argument, [self.process(table, ashint=True, use_schema=False, **kw) for table in _of(argument)]
        )


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


def locking_clause(argument: Any, of: Sequence[str] = ()) -> str:
    """Return the text for SQLAlchemy's ForUpdateArg, in the form that `rome.session.for_update` parses.

    `of`: the names of the tables whose rows are locked, if not of all. ROME has one strength of row locks: `read` and
    `key_share` have no effect.
    """
    clause = f" FOR UPDATE OF {', '.join(of)}" if of else " FOR UPDATE"
    if argument.nowait:
        return f"{clause} NOWAIT"
    return f"{clause} SKIP LOCKED" if argument.skip_locked else clause


def _of(argument: Any) -> Sequence[Any]:
    """Return the tables and aliases that `with_for_update(of=…)` names, by themselves or by their columns."""
    tables = (table for each in argument.of or () for table in surface_selectables_only(each))
    return list(dict.fromkeys(tables))
