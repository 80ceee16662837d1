"""What the rows of a query block come from, one by one: a table, perhaps one that stands in a subselect in FROM.

    SELECT * FROM (SELECT id AS i, created AS c FROM p WHERE a = ? UNION SELECT id, created FROM p WHERE b = ?) AS u …

Each row of u comes from one of p; and its columns i and c are the same columns of p in every member of the UNION.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from rome.sql.analysis.extract_predicates import Facts
from rome.sql.analysis.resolve_names import Found
from rome.sql.analysis.scopes import Scope, Scopes, TableRef


@dataclass(frozen=True, slots=True)
class DrivingTable:
    """What the rows of a scope come from, as `own` hands them on: a table, which is `own` itself or stands in it."""

    own: TableRef
    table_refs: tuple[TableRef, ...]
    """More than one, if they stand in the members of a UNION."""

    def column(self, facts: Facts, scope: Scope, node: exp.Expr) -> Found | None:
        """The column that a name stands for, if it is of the table, and the same everywhere."""
        found = facts.names.find_all(scope, node)
        is_it = all(each.own is self.own for each in found) and len({each.column for each in found}) == 1
        return found[0] if is_it and tuple(each.table_ref for each in found) == self.table_refs else None


def driving_table_of(scopes: Scopes, scope: Scope, own: TableRef, facts: Facts) -> DrivingTable | None:
    """What a table reference's rows come from; None if a row of it may come from several, or that is not known."""
    if own.table is not None:
        return DrivingTable(own, (own,))
    terms = order_terms(scope.node)
    found = facts.names.find_all(scope, meant(scope, terms[0].this.unnest())) if terms else ()
    members = _members(own.node.this) if isinstance(own.node, exp.Subquery) else None
    if not found or members is None or len(members) != len(found):
        return None
    for member, each in zip(members, found, strict=True):
        inner = scopes.of(member)
        if inner is None or not each.narrows or each.nullable or each.table_ref not in inner.table_refs:
            return None
    tables = {each.table_ref.table.id for each in found if each.table_ref.table is not None}
    return DrivingTable(own, tuple(each.table_ref for each in found)) if len(tables) == 1 else None


def _members(node: exp.Expr) -> list[exp.Expr] | None:
    """The SELECTs of a UNION, or the only one; None if one is taken away from another."""
    if not isinstance(node, exp.SetOperation):
        return [node]
    if not isinstance(node, exp.Union):
        return None
    first, second = (_members(node.args[part]) for part in ("this", "expression"))
    return None if first is None or second is None else first + second


def meant(scope: Scope, node: exp.Expr) -> exp.Expr:
    """What a term of ORDER BY stands for, which may be an alias."""
    if isinstance(node, exp.Column) and not node.table:
        for each in scope.node.expressions:
            if isinstance(each, exp.Alias) and each.alias.lower() == node.name.lower():
                return each.unalias().unnest()
    return node


def order_terms(node: exp.Expr) -> list[exp.Ordered]:
    """The terms of a query block's ORDER BY."""
    order = node.args.get("order")
    return [] if order is None else list(order.expressions)
