"""Name resolution: the column, of which table reference, that a name in a scope stands for.

    SELECT anon.id FROM (SELECT p.id FROM p LIMIT 10) AS anon       anon.id is the column id of p

A name is looked up in its own scope first and then in the enclosing ones, as SQLite does. Through a derived table or a
CTE it leads on to the column of a table that the inner query projects unchanged. Through a UNION it leads to one column
in each member, provided that all of them are compared alike; through max() and min() to the column that they choose
a value of.

If there is any doubt (an ambiguous name, an item whose columns are not known), the name resolves to nothing, and no
predicate on it is pushed down.
"""

from __future__ import annotations

from collections import Counter
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
        names = {fold_name(name) for name in (*table.key, table.counted or "")} if table is not None else set()
        return self.column.not_null or fold_name(self.column.name) in names


ResolvedColumns = tuple[ResolvedColumn, ...]
"""One column, or one in each member of a UNION; empty if the name cannot be resolved for certain."""

SelectList = list[tuple[str, ResolvedColumns]]
"""The columns of a query in their order, with their names in lower case."""

_UNION_PARTS = frozenset({"this", "expression", "distinct", "order", "limit", "offset"})
"""The parts of a set operation that this module knows."""


class NameResolver:
    """Resolve the names of one statement."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._columns: dict[int, dict[str, ResolvedColumns] | None] = {}

    def resolve(self, scope: Scope, node: exp.Expr) -> ResolvedColumns:
        """Return the columns that a name, or an indexed expression, stands for in a scope."""
        if isinstance(node, exp.Column):
            return self._resolve_name(scope, node)
        found = self._resolve_expression(scope, node)
        return () if found is None else (found,)

    def resolve_one(self, scope: Scope, node: exp.Expr) -> ResolvedColumn | None:
        """Return the column that a name, or an indexed expression, stands for; None if there are several."""
        found = self.resolve(scope, node)
        return found[0] if len(found) == 1 else None

    def _resolve_expression(self, scope: Scope, node: exp.Expr) -> ResolvedColumn | None:
        """Resolve an expression over the columns of one table that the table has an index on."""
        found = [_only(self._resolve_name(scope, column)) for column in node.find_all(exp.Column)]
        first = found[0] if found else None
        if first is None or first.from_item is not first.table_ref or first.table_ref.table is None:
            return None
        if any(each is None or each.table_ref is not first.table_ref for each in found):
            return None
        table = first.table_ref.table
        indexed = [column for index in table.indexes if index.computed for column in index_columns(table, index)]
        if not indexed:
            return None
        text = normalize_expression(node, lambda column: _column_name(_only(self._resolve_name(scope, column))))
        column = next((each for each in indexed if text is not None and each == expression_column(text)), None)
        return first._replace(column=column) if column is not None else None

    def _resolve_name(self, scope: Scope, node: exp.Column) -> ResolvedColumns:
        name, qualifier = fold_name(node.name), fold_name(node.table)
        if node.args.get("db") or isinstance(node.this, exp.Star):
            return ()
        at: Scope | None = scope
        while at is not None:
            if at.merges_names and not qualifier:
                return ()
            candidates = [one for one in at.table_refs if one.name == qualifier] if qualifier else at.table_refs
            if qualifier and len(candidates) > 1:
                return ()
            found = [each for one in candidates if (each := self._resolve_in(one, name, len(candidates) == 1))]
            if found:
                return found[0] if len(found) == 1 else ()
            if not self._may_be_correlated(at, name, qualifier, candidates):
                return ()
            at = self._scopes.enclosing(at)
        return ()

    def _may_be_correlated(self, scope: Scope, name: str, qualifier: str, candidates: list[TableRef]) -> bool:
        """Return True if a name that no candidate has is certainly none of this scope, so that an outer one has it."""
        if qualifier:
            return not candidates
        if name in ROWID_NAMES or any(fold_name(each.alias) == name for each in scope.node.expressions):
            return False
        return all(self._lacks_column(one, name) for one in candidates)

    def _lacks_column(self, table_ref: TableRef, name: str) -> bool:
        """Return True if an item of FROM certainly has no such column."""
        if table_ref.table is not None:
            return name not in table_ref.table.by_name
        columns = self.columns_of(table_ref)
        return columns is not None and name not in columns and "" not in columns

    def _resolve_in(self, table_ref: TableRef, name: str, alone: bool) -> ResolvedColumns:
        if table_ref.table is not None:
            column = table_ref.table.by_name.get(name) or _rowid_by_name(table_ref.table, name, alone)
            return (ResolvedColumn(table_ref, table_ref, column),) if column is not None else ()
        return _seen_through(table_ref, (self.columns_of(table_ref) or {}).get(name, ()))

    # ── the columns of derived tables ─────────────────────────────────────────────────────────────────────────────

    def columns_of(self, table_ref: TableRef) -> dict[str, ResolvedColumns] | None:
        """Return the columns of a derived table by name in lower case, '' for one without a name; None: not known."""
        key = id(table_ref)
        if key not in self._columns:
            self._columns[key] = None  # the answer to a recursive question
            self._columns[key] = self._derive_columns(table_ref)
        return self._columns[key]

    def _derive_columns(self, table_ref: TableRef) -> dict[str, ResolvedColumns] | None:
        node = table_ref.node
        if isinstance(node, exp.Subquery):
            listed = self._project(node.this, pushdown_safe=True)
        else:
            cte = self._scopes.cte_of(node)
            # A CTE may have several references, each with its own predicates.
            listed = self._project(cte.this, pushdown_safe=False) if cte is not None else None
        if listed is None:
            return None
        names = Counter([name for name, _ in listed])
        return {name: found if names[name] == 1 else () for name, found in listed}

    def _project(self, node: exp.Expr, pushdown_safe: bool) -> SelectList | None:
        """Return the columns of a query as seen from outside; None if they are not known."""
        if isinstance(node, exp.SetOperation):
            return self._project_union(node, pushdown_safe)
        scope = self._scopes.of(node)
        if scope is None:
            return None
        pushdown_safe = pushdown_safe and is_pushdown_safe(scope.node)
        listed = [self._read_select_item(scope, each) for each in scope.node.expressions]
        if any(each is None for each in listed):
            return None
        pairs = [pair for each in listed for pair in each or ()]
        return [(name, _seen_from_outside(scope, found, pushdown_safe)) for name, found in pairs]

    def _project_union(self, node: exp.SetOperation, pushdown_safe: bool) -> SelectList | None:
        """Return the columns of a set operation, which have the names of its first member.

        A predicate on them may be pushed down into each member of UNION, EXCEPT and INTERSECT: equal rows fulfil it or
        reject it together.
        """
        if any(part for name, part in node.args.items() if name not in _UNION_PARTS):
            return None
        pushdown_safe = pushdown_safe and not node.args.get("limit")
        first, second = [self._project(node.args[part], pushdown_safe) for part in ("this", "expression")]
        if first is None or second is None or len(first) != len(second):
            return None
        return [(name, _united(one, other)) for (name, one), (_, other) in zip(first, second, strict=True)]

    def _read_select_item(self, scope: Scope, node: exp.Expr) -> SelectList | None:
        """Return the columns of one item of a select list; None if they are not known."""
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            return self._expand_star(scope, node)
        inner = node.unalias().unnest()
        found: ResolvedColumns = ()
        if isinstance(inner, exp.Column):
            found = self._resolve_name(scope, inner)
        elif isinstance(inner, (exp.Max, exp.Min)) and isinstance(inner.this, exp.Column) and not inner.expressions:
            found = tuple([each._replace(nullable=True) for each in self._resolve_name(scope, inner.this)])
        return [(fold_name(node.alias_or_name), found)]

    def _expand_star(self, scope: Scope, node: exp.Expr) -> SelectList | None:
        """Return the columns of `*` or `t.*`."""
        qualifier = fold_name(node.args["table"].name) if node.args.get("table") else ""
        if scope.merges_names or any(node.args.get(part) for part in ("except_", "except", "replace", "rename")):
            return None
        pairs: SelectList = []
        for one in scope.table_refs:
            if qualifier and one.name != qualifier:
                continue
            if one.table is not None:
                pairs += [(name, (ResolvedColumn(one, one, column),)) for name, column in one.table.by_name.items()]
                continue
            columns = self.columns_of(one)
            if columns is None:
                return None
            pairs += [(name, _seen_through(one, found)) for name, found in columns.items()]
        return pairs


def _only(found: ResolvedColumns) -> ResolvedColumn | None:
    return found[0] if len(found) == 1 else None


def _seen_through(from_item: TableRef, found: ResolvedColumns) -> ResolvedColumns:
    """Return the same columns as those of a derived table."""
    return tuple([each._replace(from_item=from_item) for each in found])


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


def _rowid_by_name(table: Table, name: str, alone: bool) -> Column | None:
    """Return the counted column for one of its hidden names, if no other item of FROM could have that name."""
    if not alone or name not in rowid_names(table):
        return None
    return table.by_name.get(fold_name(str(table.counted))) or rowid_column(table)
