"""Facts: what the conditions of a statement say of each table reference, and which columns they hold equal.

    p.id = ?1 AND c.pid = p.id      a predicate on p.id, and an equality by which rows of p narrow c, and of c narrow p

A condition speaks of table references in other scopes than its own in three ways:

* through a subselect in FROM, where a name leads on to a table's column (`names`);
* from within: a subquery is looked at for rows of the scope around it. Its tables are narrowed by those rows' values;
* from without: where EXISTS (SELECT …) or `a IN (SELECT …)` must be true, what its own WHERE demands of the tables
  around it is demanded of them.

An equality narrows one side by the values that the other side has in rows which matter. So it needs of that other side
only that all of its rows that matter are fetched, wherever they stand.

A LEFT JOIN whose inner side can't be NULL in any row that comes out is an inner join, and read as one: its ON narrows
both sides.


Expressions of a column that put a constant in the place of NULL, and what a comparison of one says of the column.

    coalesce(a, 0)                              ifnull(a, 0)
    CASE WHEN a IS NOT NULL THEN a ELSE 0 END   CASE WHEN a IS NULL THEN 0 ELSE a END

Services page by these: `CASE WHEN a IS NOT NULL THEN a ELSE '' END > ?`. Neither a function nor CASE has an affinity,
so the column's value is compared as it is (https://www.sqlite.org/datatype3.html, 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sqlglot import exp

from rome.catalog.model import Column
from rome.sql.analysis.comparisons import (
    Comparison,
    Conjunct,
    Op,
    Reading,
    alternatives,
    conjuncts,
    constant,
    equalities,
    is_known,
    null_test,
    paired,
    reading,
)
from rome.sql.analysis.relation import AnyOf, Predicate
from rome.sql.analysis.resolve_names import Alike, Found, Names
from rome.sql.analysis.scopes import Condition, Scope, Scopes, TableRef, is_pushdown_safe
from rome.sql.syntax.operands import Const, KeySource, Param, Source, WithoutAffinity
from rome.values import Affinity


@dataclass(frozen=True, slots=True)
class Equality:
    """Rows of `target` matter only where their column equals that of a row of one of the `sources`."""

    target: Found
    sources: Alike


@dataclass(slots=True)
class _Reach:
    """The table references that a condition may narrow; of those in `nullable`, by what rejects NULL only."""

    table_refs: tuple[TableRef, ...] = ()
    nullable: frozenset[int] = field(default_factory=frozenset)

    def narrows(self, found: Found) -> bool:
        return found.narrows and any(found.own is one for one in self.table_refs)

    def may_be_null(self, found: Found) -> bool:
        return found.nullable or id(found.own) in self.nullable


@dataclass(slots=True)
class Demands:
    """What must be true of the rows of a scope, as far as it is understood. `is_all`: there is nothing else."""

    of: list[tuple[TableRef, Predicate | AnyOf]] = field(default_factory=list)
    is_all: bool = True


_Said = list[tuple[Found, Predicate]]


class Facts:
    """Of all scopes of a statement. Predicates are entered with their table references; `equalities` has the rest."""

    def __init__(self, scopes: Scopes) -> None:
        self.equalities: list[Equality] = []
        self.demands: dict[int, Demands] = {}
        self.names = Names(scopes)
        self._scopes = scopes
        self._from_within: dict[int, _Reach] = {}
        for scope in scopes:
            demands = self.demands[id(scope)] = Demands()
            for condition in self._conditions(scope):
                reach = self._reach(scope, condition)
                for conjunct in conjuncts(condition.node):
                    exact = self._conjunct(scope, conjunct, reach)
                    if condition.must_hold:
                        demands.of += exact
                        demands.is_all = demands.is_all and bool(exact)

    # ── which joins are inner joins ───────────────────────────────────────────────────────────────────────────────

    def _conditions(self, scope: Scope) -> list[Condition]:
        """A scope's conditions; those of a LEFT JOIN whose inner side must be there as an inner join's."""
        conditions = list(scope.conditions)
        there: set[int] = set()
        grows = True
        while grows:
            known = len(there)
            for condition in conditions:
                if condition.must_hold:
                    there.update(self._rejects_null(scope, condition))
            conditions = [_as_inner(condition, there) for condition in conditions]
            grows = len(there) > known
        return [replace(each, nullable=each.nullable - there) if each.must_hold else each for each in conditions]

    def _rejects_null(self, scope: Scope, condition: Condition) -> Iterator[int]:
        """The ids of the table references of which the condition can't be true where NULLs stand in their place."""
        for conjunct in conjuncts(condition.node):
            named = [each.column for each in reading(conjunct).comparisons if each.rejects_null]
            named += [column for pair in equalities(conjunct) for column in pair]
            for column in named:
                yield from {id(found.own) for found in self.names.find_all(scope, column)}

    # ── what conditions say ───────────────────────────────────────────────────────────────────────────────────────

    def _reach(self, scope: Scope, condition: Condition) -> _Reach:
        around = self._from_within.get(id(scope)) if condition.must_hold else None
        if around is None:
            return _Reach(condition.table_refs, condition.nullable)
        return _Reach(condition.table_refs + around.table_refs, condition.nullable | around.nullable)

    def _conjunct(self, scope: Scope, conjunct: Conjunct, reach: _Reach) -> list[tuple[TableRef, Predicate | AnyOf]]:
        """Enter what a conjunct says; what it says in full, or nothing if that is more than can be entered."""
        for left, right in equalities(conjunct):
            self._equal(self.names.find_all(scope, left), self.names.find_all(scope, right), reach)
        if isinstance(conjunct.node, (exp.Exists, exp.In)) and is_known(conjunct.node) and not conjunct.negated:
            self._subquery(scope, conjunct.node, reach)
        said, is_all = self._said(scope, reading(conjunct), reach)
        for found, predicate in said:
            found.table_ref.predicates.append(predicate)
        if is_all:
            return [(found.table_ref, predicate) for found, predicate in said]
        return self._alternatives(scope, conjunct, reach)

    def _said(self, scope: Scope, of: Reading, reach: _Reach) -> tuple[_Said, bool]:
        """The predicates of a reading that narrow something, and whether they are all that it says."""
        said: _Said = []
        is_all = of.is_all
        for comparison in of.comparisons:
            columns, about = self._found(scope, comparison)
            is_all = is_all and len(columns) == 1
            for found in columns:
                if not reach.narrows(found) or (reach.may_be_null(found) and not about.rejects_null):
                    is_all = False
                elif _is_by_key(found.column, about):
                    said.append((found, _predicate(found, about)))
                    is_all = is_all and found.own is found.table_ref
                else:
                    is_all = False
        return said, is_all

    def _found(self, scope: Scope, comparison: Comparison) -> tuple[Alike, Comparison]:
        """The column that a comparison is of, and what it says of it."""
        found = self.names.find_all(scope, comparison.column)
        about = of_column(comparison) if not found else None
        return (found, comparison) if about is None else (self.names.find_all(scope, about.column), about)

    def _alternatives(
        self, scope: Scope, conjunct: Conjunct, reach: _Reach
    ) -> list[tuple[TableRef, Predicate | AnyOf]]:
        """Enter what OR says of each table reference that all of its members speak of."""
        read = [self._said(scope, each, reach) for each in alternatives(conjunct)]
        table_refs = {id(found.table_ref): found.table_ref for said, _ in read for found, _ in said}
        exact: list[tuple[TableRef, Predicate | AnyOf]] = []
        for table_ref in table_refs.values():
            each = [tuple(about for found, about in said if found.table_ref is table_ref) for said, _ in read]
            if not all(each):
                continue
            fact = _as_list(each) or AnyOf(tuple(each))
            if isinstance(fact, Predicate):
                table_ref.predicates.append(fact)
            else:
                table_ref.any_of.append(fact)
            if len(table_refs) == 1 and all(is_all for _, is_all in read):
                exact.append((table_ref, fact))
        return exact

    def _equal(self, one: Alike, other: Alike, reach: _Reach) -> None:
        for targets, sources in ((one, other), (other, one)):
            for target in targets:
                is_other = sources and all(target.table_ref is not source.table_ref for source in sources)
                if is_other and reach.narrows(target):
                    self.equalities.append(Equality(target, sources))

    def _subquery(self, scope: Scope, node: exp.Exists | exp.In, reach: _Reach) -> None:
        """EXISTS or IN that must be true."""
        block = node.args.get("query") if isinstance(node, exp.In) else node.this
        inner = self._scopes.of(block)
        if inner is None or node.args.get("expressions"):
            return
        plain = is_pushdown_safe(inner.node)
        if plain:
            self._from_within[id(inner)] = reach
        if isinstance(node, exp.In):
            within = _Reach((*reach.table_refs, *(inner.table_refs if plain else ())), reach.nullable)
            for left, right in _pairs(node.this.unnest(), inner.node):
                self._equal(self.names.find_all(scope, left), self.names.find_all(inner, right), within)


def _as_inner(condition: Condition, there: set[int]) -> Condition:
    if condition.outer and any(id(one) in there for one in condition.table_refs):
        return replace(condition, table_refs=condition.outer + condition.table_refs, outer=(), must_hold=True)
    return condition


def _is_by_key(column: Column, about: Comparison) -> bool:
    """Whether what is compared so are the keys of a column: not the texts of numbers, nor another collation's."""
    if about.op is Op.LIKE:
        return column.affinity is Affinity.TEXT and column.collation == "BINARY"
    return column.collation == "BINARY" or not any(isinstance(source, WithoutAffinity) for source in about.sources)


def _predicate(found: Found, about: Comparison) -> Predicate:
    sources = tuple(map(unfilled, about.sources)) if found.is_never_null else about.sources
    return Predicate(found.column, about.op, sources)


def _as_list(each: list[tuple[Predicate, ...]]) -> Predicate | None:
    """Alternatives that are nothing but values of one column, as a list of values."""
    if any(len(predicates) != 1 or predicates[0].op is not Op.EQUAL for predicates in each):
        return None
    columns = {predicates[0].column for predicates in each}
    sources = tuple(source for predicates in each for source in predicates[0].sources)
    return Predicate(columns.pop(), Op.EQUAL, sources) if len(columns) == 1 else None


def _pairs(left: exp.Expr, block: exp.Expr) -> Iterator[tuple[exp.Column, exp.Column]]:
    """The columns that are equal if `left IN (block)`."""
    lefts = left.expressions if isinstance(left, exp.Tuple) else [left]
    rights = [node.unalias() for node in block.expressions]
    if len(lefts) == len(rights):
        for one, other in zip(lefts, rights, strict=True):
            yield from paired(one.unnest(), other.unnest())


def of_column(comparison: Comparison) -> Comparison | None:
    """What a comparison of such an expression with one value says of the column; None if it is none."""
    (source,) = comparison.sources if len(comparison.sources) == 1 else (None,)
    found = _column_and_constant(comparison.column)
    if found is None or not isinstance(source, (Const, Param)):
        return None
    column, null_as = found
    return Comparison(column, comparison.op, (WithoutAffinity(source, None if null_as == Const(None) else null_as),))


def unfilled(key: KeySource) -> KeySource:
    """The same key for a column without NULL."""
    return replace(key, null_as=None) if isinstance(key, WithoutAffinity) else key


def _column_and_constant(node: exp.Expr) -> tuple[exp.Column, Source] | None:
    if isinstance(node, exp.Coalesce) and len(node.expressions) == 1:
        column, other = node.this.unnest(), node.expressions[0].unnest()
    elif isinstance(node, exp.Case):
        column, other = _branches(node)
    else:
        return None
    null_as = constant(other) if other is not None else Const(None)
    return (column, null_as) if isinstance(column, exp.Column) and null_as is not None else None


def _branches(node: exp.Case) -> tuple[exp.Expr | None, exp.Expr | None]:
    """What a CASE gives where a column is not NULL, which must be that column, and where it is."""
    branches = node.args["ifs"]
    test = null_test(branches[0].this.unnest()) if len(branches) == 1 and not node.this else None
    if test is None:
        return None, None
    column, is_null = test
    results = [each and each.unnest() for each in (branches[0].args["true"], node.args.get("default"))]
    there, missing = reversed(results) if is_null else results
    return (there, missing) if there == column else (None, None)
