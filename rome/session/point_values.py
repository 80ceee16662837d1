"""What a table stores of the values that a statement gives it, where there is no doubt: as they are, or by a conversion
that is certain. In any doubt, only SQLite can tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from rome.catalog.model import Column
from rome.fallback import NeedsWorkspace
from rome.sql.syntax.operands import Const, Source
from rome.sqlite.workspace import Parameters, Row
from rome.values import Affinity, SqlValue

_MAYBE_A_NUMBER = re.compile(r"[ \t-\r]*[+-]?[0-9.]+(?:[eE][+-]?[0-9]*)?[ \t-\r]*")
"""Any other text stays text, but for one with a NUL in it."""

_AS_IT_IS: dict[Affinity, frozenset[type]] = {
    Affinity.TEXT: frozenset({str, bytes}),
    Affinity.NUMERIC: frozenset({int, bytes}),
    Affinity.INTEGER: frozenset({int, bytes}),
    Affinity.REAL: frozenset({bytes}),
    Affinity.BLOB: frozenset({int, str, bytes}),
}
_FLOATS = frozenset({Affinity.REAL, Affinity.BLOB})
_WHOLE = frozenset({Affinity.NUMERIC, Affinity.INTEGER})


def stored(value: SqlValue, column: Column) -> SqlValue:
    """What a column stores of a value. Raises NeedsWorkspace."""
    kind = type(value)
    if value is None:
        if column.not_null:
            raise NeedsWorkspace
        return None
    if kind in _AS_IT_IS[column.affinity]:
        return value
    if isinstance(value, str) and kind is str and not (_MAYBE_A_NUMBER.fullmatch(value) or "\0" in value):
        return value
    if (
        isinstance(value, float)
        and kind is float
        and value == value
        and (column.affinity in _FLOATS or (column.affinity in _WHOLE and value % 1))
    ):
        # (NaN is NULL. One without a fraction becomes an integer, where that is what the column prefers; a REAL column
        # keeps it as one, which has no negative zero.)
        return value + 0.0 if column.affinity is Affinity.REAL else value
    if kind is int and column.affinity is Affinity.TEXT:
        return str(value)
    raise NeedsWorkspace


class Values:
    """Some values of one row from sources, each for a column. The commonest types are seen to be right all at once."""

    def __init__(self, sources: Sequence[Source], columns: Sequence[Column], parameters: int) -> None:
        """`parameters`: how many the statement has."""
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
        # (An itemgetter of one place gives no tuple.)
        self._take: Any = itemgetter(*places, places[0])
        self._as_they_are: dict[tuple[type, ...], bool] = {}

    def of(self, parameters: Parameters) -> Row:
        """The values as they are stored. Raises NeedsWorkspace."""
        if type(parameters) is not tuple or len(parameters) != self._count:
            raise NeedsWorkspace
        row: Row = self._take(parameters + self._constants)[:-1]
        kinds = tuple(map(type, row))
        as_they_are = self._as_they_are.get(kinds)
        if as_they_are is None:
            as_they_are = all(map(_is_stored_as_it_is, kinds, self._columns))
            if len(self._as_they_are) < 1000:
                self._as_they_are[kinds] = as_they_are
        return row if as_they_are else tuple(map(stored, row, self._columns))


def _is_stored_as_it_is(kind: type, column: Column) -> bool:
    return not column.not_null if kind is type(None) else kind in _AS_IT_IS[column.affinity]
