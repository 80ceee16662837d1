"""The commonest keys, made at once: columns are equal to parameters side by side, of the columns' own types.

`binding` makes the requests of every path with any values. Most statements that a service runs all day ask for a row
by its key, or for the rows of one key of an index, with values that need no conversion: for these, what to look at and
what to ask for is written down once, when the plan is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rome.catalog.model import Table
from rome.sql.planner.access_path import KeyPath, Path
from rome.sql.syntax.operands import Param, Parameters
from rome.storage.keys import encode
from rome.storage.store import Request
from rome.values import Affinity

_UNCONVERTED = {Affinity.INTEGER: int, Affinity.NUMERIC: int, Affinity.REAL: int, Affinity.TEXT: str}
"""The type of which a value is compared with such a column as it is."""


@dataclass(frozen=True, slots=True)
class OnePrefix:
    """Asks for all rows whose key, or index entry, begins with some parameters."""

    places: slice
    """Where the parameters stand."""
    types: tuple[type, ...]
    make: Callable[[bytes], Request]

    def request(self, parameters: Parameters) -> Request | None:
        """The request; None if it takes more than this to tell."""
        if type(parameters) is not tuple:
            return None
        values = parameters[self.places]
        if tuple(map(type, values)) != self.types:
            return None
        return self.make(encode(values))


def one_prefix(table: Table, path: Path) -> OnePrefix | None:
    """How to ask for the rows of a path, if it is as simple as that."""
    if not isinstance(path, KeyPath) or path.within is not None or not path.equal:
        return None
    places, types = [], []
    for term in path.equal:
        kind = _UNCONVERTED.get(term.column.affinity)
        source = term.sources[0] if len(term.sources) == 1 else None
        if kind is None or term.column.collation != "BINARY" or not isinstance(source, Param):
            return None
        places.append(source.index)
        types.append(kind)
    first, count = places[0], len(places)
    if places != list(range(first, first + count)):
        return None
    codec = table.row_codec if path.index is None else table.index_codecs[path.index.id]
    return OnePrefix(slice(first, first + count), tuple(types), codec.get if path.is_get else codec.prefix)
