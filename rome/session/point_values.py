"""The values that a table stores of a statement's operands, as far as they are certain without SQLite.

A value is stored as it is, or by a conversion of `rome.values`. Where only SQLite knows the result, NeedsWorkspace is
raised. Most rows of a statement have values of the same types, so that their conversions are decided once for each
combination of types.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from rome.catalog.model import Column
from rome.fallback import NeedsWorkspace, NotConvertible
from rome.sql.syntax.operands import Const, Source
from rome.sqlite.workspace import Parameters, Row
from rome.values import STORED_UNCHANGED, convert_to_store


class Values:
    """Some values of one row from operands, each for a column."""

    def __init__(self, sources: Sequence[Source], columns: Sequence[Column], parameters: int) -> None:
        """`parameters`: the number of the statement's parameters."""
        constants = [source.value for source in sources if isinstance(source, Const)]
        places = []
        used = 0
        for source in sources:
            if isinstance(source, Const):
                places.append(parameters + used)
                used += 1
            else:
                places.append(source.index)
        self._constants = tuple(constants)
        self._columns = tuple(columns)
        self._count = parameters
        # An itemgetter of one place makes no tuple.
        self._take: Any = itemgetter(*places, places[0])
        self._affinities = tuple(column.affinity for column in columns)
        self._unchanged: dict[tuple[type, ...], bool | None] = {}
        """By the types of a row: True if no value needs a conversion, None if a NULL is not allowed."""

    def of(self, parameters: Parameters) -> Row:
        """Return the values as they are stored. Raise NeedsWorkspace."""
        if type(parameters) is not tuple or len(parameters) != self._count:
            raise NeedsWorkspace
        row: Row = self._take(parameters + self._constants)[:-1]
        types = tuple(map(type, row))
        unchanged = self._unchanged[types] if types in self._unchanged else self._decide(types)
        if unchanged:
            return row
        if unchanged is None:
            raise NeedsWorkspace
        try:
            return tuple(map(convert_to_store, row, self._affinities))
        except NotConvertible:
            raise NeedsWorkspace from None

    def _decide(self, types: tuple[type, ...]) -> bool | None:
        unchanged: bool | None = True
        for kind, column in zip(types, self._columns, strict=True):
            if kind is type(None):
                if column.not_null:
                    unchanged = None
                    break
            elif kind not in STORED_UNCHANGED[column.affinity]:
                unchanged = False
        if len(self._unchanged) < _MOST_COMBINATIONS:
            self._unchanged[types] = unchanged
        return unchanged


_MOST_COMBINATIONS = 1000
