"""What a name in a statement stands for: a column of which occurrence, in which scope.

A name is looked up in its own scope first, then in those around it, as SQLite does. Through the columns of a subselect
in FROM, or of a CTE, it leads on to the column of a table that they hand out as it is:

    SELECT anon.id FROM (SELECT p.id FROM p LIMIT 10) AS anon       anon.id is the column id of p

Where there is any doubt (a name of two meanings, something that has columns which are not known), the name stands for
nothing, and narrows nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlglot import exp

from rome.catalog.affinity import Affinity
from rome.catalog.model import Column, Table
from rome.sql.expressions import expression_column, index_columns, written
from rome.sql.plain import is_plain
from rome.sql.rowids import ROWID_NAMES, rowid_names
from rome.sql.scopes import Occurrence, Scope, Scopes


class Found(NamedTuple):
    """A column of a table's occurrence.

    `own` is the occurrence that the name itself speaks of: the same one, or the subselect that hands the column out.
    `narrows`: rows of the table without the wanted value in this column can't matter to what looks at `own`.
    `nullable`: the subselect may hand out a NULL in place of the column's value.
    """

    own: Occurrence
    occurrence: Occurrence
    column: Column
    narrows: bool = True
    nullable: bool = False

    @property
    def is_never_null(self) -> bool:
        """Whether no row of the table has NULL in the column."""
        table = self.occurrence.table
        names = {name.lower() for name in (*table.key, table.counted or "")} if table is not None else set()
        return self.column.not_null or self.column.name.lower() in names


Columns = dict[str, Found | None]
"""What each column of a subselect stands for, by name in lower case. None: a column, but none of a table."""


class Names:
    """Looks names up."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._columns: dict[int, Columns | None] = {}

    def find(self, scope: Scope, node: exp.Expr) -> Found | None:
        """What a name, or an indexed expression, in this scope stands for, if that is certain."""
        return self._name(scope, node) if isinstance(node, exp.Column) else self._expression(scope, node)

    def _expression(self, scope: Scope, node: exp.Expr) -> Found | None:
        found = [self._name(scope, column) for column in node.find_all(exp.Column)]
        first = found[0] if found else None
        if first is None or first.own is not first.occurrence or first.occurrence.table is None:
            return None
        if any(each is None or each.occurrence is not first.occurrence for each in found):
            return None
        table = first.occurrence.table
        indexed = [column for index in table.indexes if index.computed for column in index_columns(table, index)]
        if not indexed:
            return None
        text = written(node, lambda column: found_name(self._name(scope, column)))
        column = next((each for each in indexed if text is not None and each == expression_column(text)), None)
        return first._replace(column=column) if column is not None else None

    def _name(self, scope: Scope, node: exp.Column) -> Found | None:
        name, qualifier = node.name.lower(), node.table.lower()
        if node.args.get("db") or isinstance(node.this, exp.Star):
            return None
        at: Scope | None = scope
        while at is not None:
            if at.merges_names and not qualifier:
                return None
            candidates = [one for one in at.occurrences if one.name == qualifier] if qualifier else at.occurrences
            if qualifier and len(candidates) > 1:
                return None
            found = [each for one in candidates if (each := self._column(one, name, len(candidates) == 1))]
            if found:
                return found[0] if len(found) == 1 else None
            if not self._is_free(at, name, qualifier, candidates):
                return None
            at = self._scopes.around(at)
        return None

    def _is_free(self, scope: Scope, name: str, qualifier: str, candidates: list[Occurrence]) -> bool:
        """Whether a name that leads to no column here certainly means nothing else, and is to be looked up around."""
        if qualifier:
            return not candidates
        if name in ROWID_NAMES or any(each.alias.lower() == name for each in scope.node.expressions):
            return False
        return all(self._lacks(one, name) for one in candidates)

    def _lacks(self, occurrence: Occurrence, name: str) -> bool:
        """Whether it is certain that an occurrence has no such column."""
        if occurrence.table is not None:
            return name not in occurrence.table.by_name
        columns = self.columns(occurrence)
        return columns is not None and name not in columns and "" not in columns

    def _column(self, occurrence: Occurrence, name: str, alone: bool) -> Found | None:
        if occurrence.table is not None:
            column = _table_column(occurrence.table, name, alone)
            return Found(occurrence, occurrence, column) if column is not None else None
        found = (self.columns(occurrence) or {}).get(name)
        return found._replace(own=occurrence) if found is not None else None

    def columns(self, occurrence: Occurrence) -> Columns | None:
        """The columns of what is no table; None if they are not known. One without a name is entered under ''."""
        key = id(occurrence)
        if key not in self._columns:
            self._columns[key] = None  # the answer to who asks while it is found out
            self._columns[key] = self._of_item(occurrence)
        return self._columns[key]

    def _of_item(self, occurrence: Occurrence) -> Columns | None:
        node = occurrence.node
        if isinstance(node, exp.Subquery):
            inner = self._scopes.of(node.this)
            return None if inner is None else self._handed_out(inner, is_plain(inner.node))
        cte = self._scopes.cte_of(node)
        inner = self._scopes.of(cte.this) if cte is not None else None
        if inner is None:
            return None
        return self._handed_out(inner, narrows=False)  # it may be named more than once

    def _handed_out(self, scope: Scope, narrows: bool) -> Columns | None:
        """What the columns of a query block stand for, seen from outside of it."""
        columns: Columns = {}
        for node in scope.node.expressions:
            listed = self._listed(scope, node)
            if listed is None:
                return None
            for name, found in listed:
                columns[name] = None if name in columns else _from_outside(scope, found, narrows)
        return columns

    def _listed(self, scope: Scope, node: exp.Expr) -> list[tuple[str, Found | None]] | None:
        """The columns that a member of a SELECT's list makes; None if they are not known."""
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            return self._starred(scope, node)
        inner = node.unalias().unnest()
        found = self._name(scope, inner) if isinstance(inner, exp.Column) else None
        return [(node.alias_or_name.lower(), found)]

    def _starred(self, scope: Scope, node: exp.Expr) -> list[tuple[str, Found | None]] | None:
        """The columns that `*` or `t.*` stands for."""
        qualifier = node.args["table"].name.lower() if node.args.get("table") else ""
        if scope.merges_names or any(node.args.get(part) for part in ("except_", "except", "replace", "rename")):
            return None
        pairs: list[tuple[str, Found | None]] = []
        for one in scope.occurrences:
            if qualifier and one.name != qualifier:
                continue
            if one.table is not None:
                pairs += [(name, Found(one, one, column)) for name, column in one.table.by_name.items()]
                continue
            columns = self.columns(one)
            if columns is None:
                return None
            pairs += [(name, found and found._replace(own=one)) for name, found in columns.items()]
        return pairs


def found_name(found: Found | None) -> str | None:
    """The name of the column that was found, as indexes are written with it."""
    return None if found is None else found.column.name.lower()


def _from_outside(scope: Scope, found: Found | None, narrows: bool) -> Found | None:
    """A column that a query block hands out. One of a scope around it has no rows of its own here."""
    if found is None or not any(found.own is one for one in scope.occurrences):
        return None
    return found._replace(narrows=found.narrows and narrows, nullable=found.nullable or found.own.nullable)


def _table_column(table: Table, name: str, alone: bool) -> Column | None:
    """The column of a table; a name of the hidden rowid only where no other occurrence could have it."""
    if name not in table.by_name and alone and name in rowid_names(table):
        name = str(table.counted).lower()
        return table.by_name.get(name) or rowid_column(table)
    return table.by_name.get(name)


def rowid_column(table: Table) -> Column:
    """The hidden rowid as a column."""
    return Column(str(table.counted), -1, Affinity.INTEGER)
