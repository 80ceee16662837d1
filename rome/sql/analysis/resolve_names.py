"""Name resolution: the column, of which item of FROM, that a name in a scope stands for.

    SELECT anon.id FROM (SELECT p.id FROM p LIMIT 10) AS anon

    anon.id stands for the first column of anon, and leads to the column id of p

A name is looked up in the FROM of its own scope first, then in the aliases of that scope's result columns, and then in
the enclosing scopes, from the inside out, as SQLite does. `NameResolver.find` is the one place that does this, for the
steps of the analysis and for the compiled evaluator.

`NameResolver.resolve` follows a name further, to the columns of tables. Through a derived table or a CTE it leads to
the column of a table that the inner query projects unchanged. Through a UNION it leads to one column in each member,
provided that all of them are compared alike; through max() and min() to the column that they choose a value of.

If there is any doubt (an ambiguous name, an item whose columns are not known), the name resolves to nothing: no
predicate on it is pushed down, and the statement is not compiled.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlglot import exp

from rome.catalog.model import Column, Table
from rome.folding import fold_name
from rome.sql.analysis.index_expressions import expression_column, index_columns, normalize_expression
from rome.sql.analysis.scopes import Scope, Scopes, TableRef, is_pushdown_safe
from rome.values import Affinity

# ── rowid ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

ROWID_NAMES = ("rowid", "_rowid_", "oid")


def rowid_names(table: Table) -> frozenset[str]:
    """Return the names of the counted column in lower case: its own, and those of SQLite's three that no column has.

    Empty if the table has no counted column.
    """
    if table.counted is None:
        return frozenset()
    hidden = {name for name in ROWID_NAMES if name not in table.by_name}
    return frozenset(hidden | {fold_name(table.counted)})


def rowid_column(table: Table) -> Column:
    """Return the hidden rowid as a column."""
    return Column(str(table.counted), -1, Affinity.INTEGER)


# ── resolved columns ──────────────────────────────────────────────────────────────────────────────────────────────────


class ResolvedColumn(NamedTuple):
    """The column of a table that a name stands for.

    `from_item`: the item of FROM that the name belongs to: `table_ref` itself, or the derived table that projects its
    column. `pushdown_safe`: a predicate on the name may be pushed down to the table. `nullable`: the derived table may
    have NULL in place of the column's value.
    """

    from_item: TableRef
    table_ref: TableRef
    column: Column
    pushdown_safe: bool = True
    nullable: bool = False

    @property
    def is_not_null(self) -> bool:
        """Return True if no row of the table has NULL in the column."""
        table = self.table_ref.table
        return table is not None and table.never_null(self.column)


ResolvedColumns = tuple[ResolvedColumn, ...]
"""One column, or one in each member of a UNION; empty if the name cannot be resolved for certain."""


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class NamedColumn(NamedTuple):
    """The column that a name means, in an item of FROM: of a table by itself, of a derived table by its place."""

    table_ref: TableRef
    column: Column | int


class Alias(NamedTuple):
    """The result column that a name means: the one of a scope with this alias, in lower case."""

    scope: Scope
    name: str


class ResultColumn(NamedTuple):
    """A column of a query's result.

    `name`: how an outer query refers to it, in lower case; '' if only SQLite knows. `node`: its expression; None for a
    column of `*`. `column`: the column that it is, if it is nothing more. `is_alias`: the name is given by AS.
    """

    name: str
    node: exp.Expr | None
    column: NamedColumn | Alias | None = None
    is_alias: bool = False


class _DerivedColumns(NamedTuple):
    """The columns of a derived table, by their places: their names in lower case, and what they lead to."""

    names: tuple[str, ...]
    sources: tuple[ResolvedColumns, ...]


_UNION_PARTS = frozenset({"this", "expression", "distinct", "order", "limit", "offset"})
"""The parts of a set operation that this module knows."""


class NameResolver:
    """The resolved names of one statement."""

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self._found: dict[tuple[int, int], NamedColumn | Alias | None] = {}
        self._derived: dict[int, _DerivedColumns | None] = {}
        self._results: dict[int, list[ResultColumn] | None] = {}

    # ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, scope: Scope, node: exp.Column) -> NamedColumn | Alias | None:
        """Return what a name stands for in a scope; None if that is not certain."""
        key = id(scope), id(node)
        if key not in self._found:
            self._found[key] = self._find(scope, node)
        return self._found[key]

    def _find(self, scope: Scope, node: exp.Column) -> NamedColumn | Alias | None:
        name, qualifier = fold_name(node.name), fold_name(node.table)
        if node.args.get("db") or not isinstance(node.this, exp.Identifier):
            return None
        at: Scope | None = scope
        while at is not None:
            if at.merges_names and not qualifier:
                return None
            candidates = [one for one in at.table_refs if one.name == qualifier] if qualifier else at.table_refs
            if qualifier and len(candidates) > 1:
                return None
            found = [each for one in candidates for each in self._named(one, name)]
            if found or (candidates and (qualifier or name in ROWID_NAMES)):
                return found[0] if len(found) == 1 else _rowid(candidates, name) if not found else None
            if not all(self._has_certain_names(one) for one in candidates):
                return None
            if not qualifier and any(fold_name(each.alias) == name for each in at.node.expressions):
                return Alias(at, name)
            at = self.scopes.enclosing(at)
        return None

    def _named(self, table_ref: TableRef, name: str) -> list[NamedColumn]:
        """Return the columns of an item of FROM that have a name."""
        if table_ref.table is not None:
            column = table_ref.table.by_name.get(name)
            return [NamedColumn(table_ref, column)] if column is not None else []
        derived = self._columns_of(table_ref)
        if derived is None or name not in derived.names:
            return []
        return [NamedColumn(table_ref, at) for at, own in enumerate(derived.names) if own == name]

    def _has_certain_names(self, table_ref: TableRef) -> bool:
        """Return True if no column of an item of FROM has a name that is not known."""
        derived = self._columns_of(table_ref) if table_ref.table is None else None
        return table_ref.table is not None or (derived is not None and "" not in derived.names)

    def result_of(self, scope: Scope) -> list[ResultColumn] | None:
        """Return the columns of a scope's result; None if they are not known."""
        key = id(scope)
        if key not in self._results:
            read = [self._read_select_item(scope, each) for each in scope.node.expressions]
            is_known = all(each is not None for each in read)
            self._results[key] = [column for each in read for column in each or ()] if is_known else None
        return self._results[key]

    def _read_select_item(self, scope: Scope, node: exp.Expr) -> list[ResultColumn] | None:
        """Return the columns of one item of a select list; None if they are not known."""
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            return self._expand_star(scope, node)
        inner = node.unalias()
        bare = inner.unnest()
        column = self.find(scope, bare) if isinstance(bare, exp.Column) else None
        if isinstance(node, exp.Alias):
            return [ResultColumn(fold_name(node.alias), inner, column, is_alias=True)]
        return [ResultColumn(fold_name(inner.name) if isinstance(inner, exp.Column) else "", inner, column)]

    def _expand_star(self, scope: Scope, node: exp.Expr) -> list[ResultColumn] | None:
        """Return the columns of `*` or `t.*`."""
        star = node.this if isinstance(node, exp.Column) else node
        qualifier = fold_name(node.table) if isinstance(node, exp.Column) else ""
        items = [one for one in scope.table_refs if not qualifier or one.name == qualifier]
        if scope.merges_names or any(star.args.values()) or not items or (qualifier and len(items) > 1):
            return None
        found: list[ResultColumn] = []
        for one in items:
            if one.table is not None:
                pairs = one.table.by_name.items()
                found += [ResultColumn(name, None, NamedColumn(one, column)) for name, column in pairs]
                continue
            derived = self._columns_of(one)
            if derived is None:
                return None
            found += [ResultColumn(name, None, NamedColumn(one, at)) for at, name in enumerate(derived.names)]
        return found

    def order_place(self, scope: Scope, node: exp.Expr) -> int | None:
        """Return the place of the result column that a term of ORDER BY means: by its position or its alias.

        Return None for any other term: it is an expression.
        """
        node = node.unnest()
        result = self.result_of(scope) or ()
        position = position_of(node)
        if position is not None:
            return position - 1 if 1 <= position <= len(result) else None
        if not isinstance(node, exp.Column) or node.table:
            return None
        name = fold_name(node.name)
        return next((at for at, each in enumerate(result) if each.is_alias and each.name == name), None)

    # ── the columns of tables that names lead to ──────────────────────────────────────────────────────────────────

    def resolve(self, scope: Scope, node: exp.Expr) -> ResolvedColumns:
        """Return the columns of tables that a name, or an indexed expression, leads to in a scope."""
        if isinstance(node, exp.Column):
            return self.follow(self.find(scope, node))
        found = self._resolve_expression(scope, node)
        return () if found is None else (found,)

    def resolve_one(self, scope: Scope, node: exp.Expr) -> ResolvedColumn | None:
        """Return the column that a name, or an indexed expression, leads to; None if there are several."""
        return _only(self.resolve(scope, node))

    def follow(self, found: NamedColumn | Alias | None) -> ResolvedColumns:
        """Return the columns of tables that a named column leads to. (Conditions on an alias are left alone.)"""
        if not isinstance(found, NamedColumn):
            return ()
        table_ref, column = found
        if isinstance(column, Column):
            return (ResolvedColumn(table_ref, table_ref, column),)
        derived = self._columns_of(table_ref)
        return tuple([each._replace(from_item=table_ref) for each in derived.sources[column]]) if derived else ()

    def resolve_order(self, scope: Scope, node: exp.Expr) -> ResolvedColumns:
        """Return the columns of tables that a term of ORDER BY leads to in a scope."""
        place = self.order_place(scope, node)
        result = self.result_of(scope)
        if place is None or not result:
            return self.resolve(scope, node.unnest())
        term = result[place]
        return self.follow(term.column) if term.node is None else self.resolve(scope, term.node.unnest())

    def _resolve_expression(self, scope: Scope, node: exp.Expr) -> ResolvedColumn | None:
        """Resolve an expression over the columns of one table that the table has an index on."""
        found = [self.resolve_one(scope, column) for column in node.find_all(exp.Column)]
        first = found[0] if found else None
        if first is None or first.from_item is not first.table_ref or first.table_ref.table is None:
            return None
        if any(each is None or each.table_ref is not first.table_ref for each in found):
            return None
        table = first.table_ref.table
        indexed = [column for index in table.indexes if index.computed for column in index_columns(table, index)]
        if not indexed:
            return None
        text = normalize_expression(node, lambda column: _column_name(self.resolve_one(scope, column)))
        column = next((each for each in indexed if text is not None and each == expression_column(text)), None)
        return first._replace(column=column) if column is not None else None

    # ── derived tables ────────────────────────────────────────────────────────────────────────────────────────────

    def _columns_of(self, table_ref: TableRef) -> _DerivedColumns | None:
        """Return the columns of a derived table or a CTE; None if they are not known."""
        key = id(table_ref)
        if key not in self._derived:
            self._derived[key] = None  # the answer to a recursive question
            self._derived[key] = self._derive_columns(table_ref.node)
        return self._derived[key]

    def _derive_columns(self, node: exp.Expr) -> _DerivedColumns | None:
        if isinstance(node, exp.Subquery):
            return self._project(node.this, pushdown_safe=True)
        cte = self.scopes.cte_of(node)
        # A CTE may have several references, each with its own predicates.
        found = self._project(cte.this, pushdown_safe=False) if cte is not None else None
        renamed = cte.args["alias"].args.get("columns") if cte is not None else None
        if found is None or not renamed:
            return found
        names = tuple([fold_name(each.name) for each in renamed])
        return found._replace(names=names) if len(names) == len(found.names) else None

    def _project(self, node: exp.Expr, pushdown_safe: bool) -> _DerivedColumns | None:
        """Return the columns of a query as seen from outside; None if they are not known."""
        if isinstance(node, exp.SetOperation):
            return self._project_union(node, pushdown_safe)
        scope = self.scopes.of(node)
        result = self.result_of(scope) if scope is not None else None
        if scope is None or result is None:
            return None
        pushdown_safe = pushdown_safe and is_pushdown_safe(scope.node)
        sources = [_seen_from_outside(scope, self._chosen(scope, each), pushdown_safe) for each in result]
        return _DerivedColumns(tuple([each.name for each in result]), tuple(sources))

    def _project_union(self, node: exp.SetOperation, pushdown_safe: bool) -> _DerivedColumns | None:
        """Return the columns of a set operation, which have the names of its first member.

        A predicate on them may be pushed down into each member of UNION, EXCEPT and INTERSECT: equal rows fulfil it or
        reject it together.
        """
        if any(part for name, part in node.args.items() if name not in _UNION_PARTS):
            return None
        pushdown_safe = pushdown_safe and not node.args.get("limit")
        first, second = [self._project(node.args[part], pushdown_safe) for part in ("this", "expression")]
        if first is None or second is None or len(first.names) != len(second.names):
            return None
        pairs = zip(first.sources, second.sources, strict=True)
        return first._replace(sources=tuple([_united(one, other) for one, other in pairs]))

    def _chosen(self, scope: Scope, column: ResultColumn) -> ResolvedColumns:
        """Return the columns that a result column has values of: for max() and min() too, which may be NULL."""
        node = column.node.unnest() if column.node is not None else None
        if isinstance(node, (exp.Max, exp.Min)) and isinstance(node.this, exp.Column) and not node.expressions:
            return tuple([each._replace(nullable=True) for each in self.resolve(scope, node.this)])
        return self.follow(column.column)


def _only(found: ResolvedColumns) -> ResolvedColumn | None:
    return found[0] if len(found) == 1 else None


def position_of(node: exp.Expr) -> int | None:
    """Return the integer that a term of GROUP BY or ORDER BY consists of: the position of a result column, from 1."""
    is_number = isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit()
    return int(node.this) if is_number else None


def _rowid(candidates: list[TableRef], name: str) -> NamedColumn | None:
    """Return the counted column for one of its hidden names, if no other item of FROM could have that name."""
    table = candidates[0].table
    if len(candidates) > 1 or table is None or name not in rowid_names(table):
        return None
    return NamedColumn(candidates[0], table.by_name.get(fold_name(str(table.counted))) or rowid_column(table))


def _seen_from_outside(scope: Scope, found: ResolvedColumns, pushdown_safe: bool) -> ResolvedColumns:
    """Return the columns that a query block projects; none if they are correlated, columns of an enclosing scope."""
    if not all(any(each.from_item is one for one in scope.table_refs) for each in found):
        return ()
    return tuple(
        [
            each._replace(
                pushdown_safe=each.pushdown_safe and pushdown_safe, nullable=each.nullable or each.from_item.nullable
            )
            for each in found
        ]
    )


def _united(one: ResolvedColumns, other: ResolvedColumns) -> ResolvedColumns:
    """Return the columns of both members of a UNION, if all are compared alike."""
    kinds = {(each.column.affinity, each.column.collation) for each in one + other}
    return one + other if one and other and len(kinds) == 1 else ()


def _column_name(found: ResolvedColumn | None) -> str | None:
    """Return the name of a resolved column, as the terms of indexes are written with it."""
    return None if found is None else fold_name(found.column.name)
