"""Extract predicates: what the conditions of a statement require of each table reference, and which columns are equal.

    SELECT * FROM p JOIN c ON c.pid = p.id WHERE p.id = ?1 AND p.n IS NOT NULL AND c.x + 1 > 2

    p: id = ?1, n IS NOT NULL
    equalities: c.pid = p.id, by which rows of p narrow c and rows of c narrow p
    c.x + 1 > 2 is left to the evaluator

A condition narrows table references of other scopes than its own in three ways:

* Through a derived table, where a name leads to the column of a table (`resolve_names`).
* From the outside in: a subquery is evaluated for rows of the enclosing scope, whose values narrow its tables.
* From the inside out: where EXISTS (SELECT …) or `a IN (SELECT …)` must be true, the WHERE of the subquery must be true
  of the rows of the enclosing scope.

An equality narrows one side by the values of the other side in the rows that matter. It only requires that all rows of
the other side that matter are fetched, in whatever scope they are.

A LEFT JOIN whose inner side is not NULL in any row of the result is an inner join (outer-join reduction): its ON then
narrows both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from rome.catalog.model import Column
from rome.sql.analysis.comparisons import (
    Comparison,
    Comparisons,
    Conjunct,
    Op,
    alternative_equalities,
    column_equalities,
    column_pairs,
    comparisons_of,
    conjuncts,
    constant,
    disjuncts_of,
    has_known_parts,
    null_test,
)
from rome.sql.analysis.context import AnalysisContext, Equality, RequiredConditions
from rome.sql.analysis.relation import AnyOf, Predicate
from rome.sql.analysis.resolve_names import ResolvedColumn, ResolvedColumns
from rome.sql.analysis.scopes import Condition, Scope, TableRef, is_pushdown_safe
from rome.sql.syntax.operands import Const, KeySource, Param, Source, WithoutAffinity
from rome.values import Affinity


def extract_predicates(context: AnalysisContext) -> None:
    """Add predicates to the table references, and to the context equalities and the required conditions of scopes."""
    _PredicateExtractor(context).extract()


@dataclass(slots=True)
class _Narrowed:
    """The table references that a condition may narrow; those in `nullable` only by what rejects NULL."""

    table_refs: tuple[TableRef, ...] = ()
    nullable: frozenset[int] = field(default_factory=frozenset)

    def includes(self, column: ResolvedColumn) -> bool:
        """Return True if a predicate on the column may narrow its table reference."""
        if column.pushdown_safe:
            for one in self.table_refs:
                if column.from_item is one:
                    return True
        return False


_ColumnPredicates = list[tuple[ResolvedColumn, Predicate]]


class _PredicateExtractor:
    def __init__(self, context: AnalysisContext) -> None:
        self._context = context
        self._names = context.names
        self._from_outside: dict[int, _Narrowed] = {}
        """By the id of the scope of a subquery that must be true: what its enclosing scope lets it narrow."""

    def extract(self) -> None:
        """Read the conditions of all scopes, outer ones first."""
        for scope in self._context.scopes.all:
            required = self._context.required[id(scope)] = RequiredConditions()
            for condition in self._reduce_outer_joins(scope) if scope.conditions else ():
                narrowed = self._narrowed_by(scope, condition)
                for conjunct in conjuncts(condition.node):
                    exact = self._read_conjunct(scope, conjunct, narrowed)
                    if condition.must_hold:
                        required.conditions += exact
                        required.is_complete = required.is_complete and bool(exact)

    # ── outer-join reduction ──────────────────────────────────────────────────────────────────────────────────────

    def _reduce_outer_joins(self, scope: Scope) -> list[Condition]:
        """Return the conditions of a scope, with every LEFT JOIN whose inner side cannot be NULL as an inner join."""
        conditions = list(scope.conditions)
        if not any(each.outer or each.nullable for each in conditions):
            return conditions
        not_null: set[int] = set()
        grows = True
        while grows:
            known = len(not_null)
            for condition in conditions:
                if condition.must_hold:
                    not_null.update(self._null_rejected(scope, condition))
            conditions = [_as_inner_join(condition, not_null) for condition in conditions]
            grows = len(not_null) > known
        return [replace(each, nullable=each.nullable - not_null) if each.must_hold else each for each in conditions]

    def _null_rejected(self, scope: Scope, condition: Condition) -> Iterator[int]:
        """Yield the ids of the table references that have a row wherever the condition is true."""
        for conjunct in conjuncts(condition.node):
            columns = [each.column for each in comparisons_of(conjunct).comparisons if each.rejects_null]
            columns += [column for pair in column_equalities(conjunct) for column in pair]
            for column in columns:
                yield from {id(found.from_item) for found in self._names.resolve(scope, column)}

    # ── conjuncts ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _narrowed_by(self, scope: Scope, condition: Condition) -> _Narrowed:
        outside = self._from_outside.get(id(scope)) if condition.must_hold else None
        if outside is None:
            return _Narrowed(condition.table_refs, condition.nullable)
        return _Narrowed(condition.table_refs + outside.table_refs, condition.nullable | outside.nullable)

    def _read_conjunct(
        self, scope: Scope, conjunct: Conjunct, narrowed: _Narrowed
    ) -> Sequence[tuple[TableRef, Predicate | AnyOf]]:
        """Add what a conjunct requires; return it if it is equivalent to the conjunct, else nothing."""
        for left, right in column_equalities(conjunct):
            self._add_equality(self._names.resolve(scope, left), self._names.resolve(scope, right), narrowed)
        self._add_alternatives(scope, alternative_equalities(conjunct), narrowed)
        if isinstance(conjunct.node, (exp.Exists, exp.In)) and not conjunct.negated and has_known_parts(conjunct.node):
            self._read_subquery(scope, conjunct.node, narrowed)
        predicates, is_complete = self._predicates_of(scope, comparisons_of(conjunct), narrowed)
        for found, predicate in predicates:
            found.table_ref.predicates.append(predicate)
        if is_complete:
            return [(found.table_ref, predicate) for found, predicate in predicates]
        return self._read_disjuncts(scope, conjunct, narrowed)

    def _predicates_of(self, scope: Scope, read: Comparisons, narrowed: _Narrowed) -> tuple[_ColumnPredicates, bool]:
        """Return the predicates of comparisons that narrow something, and True if they are equivalent to them."""
        predicates: _ColumnPredicates = []
        is_complete = read.is_complete
        for each in read.comparisons:
            columns, comparison = self._resolve(scope, each)
            is_complete = is_complete and len(columns) == 1
            for found in columns:
                is_nullable = found.nullable or id(found.from_item) in narrowed.nullable
                if not narrowed.includes(found) or (is_nullable and not comparison.rejects_null):
                    is_complete = False
                elif _is_on_keys(found.column, comparison):
                    predicates.append((found, _predicate(found, comparison)))
                    is_complete = is_complete and found.from_item is found.table_ref
                else:
                    is_complete = False
        return predicates, is_complete

    def _resolve(self, scope: Scope, comparison: Comparison) -> tuple[ResolvedColumns, Comparison]:
        """Return the columns that a comparison is of, and the comparison of these columns."""
        found = self._names.resolve(scope, comparison.column)
        inner = _inside_coalesce(comparison) if not found else None
        return (found, comparison) if inner is None else (self._names.resolve(scope, inner.column), inner)

    def _read_disjuncts(
        self, scope: Scope, conjunct: Conjunct, narrowed: _Narrowed
    ) -> Sequence[tuple[TableRef, Predicate | AnyOf]]:
        """Add what a disjunction requires of each table reference that all of its members restrict."""
        disjuncts = disjuncts_of(conjunct)
        if not disjuncts:
            return ()
        read = [self._predicates_of(scope, each, narrowed) for each in disjuncts]
        table_refs = {id(found.table_ref): found.table_ref for predicates, _ in read for found, _ in predicates}
        exact: list[tuple[TableRef, Predicate | AnyOf]] = []
        for table_ref in table_refs.values():
            alternatives = [
                tuple([predicate for found, predicate in predicates if found.table_ref is table_ref])
                for predicates, _ in read
            ]
            if not all(alternatives):
                continue
            condition = _as_value_list(alternatives) or AnyOf(tuple(alternatives))
            if isinstance(condition, Predicate):
                table_ref.predicates.append(condition)
            else:
                table_ref.any_of.append(condition)
            if len(table_refs) == 1 and all(is_complete for _, is_complete in read):
                exact.append((table_ref, condition))
        return exact

    def _add_equality(self, one: ResolvedColumns, other: ResolvedColumns, narrowed: _Narrowed) -> None:
        for targets, sources in ((one, other), (other, one)):
            for target in targets:
                self._add_sources(target, sources, narrowed)

    def _add_sources(self, target: ResolvedColumn, sources: ResolvedColumns, narrowed: _Narrowed) -> None:
        """Add that a column is equal to one of the sources."""
        is_other = sources and target.table_ref not in {source.table_ref for source in sources}
        if is_other and narrowed.includes(target):
            self._context.equalities.append(Equality(target, sources))

    def _add_alternatives(
        self, scope: Scope, pairs: Sequence[tuple[exp.Column, exp.Column]], narrowed: _Narrowed
    ) -> None:
        """Add that the column which all pairs have in common is equal to one of the others."""
        resolved = [(self._names.resolve(scope, one), self._names.resolve(scope, other)) for one, other in pairs]
        for target in [each for side in resolved[0] for each in side] if resolved else ():
            others = [_other_side(pair, target) for pair in resolved]
            if all(others):
                self._add_sources(target, tuple([source for each in others for source in each]), narrowed)

    def _read_subquery(self, scope: Scope, node: exp.Exists | exp.In, narrowed: _Narrowed) -> None:
        """Let the subquery of an EXISTS or IN that must be true narrow what the condition may narrow."""
        block = node.args.get("query") if isinstance(node, exp.In) else node.this
        inner = self._context.scopes.of(block)
        if inner is None or node.args.get("expressions"):
            return
        is_safe = is_pushdown_safe(inner.node)
        if is_safe:
            self._from_outside[id(inner)] = narrowed
        if isinstance(node, exp.In):
            within = _Narrowed((*narrowed.table_refs, *(inner.table_refs if is_safe else ())), narrowed.nullable)
            for left, right in _in_pairs(node.this.unnest(), inner.node):
                self._add_equality(self._names.resolve(scope, left), self._names.resolve(inner, right), within)


def _other_side(pair: tuple[ResolvedColumns, ResolvedColumns], target: ResolvedColumn) -> ResolvedColumns:
    """Return the side of an equality that a column is not on; nothing if it is on neither."""
    one, other = pair
    for side, opposite in ((one, other), (other, one)):
        if any(each.table_ref is target.table_ref and each.column == target.column for each in side):
            return opposite
    return ()


def _as_inner_join(condition: Condition, not_null: set[int]) -> Condition:
    if condition.outer and any(id(one) in not_null for one in condition.table_refs):
        return replace(condition, table_refs=condition.outer + condition.table_refs, outer=(), must_hold=True)
    return condition


def _is_on_keys(column: Column, comparison: Comparison) -> bool:
    """Return True if SQLite compares the column by its keys: not as the text of a number, nor by another collation."""
    if comparison.op is Op.LIKE:
        return column.affinity is Affinity.TEXT and column.collation == "BINARY"
    return column.collation == "BINARY" or not any(isinstance(source, WithoutAffinity) for source in comparison.sources)


def _predicate(found: ResolvedColumn, comparison: Comparison) -> Predicate:
    sources = comparison.sources
    if WithoutAffinity in map(type, sources) and found.is_not_null:
        sources = tuple(map(_without_null, sources))
    return Predicate(found.column, comparison.op, sources)


def _as_value_list(alternatives: list[tuple[Predicate, ...]]) -> Predicate | None:
    """Return `a = 1 OR a = 2` as `a = any of (1, 2)`; None if the alternatives are no values of one column."""
    if any(len(predicates) != 1 or predicates[0].op is not Op.EQUAL for predicates in alternatives):
        return None
    columns = {predicates[0].column for predicates in alternatives}
    sources = tuple(source for predicates in alternatives for source in predicates[0].sources)
    return Predicate(columns.pop(), Op.EQUAL, sources) if len(columns) == 1 else None


def _in_pairs(left: exp.Expr, block: exp.Expr) -> Iterator[tuple[exp.Column, exp.Column]]:
    """Yield the columns that are equal if `left IN (block)` is true."""
    lefts = left.expressions if isinstance(left, exp.Tuple) else [left]
    rights = [node.unalias() for node in block.expressions]
    if len(lefts) == len(rights):
        for one, other in zip(lefts, rights, strict=True):
            yield from column_pairs(one.unnest(), other.unnest())


# ── COALESCE ──────────────────────────────────────────────────────────────────────────────────────────────────────────
#
# Expressions of a column with a constant in the place of NULL:
#
#     coalesce(a, 0)                              ifnull(a, 0)
#     CASE WHEN a IS NOT NULL THEN a ELSE 0 END   CASE WHEN a IS NULL THEN 0 ELSE a END
#
# Services paginate by these: `CASE WHEN a IS NOT NULL THEN a ELSE '' END > ?`. Neither a function nor CASE has an
# affinity, so SQLite compares the column's value unconverted (https://www.sqlite.org/datatype3.html, 3.2).


def _inside_coalesce(comparison: Comparison) -> Comparison | None:
    """Return a comparison of such an expression with one value as one of the column; None for any other."""
    (source,) = comparison.sources if len(comparison.sources) == 1 else (None,)
    found = _column_and_default(comparison.column)
    if found is None or not isinstance(source, (Const, Param)):
        return None
    column, null_as = found
    without_affinity = WithoutAffinity(source, None if null_as == Const(None) else null_as)
    return Comparison(column, comparison.op, (without_affinity,))


def _without_null(source: KeySource) -> KeySource:
    """Return the same source for a column that is never NULL."""
    return replace(source, null_as=None) if isinstance(source, WithoutAffinity) else source


def _column_and_default(node: exp.Expr) -> tuple[exp.Column, Source] | None:
    if isinstance(node, exp.Coalesce) and len(node.expressions) == 1:
        column, other = node.this.unnest(), node.expressions[0].unnest()
    elif isinstance(node, exp.Case):
        column, other = _case_branches(node)
    else:
        return None
    null_as = constant(other) if other is not None else Const(None)
    return (column, null_as) if isinstance(column, exp.Column) and null_as is not None else None


def _case_branches(node: exp.Case) -> tuple[exp.Expr | None, exp.Expr | None]:
    """Return the results of a CASE where a column is not NULL, which must be that column, and where it is."""
    branches = node.args["ifs"]
    test = null_test(branches[0].this.unnest()) if len(branches) == 1 and not node.this else None
    if test is None:
        return None, None
    column, is_null = test
    results = [each and each.unnest() for each in (branches[0].args["true"], node.args.get("default"))]
    present, missing = reversed(results) if is_null else results
    return (present, missing) if present == column else (None, None)
