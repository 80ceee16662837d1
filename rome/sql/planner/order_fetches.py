"""The order of rounds: from which table reference to begin, and which paths to take from there.

The cheapest table reference is settled first, then the cheapest of those that are left, which now may be found by the
rows of the ones before it, a round later; and so on. A round costs what `ROUND_ROWS` rows cost. So no circle comes
about, and a small table is rather read whole in the first round than waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from rome.catalog.model import Table
from rome.sql.analysis.relation import Predicate, Relation
from rome.sql.planner.access_path import Either, KeyPath, Limit, Path, Scan
from rome.sql.planner.candidate_paths import candidates, path_rank, topn_paths
from rome.sql.planner.read_plan import Step
from rome.sql.planner.statistics import Statistics
from rome.sql.syntax.operands import Const, FromColumn

ROUND_ROWS = 64.0

_UNKNOWN_COUNT = 50.0
"""What LIMIT and OFFSET are taken for when they are parameters."""


@dataclass(frozen=True, slots=True)
class _Settled:
    step: Step
    round: int

    @property
    def cost(self) -> float:
        return self.step.rows + ROUND_ROWS * self.round


Rounds = tuple[tuple[Step, ...], ...]


def arrange(
    table_refs: Sequence[Relation], whole: Set[str], statistics: Statistics, begin: Sequence[Step] = ()
) -> Rounds:
    """The steps for all table references in rounds. `whole`: lower-case names of tables read whole anyway.

    `begin`: the steps of some of them, for which nothing else need be there.
    """
    return _Arrangement(table_refs, whole, statistics, begin).rounds()


class _Arrangement:
    def __init__(
        self, table_refs: Sequence[Relation], whole: Set[str], statistics: Statistics, begin: Sequence[Step]
    ) -> None:
        self.statistics = statistics
        self.whole = set(whole)
        self.settled: dict[int, _Settled] = {}
        self.names = [table_ref.table.name.lower() for table_ref in table_refs]
        self.settled.update((step.table_ref, _Settled(step, 0)) for step in begin)
        pending = [each for each in table_refs if each.number not in self.settled]
        while pending:
            options = [(self._best(table_ref), table_ref) for table_ref in pending]
            best, table_ref = min(options, key=lambda option: option[0].cost)
            self.settled[best.step.table_ref] = best
            if isinstance(best.step.path, Scan):
                self.whole.add(best.step.table.name.lower())
            pending.remove(table_ref)

    def rounds(self) -> Rounds:
        last = max((each.round for each in self.settled.values()), default=-1)
        in_order = [self.settled[number] for number in sorted(self.settled)]
        return tuple(tuple(each.step for each in in_order if each.round == at) for at in range(last + 1))

    def _best(self, table_ref: Relation) -> _Settled:
        """The cheapest way to a table reference by what is settled so far."""
        table = table_ref.table
        is_whole = table.name.lower() in self.whole
        scan = self._settle(table_ref, Scan(table.name), 0.0 if is_whole else self.statistics.rows(table))
        if is_whole:
            return scan
        paths = candidates(table, self._known(table_ref.predicates), table_ref.any_of)
        found = [self._settle(table_ref, path, self._rows(table, path)) for path in paths]
        found += self._parts(table_ref)
        best = min(found, key=_preference, default=scan)
        # Of few rows, rather those that are asked for: more may have come, and who reads all is in every writer's way.
        return best if best.cost < max(scan.cost, ROUND_ROWS) else scan

    def _parts(self, table_ref: Relation) -> Iterator[_Settled]:
        """The ways to the part of the rows that is wanted."""
        table, topn = table_ref.table, table_ref.topn
        if topn is None:
            return
        is_alone = self.names.count(table.name.lower()) == 1
        limit = Limit(topn.limit, topn.descending)
        for path in topn_paths(table, topn, must_be_total=not is_alone):
            if not (isinstance(path, KeyPath) and path.is_get):
                yield self._settle(table_ref, path, min(self._rows(table, path), expected(limit)), limit)

    def _settle(self, table_ref: Relation, path: Path, rows: float, limit: Limit | None = None) -> _Settled:
        step = Step(table_ref.number, table_ref.table, path, rows, limit)
        return _Settled(step, max((self.settled[number].round + 1 for number in step.after), default=0))

    def _known(self, predicates: Sequence[Predicate]) -> list[Predicate]:
        """The predicates whose values are known by what is settled so far, those with the fewest values first."""
        found: list[tuple[float, Predicate]] = []
        for predicate in predicates:
            sources = [source for source in predicate.sources if isinstance(source, FromColumn)]
            if all(source.table_ref in self.settled for source in sources):
                found.append((sum(self.settled[source.table_ref].cost for source in sources), predicate))
        return [predicate for _, predicate in sorted(found, key=lambda each: each[0])]

    def _rows(self, table: Table, path: Path) -> float:
        return rows_of(table, path, self.statistics, self.settled)


def rows_of(table: Table, path: Path, statistics: Statistics, settled: Mapping[int, _Settled]) -> float:
    """How many rows a path may lead to. `settled`: the table references that it comes after."""
    if isinstance(path, Scan):
        return statistics.rows(table)
    if isinstance(path, Either):
        return sum(rows_of(table, each, statistics, settled) for each in path.paths)
    keys = 1.0
    for table_refs in {term.behind for term in path.equal if term.behind}:
        keys *= max(sum(settled[number].step.rows for number in table_refs), 1.0)
    for term in path.equal:
        if not any(isinstance(source, FromColumn) for source in term.sources):
            keys *= len(term.sources)
    return min(keys * statistics.per_key(table, path), statistics.rows(table))


def _preference(settled: _Settled) -> tuple[float, ...]:
    """What is better comes first."""
    return settled.cost, settled.step.limit is None, *(-value for value in path_rank(settled.step.path))


def expected(limit: Limit) -> float:
    """How many rows a limit may let through."""
    known = [source.value for source in limit.counts if isinstance(source, Const)]
    return sum(value for value in known if isinstance(value, int)) + _UNKNOWN_COUNT * (len(limit.counts) - len(known))
