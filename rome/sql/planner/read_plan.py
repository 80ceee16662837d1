"""Read plans: which rows of which tables a statement fetches, by which access path, and in which round.

A read plan is made once for a text and a catalog, is shared between executions, and holds no values. It has a step for
each table reference. Its text is what the golden tests show, and EXPLAIN with the estimated numbers of rows:

    round 1
      index lookup on services using services_uuid_idx (uuid = ?1)
    round 2
      primary key lookup on tags (service_id = services.id)

Most statements that services run all day are *point lookups*: they ask for the rows of one key, with parameters that
need no conversion. For these the step knows its request in advance (`PointLookup`), and `bind` is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

from rome.catalog.model import Table
from rome.folding import fold_name
from rome.sql.analysis.relation import Page, Relation, TopNSource
from rome.sql.planner.access_path import FullScan, KeyPath, Limit, Path
from rome.sql.planner.statistics import Basis, Statistics
from rome.sql.syntax.operands import Param, Parameters
from rome.storage.keys import encode
from rome.storage.store import Request
from rome.values import COMPARED_UNCHANGED

# ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── plans ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


Rounds = tuple[tuple[Step, ...], ...]
"""The steps of each round. A round is one round trip to the store."""


@dataclass(frozen=True)
class ReadPlan:
    """The read plan of a statement.

    `basis`: the statistics that the plan was chosen by. `parsed`: the text was understood. If not, the plan is empty,
    and all tables that SQLite touches must be read. `rounds`: a step depends on the rows of steps in earlier rounds
    only. `full_scans`: tables to be read whole because no step covers them: those that views and triggers use, or a
    syntax that is not analyzed. They belong to round 1. `count_step`: the statement counts this step's rows, so that
    the store may count them and nothing is fetched. `topn`: another plan of the same rows, which fetches only as many
    as LIMIT needs.
    """

    basis: Basis = field(compare=False, repr=False)
    parsed: bool = True
    rounds: Rounds = ()
    full_scans: tuple[Table, ...] = ()
    count_step: Step | None = None
    topn: TopNPlan | None = None

    def under(self, statistics: Statistics) -> ReadPlan | None:
        """Return the same plan based on another database's statistics; None if these may lead to another plan."""
        basis = self.basis.under(statistics)
        return None if basis is None else replace(self, basis=basis)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return all steps, in the order of their rounds."""
        return tuple(step for steps in self.rounds for step in steps)

    @cached_property
    def by_table_ref(self) -> dict[int, Step]:
        """Return the steps by the numbers of their table references, in ascending order."""
        return {step.table_ref: step for step in sorted(self.steps, key=lambda step: step.table_ref)}

    @cached_property
    def backward(self) -> frozenset[int]:
        """Return the table references whose rows are read backward, in descending order of their keys.

        The evaluators get these rows in that order, so that rows which ORDER BY does not distinguish come in the same
        order whichever page is asked for.
        """
        steps = self.steps + (self.topn.reads.steps if self.topn is not None else ())
        return frozenset(each.table_ref for each in steps if each.limit and each.limit.backward)

    def __str__(self) -> str:
        if self.count_step:
            return self.count_step.describe_count()
        if self.topn:
            return str(self.topn.reads)
        lines = []
        for number, steps in enumerate(self.rounds or ((),), 1):
            scans = self.other_scans if number == 1 else []
            shown = dict.fromkeys([*map(str, steps), *map(str, scans)])
            lines += [f"round {number}", *(f"  {each}" for each in shown)] if shown else []
        return "\n".join(lines) or "nothing to fetch"

    @property
    def other_scans(self) -> list[FullScan]:
        """Return the full scans that are not steps as well."""
        scanned = {step.table.id for step in self.steps if isinstance(step.path, FullScan)}
        return [FullScan(table.name) for table in self.full_scans if table.id not in scanned]


@dataclass(frozen=True)
class TopNPlan:
    """A plan that fetches a table reference in the order of ORDER BY, in batches, until enough rows come out.

    `reads`: the rounds, for whatever batch of rows `step` fetches. (Each member of a UNION has a step like it.)
    `limit`: LIMIT and OFFSET. `is_statement`: these are the statement's own, not those of a subquery in it.
    `filter_id`: what the statistics know the selectivity by: how many rows come out for one row of the step.
    `selectivity`: what it is estimated at before anything is known. `max_batch`: a batch of this size costs as much as
    to fetch everything.
    """

    reads: ReadPlan
    step: Step
    limit: Limit
    is_statement: bool
    filter_id: int
    selectivity: float
    max_batch: float


@dataclass(frozen=True)
class PlannerInput:
    """The input of the planner's steps: the analysis of a statement with its IN lists filled in, and statistics.

    `relations`: the table references and their predicates. `scanned`: the lower-case names of tables that are read
    whole anyway. `counted`: the table reference whose rows the statement counts. `topn`: the table reference in whose
    order the rows of a query block with LIMIT come out. `page`: a derived table by whose rows others are looked up.
    `parameters`: those of the first execution.
    """

    relations: tuple[Relation, ...]
    scanned: Set[str]
    counted: Relation | None
    topn: TopNSource | None
    page: Page | None
    statistics: Basis
    parameters: Parameters
