"""One step of a read plan: the access path of one table reference, and the rows expected from it.

    SELECT * FROM tags WHERE service_id = ?     Step(tags, primary key lookup on tags (service_id = ?1), rows=10)

Most statements that services run all day are *point lookups*: they ask for the rows of one key, with parameters that
need no conversion. For these the step knows its request in advance (`PointLookup`), and `bind` is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from rome.catalog.model import Table
from rome.folding import fold_name
from rome.sql.planner.access_path import FullScan, KeyPath, Limit, Path
from rome.sql.syntax.operands import Param, Parameters
from rome.storage.keys import encode
from rome.storage.store import Request
from rome.values import COMPARED_UNCHANGED


@dataclass(frozen=True)
class Step:
    """Fetches the rows of one table reference.

    `table_ref`: the number of the table reference in the statement. `rows`: the estimated number of rows. `limit`: only
    the first rows of the path are needed. `alias`: the name of the table reference in the statement.
    """

    table_ref: int
    table: Table
    path: Path
    rows: float
    limit: Limit | None = None
    alias: str = ""

    @cached_property
    def depends_on(self) -> frozenset[int]:
        """Return the table references whose rows must be fetched before."""
        return self.path.depends_on

    @cached_property
    def point_lookup(self) -> PointLookup | None:
        """Return the point lookup that the step is; None if it is not one."""
        return None if self.limit else point_lookup(self.table, self.path)

    @cached_property
    def is_get(self) -> bool:
        """Return True if the step gets rows by their whole keys."""
        return isinstance(self.path, KeyPath) and self.path.is_get

    @property
    def table_name(self) -> str:
        """Return the table's name, with the alias where the statement gives it one: `nodes AS child`."""
        name = self.table.name
        return f"{name} AS {self.alias}" if self.alias and self.alias != fold_name(name) else name

    def describe(self, batch: int | None = None) -> str:
        """Return the step's text for EXPLAIN. `batch`: the size of a Top-N step's first batch."""
        if self.limit is None:
            return self.path.describe(self.table_name)
        if not self.limit.grows or isinstance(self.path, FullScan):
            return f"{self.path.describe(self.table_name)}, {self.limit}"
        initial = "" if batch is None else f"initial batch {batch:,}, "
        return f"Top-N on {self.path.describe_source(self.table_name)}, {self.limit}, {initial}grows"

    def describe_count(self) -> str:
        """Return the text for EXPLAIN of a count of the step's rows."""
        source = self.table_name if isinstance(self.path, FullScan) else self.path.describe_source(self.table_name)
        return f"count from {source}"

    def __str__(self) -> str:
        return self.describe()


@dataclass(frozen=True, slots=True)
class PointLookup:
    """A request for all rows whose key, or index entry, begins with some parameters.

    `places`: where these adjacent parameters are. `types`: the types that need no conversion. `make`: makes
    the request of the encoded parameters.
    """

    places: slice
    types: tuple[type, ...]
    make: Callable[[bytes], Request]

    def request(self, parameters: Parameters) -> Request | None:
        """Return the request; None if the parameters need a conversion, which `bind` does."""
        if type(parameters) is not tuple:
            return None
        values = parameters[self.places]
        if tuple(map(type, values)) != self.types:
            return None
        return self.make(encode(values))


_UNCONVERTED = {affinity: next(iter(types)) for affinity, types in COMPARED_UNCHANGED.items() if len(types) == 1}
"""The type of parameters that a comparison with a column of this affinity does not convert."""


def point_lookup(table: Table, path: Path) -> PointLookup | None:
    """Return the point lookup of a path whose columns equal adjacent parameters; None for any other."""
    if not isinstance(path, KeyPath) or path.range_term is not None or not path.equal:
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
    return PointLookup(slice(first, first + count), tuple(types), codec.get if path.is_get else codec.prefix)
