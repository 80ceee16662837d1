"""What a name in a statement stands for: a column of which table reference, in which scope.

A name is looked up in its own scope first, then in those around it, as SQLite does. Through the columns of a subselect
in FROM, or of a CTE, it leads on to the column of a table that they hand out as it is:

    SELECT anon.id FROM (SELECT p.id FROM p LIMIT 10) AS anon       anon.id is the column id of p

Through a UNION it leads to one column in each of its members, which must be compared alike; through max() and min() to
the column of which they hand out a value.

Where there is any doubt (a name of two meanings, something that has columns which are not known), the name stands for
nothing, and narrows nothing.


The names under which a statement reaches a table's counted column.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from sqlglot import exp

from rome.catalog.model import Column, Table
from rome.sql.analysis.index_expressions import expression_column, index_columns, written
from rome.sql.analysis.scopes import Scope, Scopes, TableRef, is_pushdown_safe
from rome.values import Affinity


class Found(NamedTuple):
    """A column of a table's table reference.

    `own` is the table reference that the name itself speaks of: the same one, or the subselect that hands the column
    out. `narrows`: rows of the table without the wanted value in this column can't matter to what looks at `own`.
    `nullable`: the subselect may hand out a NULL in place of the column's value.
    """

    own: TableRef
    table_ref: TableRef
    column: Column
    narrows: bool = True
    nullable: bool = False

    @property
    def is_never_null(self) -> bool:
        """Whether no row of the table has NULL in the column."""
        table = self.table_ref.table
        names = {name.lower() for name in (*table.key, table.counted or "")} if table is not None else set()
        return self.column.not_null or self.column.name.lower() in names


Alike = tuple[Found, ...]
"""The columns that a name stands for: one, or one in each member of a UNION. None if that is not certain."""

Columns = dict[str, Alike]
"""What each column of a subselect stands for, by name in lower case."""


Listed = list[tuple[str, Alike]]
"""Columns in their order, with their names in lower case."""

_MEMBERS = frozenset({"this", "expression", "distinct", "order", "limit", "offset"})
"""The parts of a UNION that are understood."""


class Names:
    """Looks names up."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._columns: dict[int, Columns | None] = {}

    def find(self, scope: Scope, node: exp.Expr) -> Found | None:
        """What a name, or an indexed expression, in this scope stands for, if that is certain, and one column."""
        return _only(self._name(scope, node)) if isinstance(node, exp.Column) else self._expression(scope, node)

    def find_all(self, scope: Scope, node: exp.Expr) -> Alike:
        """The same; the columns in all members of a UNION."""
        if isinstance(node, exp.Column):
            return self._name(scope, node)
        found = self._expression(scope, node)
        return () if found is None else (found,)

    def _expression(self, scope: Scope, node: exp.Expr) -> Found | None:
        found = [_only(self._name(scope, column)) for column in node.find_all(exp.Column)]
        first = found[0] if found else None
        if first is None or first.own is not first.table_ref or first.table_ref.table is None:
            return None
        if any(each is None or each.table_ref is not first.table_ref for each in found):
            return None
        table = first.table_ref.table
        indexed = [column for index in table.indexes if index.computed for column in index_columns(table, index)]
        if not indexed:
            return None
        text = written(node, lambda column: found_name(_only(self._name(scope, column))))
        column = next((each for each in indexed if text is not None and each == expression_column(text)), None)
        return first._replace(column=column) if column is not None else None

    def _name(self, scope: Scope, node: exp.Column) -> Alike:
        name, qualifier = node.name.lower(), node.table.lower()
        if node.args.get("db") or isinstance(node.this, exp.Star):
            return ()
        at: Scope | None = scope
        while at is not None:
            if at.merges_names and not qualifier:
                return ()
            candidates = [one for one in at.table_refs if one.name == qualifier] if qualifier else at.table_refs
            if qualifier and len(candidates) > 1:
                return ()
            found = [each for one in candidates if (each := self._column(one, name, len(candidates) == 1))]
            if found:
                return found[0] if len(found) == 1 else ()
            if not self._is_free(at, name, qualifier, candidates):
                return ()
            at = self._scopes.around(at)
        return ()

    def _is_free(self, scope: Scope, name: str, qualifier: str, candidates: list[TableRef]) -> bool:
        """Whether a name that leads to no column here certainly means nothing else, and is to be looked up around."""
        if qualifier:
            return not candidates
        if name in ROWID_NAMES or any(each.alias.lower() == name for each in scope.node.expressions):
            return False
        return all(self._lacks(one, name) for one in candidates)

    def _lacks(self, table_ref: TableRef, name: str) -> bool:
        """Whether it is certain that a table reference has no such column."""
        if table_ref.table is not None:
            return name not in table_ref.table.by_name
        columns = self.columns(table_ref)
        return columns is not None and name not in columns and "" not in columns

    def _column(self, table_ref: TableRef, name: str, alone: bool) -> Alike:
        if table_ref.table is not None:
            column = _table_column(table_ref.table, name, alone)
            return (Found(table_ref, table_ref, column),) if column is not None else ()
        return _of(table_ref, (self.columns(table_ref) or {}).get(name, ()))

    def columns(self, table_ref: TableRef) -> Columns | None:
        """The columns of what is no table; None if they are not known. One without a name is entered under ''."""
        key = id(table_ref)
        if key not in self._columns:
            self._columns[key] = None  # the answer to who asks while it is found out
            self._columns[key] = self._of_item(table_ref)
        return self._columns[key]

    def _of_item(self, table_ref: TableRef) -> Columns | None:
        node = table_ref.node
        if isinstance(node, exp.Subquery):
            listed = self._handed_out(node.this, narrows=True)
        else:
            cte = self._scopes.cte_of(node)
            # It may be named more than once.
            listed = self._handed_out(cte.this, narrows=False) if cte is not None else None
        if listed is None:
            return None
        names = Counter(name for name, _ in listed)
        return {name: found if names[name] == 1 else () for name, found in listed}

    def _handed_out(self, node: exp.Expr, narrows: bool) -> Listed | None:
        """What the columns of a query stand for, seen from outside of it. None: they are not known."""
        if isinstance(node, exp.SetOperation):
            return self._of_members(node, narrows)
        scope = self._scopes.of(node)
        if scope is None:
            return None
        narrows = narrows and is_pushdown_safe(scope.node)
        listed = [self._listed(scope, each) for each in scope.node.expressions]
        if any(each is None for each in listed):
            return None
        pairs = [pair for each in listed for pair in each or ()]
        return [(name, _from_outside(scope, found, narrows)) for name, found in pairs]

    def _of_members(self, node: exp.SetOperation, narrows: bool) -> Listed | None:
        """The columns of a UNION, which are called as in its first member. (EXCEPT and INTERSECT are no different.)

        A condition on what comes out may be asked of each member: rows that are the same fulfil it or not together.
        """
        if any(part for name, part in node.args.items() if name not in _MEMBERS):
            return None
        narrows = narrows and not node.args.get("limit")
        first, second = (self._handed_out(node.args[part], narrows) for part in ("this", "expression"))
        if first is None or second is None or len(first) != len(second):
            return None
        return [(name, _alike(one, other)) for (name, one), (_, other) in zip(first, second, strict=True)]

    def _listed(self, scope: Scope, node: exp.Expr) -> Listed | None:
        """The columns that a member of a SELECT's list makes; None if they are not known."""
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            return self._starred(scope, node)
        inner = node.unalias().unnest()
        found: Alike = ()
        if isinstance(inner, exp.Column):
            found = self._name(scope, inner)
        elif isinstance(inner, (exp.Max, exp.Min)) and isinstance(inner.this, exp.Column) and not inner.expressions:
            found = tuple(each._replace(nullable=True) for each in self._name(scope, inner.this))
        return [(node.alias_or_name.lower(), found)]

    def _starred(self, scope: Scope, node: exp.Expr) -> Listed | None:
        """The columns that `*` or `t.*` stands for."""
        qualifier = node.args["table"].name.lower() if node.args.get("table") else ""
        if scope.merges_names or any(node.args.get(part) for part in ("except_", "except", "replace", "rename")):
            return None
        pairs: Listed = []
        for one in scope.table_refs:
            if qualifier and one.name != qualifier:
                continue
            if one.table is not None:
                pairs += [(name, (Found(one, one, column),)) for name, column in one.table.by_name.items()]
                continue
            columns = self.columns(one)
            if columns is None:
                return None
            pairs += [(name, _of(one, found)) for name, found in columns.items()]
        return pairs


def _only(found: Alike) -> Found | None:
    return found[0] if len(found) == 1 else None


def _of(own: TableRef, found: Alike) -> Alike:
    """The same columns, in the words of another table reference."""
    return tuple(each._replace(own=own) for each in found)


def _alike(one: Alike, other: Alike) -> Alike:
    """The columns of both, if all are compared alike."""
    kinds = {(each.column.affinity, each.column.collation) for each in one + other}
    return one + other if one and other and len(kinds) == 1 else ()


def found_name(found: Found | None) -> str | None:
    """The name of the column that was found, as indexes are written with it."""
    return None if found is None else found.column.name.lower()


def _from_outside(scope: Scope, found: Alike, narrows: bool) -> Alike:
    """What a query block hands out as a column. One of a scope around it has no rows of its own here."""
    if not all(any(each.own is one for one in scope.table_refs) for each in found):
        return ()
    return tuple(
        each._replace(narrows=each.narrows and narrows, nullable=each.nullable or each.own.nullable) for each in found
    )


def _table_column(table: Table, name: str, alone: bool) -> Column | None:
    """The column of a table; a name of the hidden rowid only where no other table reference could have it."""
    if name not in table.by_name and alone and name in rowid_names(table):
        name = str(table.counted).lower()
        return table.by_name.get(name) or rowid_column(table)
    return table.by_name.get(name)


def rowid_column(table: Table) -> Column:
    """The hidden rowid as a column."""
    return Column(str(table.counted), -1, Affinity.INTEGER)


ROWID_NAMES = ("rowid", "_rowid_", "oid")


def rowid_names(table: Table) -> frozenset[str]:
    """In lower case, every name of the counted column: its own, and SQLite's three that no real column has taken.

    Empty if the table has no counted column.
    """
    if table.counted is None:
        return frozenset()
    hidden = {name for name in ROWID_NAMES if name not in table.by_name}
    return frozenset(hidden | {table.counted.lower()})
