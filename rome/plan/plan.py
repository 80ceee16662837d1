"""Plans, and their two caches. A plan is how a statement is run under one catalog.

It is immutable, holds no values, and is shared between connections.

    cache             key                               value                    size    invalidated by
    PlanCache         catalog digest, statement text    the plan of a database   2000    statistics that changed much
                      (and how many rows its values lead to, where some values have many more than others)
    DefinitionCache   text, definitions in the catalog  what was made of them    2000    nothing: it holds for all

A statement that runs again finds its plan in its database's `PlanCache`, without a lock and without leaving this
module. What takes long (parsing, analysis, compilation) does not depend on a database: it is kept for the whole process
in a `DefinitionCache`, for all databases and catalogs in which the tables, views and triggers that the statement uses
have the same definitions.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from rome.catalog.model import Table
from rome.compiled.compile import Compiled, NotCompiled
from rome.forks import new_lock
from rome.sql.analysis.dependencies import Definitions
from rome.sql.analysis.relation import Page
from rome.sql.planner.read_plan import ReadPlan, Step
from rome.sql.planner.skew import classes
from rome.sql.rewrite.counter_ids import ValueRows
from rome.sql.rewrite.equal_members import EqualMembers
from rome.sql.syntax.operands import Parameters
from rome.sql.syntax.statement import Statement

CAPACITY = 2000
"""The number of texts in a cache."""

_DEFINITIONS_PER_TEXT = 4
"""A migration leads through many definitions, of which few come again."""

T = TypeVar("T")


@dataclass(frozen=True)
class PagePlan:
    """A derived table with a LIMIT, by whose rows other tables are looked up, and its function."""

    page: Page
    function: Compiled


@dataclass(frozen=True)
class Plan:
    """The plan of a statement under one catalog.

    `sql`: the text for the workspace, in which an INSERT calls the sequence. `mentioned`: the names in the text.
    `reads`: what is fetched. `compiled`: the compiled evaluator, or the reason why there is none. `description`:
    PEP 249's description of the result. `reads_schema`: the statement reads the schema itself, so the workspace must
    have all of it. `target`: the table that the statement changes. `values`: the rows of INSERT … VALUES, as far as
    they are known before it runs. `unlimited`, `unlimited_sql`: a function and a text for the query block of the Top-N
    plan (`reads.topn`) without its LIMIT and OFFSET. `page`: how to know which rows come out of a derived table, before
    other tables are looked up by these. `members`: if they are there, `reads` and `compiled` are those of
    one member of a UNION ALL, and hold for each with its own parameters. `point_plan`: how to run an INSERT or UPDATE
    by key without SQLite, put there by `rome.session.point_dml` at the first execution; `bulk_plan`: the same of
    `rome.session.bulk_plan`.
    """

    statement: Statement
    sql: str
    mentioned: frozenset[str]
    reads: ReadPlan
    compiled: Compiled | NotCompiled
    description: tuple[tuple[object, ...], ...]
    reads_schema: bool = False
    values: ValueRows | None = None
    target: Table | None = None
    unlimited: Compiled | None = None
    unlimited_sql: str | None = None
    page: PagePlan | None = None
    members: EqualMembers | None = None
    expected_ids: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By table id: how many ids the last execution allocated, if the text does not determine it. A hint only."""
    point_plan: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)
    bulk_plan: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    @cached_property
    def point_step(self) -> Step | None:
        """Return the only step of a compiled statement that is a point lookup; None for any other statement."""
        reads = self.reads
        is_simple = len(reads.steps) == 1 and not (reads.full_scans or reads.count_step or reads.topn)
        if not is_simple or self.members is not None or not isinstance(self.compiled, Compiled):
            return None
        (step,) = reads.steps
        return step if step.point_lookup else None

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Return the tables that the statement reads, each once."""
        found = {table.id: table for table in self.reads.full_scans}
        found.update((step.table.id, step.table) for step in self.reads.steps)
        return tuple(found.values())


# ── the caches ────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Entry:
    """A cached plan. `is_used`: it was asked for since the eviction passed it."""

    __slots__ = ("basis", "is_used", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.basis = plan.reads.basis
        self.is_used = False

    def classes_of(self, parameters: Parameters) -> tuple[int, ...] | None:
        """Return the classes of these parameters; None for those that the plan was chosen by."""
        found = classes(self.basis, parameters)
        return None if found == self.basis.classes else found


class PlanCache:
    """Caches the plans of a database for all its connections.

    `hits` and `misses` count how often a plan was found; a count may get lost between threads, since plans are found
    without a lock. Eviction is *second chance*: the oldest plan goes that was not used since it was passed last.
    """

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self._entries: dict[tuple[bytes, str, tuple[int, ...] | None], _Entry] = {}
        """By catalog and text, None for the first plan of a text; those for values of other classes by the classes."""
        self._lock = new_lock()

    def get(self, catalog: bytes, sql: str, parameters: Parameters) -> Plan | None:
        """Return the plan of a text under the catalog of that digest; None if there is none, or it is outdated.

        A plan that was chosen by the values of parameters is right for values of the same classes.
        """
        entry = self._entries.get((catalog, sql, None))
        if entry is not None and entry.basis.skewed:
            entry = self._entries.get((catalog, sql, entry.classes_of(parameters)))
        if entry is None or (entry.basis.seen != entry.basis.source.changes and entry.basis.is_outdated()):
            self.misses += 1
            return None
        entry.is_used = True
        self.hits += 1
        return entry.plan

    def put(self, catalog: bytes, sql: str, parameters: Parameters, plan: Plan) -> None:
        """Keep a plan."""
        with self._lock:
            first = self._entries.get((catalog, sql, None))
            is_first = first is None or not first.basis.skewed or first.basis.is_outdated()
            classes = None if first is None or is_first else first.classes_of(parameters)
            self._entries[catalog, sql, classes] = _Entry(plan)
            while len(self._entries) > CAPACITY:
                oldest = next(iter(self._entries))
                entry = self._entries.pop(oldest)
                if entry.is_used:
                    entry.is_used = False
                    self._entries[oldest] = entry

    def clear(self) -> None:
        """Forget all plans."""
        with self._lock:
            self._entries.clear()


class DefinitionCache(Generic[T]):
    """Caches what was made of texts under definitions, for all databases of this process (least recently used)."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, list[tuple[Definitions, T]]] = OrderedDict()
        self._lock = new_lock()

    def get(self, text: str, definitions: Definitions) -> T | None:
        """Return what was made of a text under the same definitions; None if there is nothing."""
        with self._lock:
            found = self._values.get(text)
            if found is None:
                return None
            self._values.move_to_end(text)
            found = list(found)
        return next((value for each, value in found if each == definitions), None)

    def put(self, text: str, definitions: Definitions, value: T) -> None:
        """Keep what was made of a text under definitions, in place of what was kept for the same ones."""
        with self._lock:
            others = [each for each in self._values.pop(text, ()) if each[0] != definitions]
            self._values[text] = [(definitions, value), *others[: _DEFINITIONS_PER_TEXT - 1]]
            while len(self._values) > CAPACITY:
                self._values.popitem(last=False)
