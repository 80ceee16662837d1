"""Planner step: choose an access path for each table reference, and order the fetches in rounds.

    SELECT * FROM p LEFT JOIN c ON c.pid = p.id WHERE p.uuid = ?

    before     p: uuid = ?1, id = c.pid       c: pid = p.id
    after      round 1    index lookup on p using p_uuid (uuid = ?1)
               round 2    index lookup on c using c_pid (pid = p.id)

This is the join order of other planners, where the cost is round trips: a greedy search. The cheapest table reference
comes first, then the cheapest of those that are left, which may now be looked up by the rows of the ones before it, one
round later; and so on. A round costs as much as `ROUND_ROWS` rows. So no two table references wait for each other, and
a small table is read by a full scan in round 1 rather than waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from rome.catalog.model import Table
from rome.folding import fold_name
from rome.sql.analysis.relation import Predicate, Relation
from rome.sql.planner.access_path import FullScan, KeyPath, Limit, Path, UnionPath
from rome.sql.planner.candidate_paths import CandidatePaths
from rome.sql.planner.read_plan import PlannerInput, ReadPlan, Rounds, Step
from rome.sql.planner.skew import extra_rows
from rome.sql.planner.statistics import Basis
from rome.sql.syntax.operands import Const, FromColumn, Parameters

ROUND_ROWS = 64.0

_UNKNOWN_COUNT = 50.0
"""The estimate of a LIMIT or OFFSET that is a parameter."""


def order_fetches(plan: ReadPlan, given: PlannerInput) -> ReadPlan:
    """Return the plan with the rounds that fetch all rows which the statement needs."""
    return replace(plan, rounds=rounds_of(given))


def rounds_of(given: PlannerInput, fixed: Sequence[Step] = ()) -> Rounds:
    """Return the steps for all table references in rounds.

    `fixed`: the steps that some table references have already; they belong to round 1.
    """
    return _FetchOrder(given, fixed).rounds()


@dataclass(frozen=True, slots=True)
class _Fetch:
    """A step and its round, from 0."""

    step: Step
    round: int

    @property
    def cost(self) -> float:
        return self.step.rows + ROUND_ROWS * self.round


class _FetchOrder:
    """The greedy search."""

    def __init__(self, given: PlannerInput, fixed: Sequence[Step]) -> None:
        relations = given.relations
        self._statistics = given.statistics
        self._parameters = given.parameters
        self._scanned = set(given.scanned)
        self._page: Set[int] = given.page.table_refs if given.page is not None else frozenset()
        self._names = [fold_name(relation.table.name) for relation in relations]
        self._fetches = {step.table_ref: _Fetch(step, 0) for step in fixed}
        self._rows = {step.table_ref: step.rows for step in fixed}
        pending = {relation.number: relation for relation in relations if relation.number not in self._fetches}
        self._paths = {number: CandidatePaths(relation) for number, relation in pending.items()}
        dependent = _dependent(pending.values())
        options = {number: self._cheapest(relation) for number, relation in pending.items()}
        while options:
            number = min(options, key=lambda each: options[each].cost)
            fetch, relation = options.pop(number), pending.pop(number)
            self._fetches[number] = fetch
            self._rows[number] = fetch.step.rows
            affected = dependent.get(number, set())
            name = fold_name(relation.table.name)
            if isinstance(fetch.step.path, FullScan) and name not in self._scanned:
                self._scanned.add(name)
                affected |= {other.number for other in pending.values() if fold_name(other.table.name) == name}
            for other in affected & pending.keys():
                options[other] = self._cheapest(pending[other])

    def rounds(self) -> Rounds:
        last = max((fetch.round for fetch in self._fetches.values()), default=-1)
        fetches = [self._fetches[number] for number in sorted(self._fetches)]
        return tuple(tuple(fetch.step for fetch in fetches if fetch.round == at) for at in range(last + 1))

    def _cheapest(self, relation: Relation) -> _Fetch:
        """Return the cheapest fetch of a table reference, given those that are ordered already."""
        table = relation.table
        is_scanned = fold_name(table.name) in self._scanned
        scan = self._fetch(relation, FullScan(table.name), 0.0 if is_scanned else self._statistics.row_count(table))
        if is_scanned:
            return scan
        paths = self._paths[relation.number].narrowing(self._available(relation.predicates))
        found = [self._fetch(relation, path, self._estimate(relation, path)) for path in paths]
        found += self._limited(relation)
        best = min(found, key=_preference, default=scan)
        # Prefer a lookup even in a small table: it may have grown, and a scan conflicts with every writer.
        return best if best.cost < max(scan.cost, ROUND_ROWS) else scan

    def _limited(self, relation: Relation) -> Iterator[_Fetch]:
        """Yield the fetches of only the first rows in an order, if the statement needs no others."""
        table, topn = relation.table, relation.topn
        if topn is None:
            return
        is_only = self._names.count(fold_name(table.name)) == 1
        limit = Limit(topn.limit, topn.descending)
        for path in self._paths[relation.number].limited(topn, must_be_total=not is_only):
            if not (isinstance(path, KeyPath) and path.is_get):
                yield self._fetch(relation, path, min(self._estimate(relation, path), estimate_limit(limit)), limit)

    def _fetch(self, relation: Relation, path: Path, rows: float, limit: Limit | None = None) -> _Fetch:
        step = Step(relation.number, relation.table, path, rows, limit, relation.name)
        return _Fetch(step, max((self._fetches[number].round + 1 for number in path.depends_on), default=0))

    def _available(self, predicates: Sequence[Predicate]) -> list[Predicate]:
        """Return the predicates whose values are fetched by then, those with the fewest values first."""
        found: list[tuple[float, Predicate]] = []
        for predicate in predicates:
            sources = [source for source in predicate.sources if isinstance(source, FromColumn)]
            if all(source.table_ref in self._fetches for source in sources):
                found.append((sum(self._fetches[source.table_ref].cost for source in sources), predicate))
        return [predicate for _, predicate in sorted(found, key=lambda each: each[0])]

    def _estimate(self, relation: Relation, path: Path) -> float:
        fetched = self._rows_for(relation.number)
        return estimate_rows(relation.table, path, self._statistics, fetched, self._parameters)

    def _rows_for(self, number: int) -> Mapping[int, float]:
        """Return the estimates of the table references that a table reference may depend on.

        Outside of a derived table with a LIMIT, only those rows count that come out of it.
        """
        if number in self._page or not self._page <= self._rows.keys():
            return self._rows
        rows = sum(self._rows[each] for each in self._page)
        share = min(1.0, _UNKNOWN_COUNT / max(rows, 1.0))
        return {each: rows * share if each in self._page else rows for each, rows in self._rows.items()}


def _dependent(relations: Iterable[Relation]) -> dict[int, set[int]]:
    """Return for each table reference whose rows give values to predicates the table references of these."""
    found: dict[int, set[int]] = {}
    for relation in relations:
        for source in [source for predicate in relation.predicates for source in predicate.sources]:
            if isinstance(source, FromColumn):
                found.setdefault(source.table_ref, set()).add(relation.number)
    return found


def _preference(fetch: _Fetch) -> tuple[float, ...]:
    """Return the sort key of a fetch: the best one first."""
    return fetch.cost, fetch.step.limit is None, *(-value for value in fetch.step.path.rank)


def estimate_rows(
    table: Table, path: Path, statistics: Basis, fetched: Mapping[int, float], parameters: Parameters
) -> float:
    """Estimate how many rows a path leads to. `fetched`: the estimates of the table references that it depends on."""
    if isinstance(path, FullScan):
        return statistics.row_count(table)
    keys = sum(_keys(each, fetched) for each in (path.paths if isinstance(path, UnionPath) else (path,)))
    per_key = statistics.rows_per_key(table, path)
    extra = extra_rows(table, path, parameters, statistics, per_key) if statistics.has_frequent else 0.0
    return min(keys * per_key + extra, statistics.row_count(table))


def _keys(path: KeyPath, fetched: Mapping[int, float]) -> float:
    """Estimate how many keys a path looks up."""
    keys = 1.0
    if path.depends_on:
        for table_refs in {term.source_refs for term in path.equal if term.source_refs}:
            keys *= max(sum([fetched[number] for number in table_refs]), 1.0)
    for term in path.equal:
        if not (path.depends_on and term.source_refs):
            keys *= len(term.sources)
    return keys


def estimate_limit(limit: Limit) -> float:
    """Estimate how many rows a limit lets through."""
    known = [source.value for source in limit.counts if isinstance(source, Const)]
    return sum(value for value in known if isinstance(value, int)) + _UNKNOWN_COUNT * (len(limit.counts) - len(known))
