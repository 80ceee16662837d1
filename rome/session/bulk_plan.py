"""Bulk plans: how an UPDATE, a DELETE or an INSERT … SELECT changes its rows without SQLite, known from its text.

The rows come from a SELECT (`rome.sql.rewrite.source_select`), which the compiled evaluator must run. As for point DML
(`rome.session.point_plan`), there is a bulk plan only where the result is certain: the table has no triggers, CHECKs or
generated columns, and the change cannot violate a constraint, except those of new rows, whose keys are probed.

    UPDATE    no column of a unique or foreign key, or of a parent's key
    DELETE    no foreign key refers to the table
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_not, ne, or_

from rome.catalog.model import Catalog, Table
from rome.folding import fold_name
from rome.plan.plan import Plan
from rome.session.point_dml import must_use_workspace
from rome.session.point_plan import PointWrite, RowInsert, is_simple, may_mismatch, stored_columns
from rome.sql.rewrite.counter_ids import omitted_values
from rome.sql.rewrite.source_select import SourceSelect, source_select
from rome.sql.syntax.operands import Const
from rome.sql.syntax.statement import Statement, StatementKind, classify
from rome.sqlite.workspace import Row
from rome.transaction.constraints.table_keys import TableKeys
from rome.transaction.transaction import Transaction
from rome.values import Columns, SqlValue


class BulkInsert(RowInsert):
    """An INSERT … SELECT."""

    def __init__(self, table: Table, keys: TableKeys, source: SourceSelect, omitted: Sequence[Const]) -> None:
        """`omitted`: what each stored column gets if the statement gives it no value."""
        super().__init__(table, keys.parents)
        self.source = source
        self.select = classify(source.sql)
        self._omitted = omitted

    def values_by_column(self, rows: Sequence[Row]) -> list[Sequence[SqlValue]]:
        """Return the stored values of each column. `rows`: those of the SELECT. Raise NeedsWorkspace."""
        given = dict(zip(self.source.columns, zip(*rows, strict=True), strict=True))
        values = [
            given.get(fold_name(column.name)) or [constant.value] * len(rows)
            for column, constant in zip(self.table.stored, self._omitted, strict=True)
        ]
        return stored_columns(values, self.columns)


class BulkUpdate(PointWrite):
    """An UPDATE."""

    def __init__(self, table: Table, source: SourceSelect) -> None:
        super().__init__(table)
        self.source = source
        self.select = classify(source.sql)
        self.changed = frozenset(source.columns)
        self._places = [table.position[name] for name in source.columns]
        self._columns = [table.by_name[name] for name in source.columns]

    def old_and_new(self, found: Columns) -> tuple[Columns, Columns, list[bool]]:
        """Return the rows before and after, and which of them change.

        `found`: what the SELECT has found. Raise NeedsWorkspace.
        """
        width = len(self.table.stored)
        olds = found[:width]
        news, changes = list(olds), []
        for place, column in zip(self._places, stored_columns(found[width:], self._columns), strict=True):
            news[place] = column
            changes.append(_differ(olds[place], column))
        return olds, news, changes[0] if len(changes) == 1 else list(map(any, zip(*changes, strict=True)))


def _differ(old: Sequence[SqlValue], new: Sequence[SqlValue]) -> list[bool]:
    """Return which values are not the same: 1 and 1.0 are equal, and not the same."""
    differ = list(map(ne, old, new))
    if len({*map(type, old), *map(type, new)}) == 1:
        return differ
    return list(map(or_, differ, map(is_not, map(type, old), map(type, new))))


class BulkDelete:
    """A DELETE."""

    def __init__(self, table: Table, source: SourceSelect) -> None:
        self.table = table
        self.source = source
        self.select = classify(source.sql)


BulkPlan = BulkInsert | BulkUpdate | BulkDelete


def bulk_plan_for(transaction: Transaction, plan: Plan, sql: str) -> BulkPlan | None:
    """Return how to run a plan without the workspace; None if it cannot, or if the transaction must not now.

    `sql`: the statement as the application wrote it.
    """
    if must_use_workspace(transaction):
        return None
    if not plan.bulk_plan:
        plan.bulk_plan.append(_bulk_plan(plan.statement, sql, plan.target, transaction.catalog))
    found: BulkPlan | None = plan.bulk_plan[0]
    return found


def _bulk_plan(statement: Statement, sql: str, table: Table | None, catalog: Catalog) -> BulkPlan | None:
    if table is None or not is_simple(table, catalog):
        return None
    source = source_select(statement, sql, table)
    if source is None or classify(source.sql).kind is not StatementKind.SELECT:
        return None
    keys = TableKeys(catalog, table)
    if may_mismatch(table, keys):
        return None
    if statement.kind is StatementKind.UPDATE:
        return BulkUpdate(table, source) if keys.columns.isdisjoint(source.columns) else None
    if statement.kind is StatementKind.DELETE:
        return None if keys.children else BulkDelete(table, source)
    omitted = omitted_values(table)
    constants = [each for column in table.stored if isinstance(each := omitted[fold_name(column.name)], Const)]
    return BulkInsert(table, keys, source, constants) if len(constants) == len(table.stored) else None
