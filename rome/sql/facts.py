"""Facts: what the conditions of a statement say of each occurrence, and which columns they hold equal.

    p.id = ?1 AND c.pid = p.id      a predicate on p.id, and an equality by which rows of p narrow c, and of c narrow p

A condition speaks of occurrences in other scopes than its own in three ways:

* through a subselect in FROM, where a name leads on to a table's column (`names`);
* from within: a subquery is looked at for rows of the scope around it. Its tables are narrowed by those rows' values;
* from without: where EXISTS (SELECT …) or `a IN (SELECT …)` must be true, what its own WHERE demands of the tables
  around it is demanded of them.

An equality narrows one side by the values that the other side has in rows which matter. So it needs of that other side
only that all of its rows that matter are fetched, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from rome.sql.names import Found, Names
from rome.sql.plain import is_plain
from rome.sql.predicates import comparisons, conjuncts, equalities, paired
from rome.sql.scopes import Condition, Occurrence, Predicate, Scope, Scopes
from rome.sql.sources import Source


@dataclass(frozen=True, slots=True)
class Equality:
    """Rows of `target` matter only where their column equals that of a row of `source`."""

    target: Found
    source: Found


@dataclass(slots=True)
class _Reach:
    """The occurrences that a condition may narrow; of those in `nullable`, by what rejects NULL only."""

    occurrences: tuple[Occurrence, ...] = ()
    nullable: frozenset[int] = field(default_factory=frozenset)

    def narrows(self, found: Found) -> bool:
        return found.narrows and any(found.own is one for one in self.occurrences)

    def may_be_null(self, found: Found) -> bool:
        return found.nullable or id(found.own) in self.nullable


class Facts:
    """Of all scopes of a statement. Predicates are entered with their occurrences; `equalities` has the rest."""

    def __init__(self, scopes: Scopes, lists: Sequence[tuple[Source, ...]]) -> None:
        self.equalities: list[Equality] = []
        self._scopes = scopes
        self._lists = lists
        self._names = Names(scopes)
        self._from_within: dict[int, _Reach] = {}
        for scope in scopes:
            for condition in scope.conditions:
                reach = self._reach(scope, condition)
                for conjunct in conjuncts(condition.node):
                    self._conjunct(scope, conjunct, reach)

    def _reach(self, scope: Scope, condition: Condition) -> _Reach:
        around = self._from_within.get(id(scope)) if condition.must_hold else None
        if around is None:
            return _Reach(condition.occurrences, condition.nullable)
        return _Reach(condition.occurrences + around.occurrences, condition.nullable | around.nullable)

    def _conjunct(self, scope: Scope, conjunct: exp.Expr, reach: _Reach) -> None:
        for comparison in comparisons(conjunct, self._lists):
            found = self._names.find(scope, comparison.column)
            if found is None or not reach.narrows(found):
                continue
            if comparison.rejects_null or not reach.may_be_null(found):
                found.occurrence.predicates.append(Predicate(found.column, comparison.op, comparison.sources))
        for left, right in equalities(conjunct):
            self._equal(self._names.find(scope, left), self._names.find(scope, right), reach)
        if isinstance(conjunct, (exp.Exists, exp.In)):
            self._subquery(scope, conjunct, reach)

    def _equal(self, one: Found | None, other: Found | None, reach: _Reach) -> None:
        if one is None or other is None or one.occurrence is other.occurrence:
            return
        for target, source in ((one, other), (other, one)):
            if reach.narrows(target):
                self.equalities.append(Equality(target, source))

    def _subquery(self, scope: Scope, conjunct: exp.Exists | exp.In, reach: _Reach) -> None:
        """EXISTS or IN that must be true."""
        block = conjunct.args.get("query") if isinstance(conjunct, exp.In) else conjunct.this
        inner = self._scopes.of(block)
        if inner is None or any(conjunct.args.get(part) for part in ("expressions", "unnest", "field", "is_global")):
            return
        plain = is_plain(inner.node)
        if plain:
            self._from_within[id(inner)] = reach
        if isinstance(conjunct, exp.In):
            within = _Reach((*reach.occurrences, *(inner.occurrences if plain else ())), reach.nullable)
            for left, right in _pairs(conjunct.this.unnest(), inner.node):
                self._equal(self._names.find(scope, left), self._names.find(inner, right), within)


def _pairs(left: exp.Expr, block: exp.Expr) -> Iterator[tuple[exp.Column, exp.Column]]:
    """The columns that are equal if `left IN (block)`."""
    lefts = left.expressions if isinstance(left, exp.Tuple) else [left]
    rights = [node.unalias() for node in block.expressions]
    if len(lefts) == len(rights):
        for one, other in zip(lefts, rights, strict=True):
            yield from paired(one.unnest(), other.unnest())
