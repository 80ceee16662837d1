"""Bulk DML: run an UPDATE, a DELETE or an INSERT … SELECT without the workspace (`bulk_plan` says which).

    UPDATE t SET v = v + 1 WHERE k > 5

    fetch       the rows that its SELECT needs, in as many rounds as that
    evaluate    the compiled SELECT: each row as it is, and its new values
    write       one row block: keys, rows before and after, encoded column by column; commit checks and sends it

Loading the rows into SQLite, and hearing of each change by its hook, would take many times as long.
"""

from __future__ import annotations

from itertools import compress

from rome.errors import DataError
from rome.fallback import NeedsWorkspace
from rome.session.bulk_insert import insert_rows
from rome.session.bulk_plan import BulkDelete, BulkInsert, BulkPlan, BulkUpdate
from rome.sqlite.workspace import Result, Row
from rome.transaction.transaction import Transaction
from rome.transaction.writes.row_block import RowBlock


def write_rows(transaction: Transaction, bulk: BulkPlan, rows: list[Row]) -> Result | None:
    """Change the rows that the SELECT of a bulk plan has found. Return None, with nothing done, if SQLite must.

    Raise CatalogChanged.
    """
    if not rows:
        transaction.workspace.count_changes(0, 0, None)
        return Result([], None, 0, transaction.workspace.last_rowid)
    try:
        if type(bulk) is BulkInsert:
            if insert_rows(transaction, bulk, bulk.values_by_column(rows)) is None:
                return None
        elif type(bulk) is BulkUpdate:
            transaction.record_block(_updated(transaction, bulk, rows), len(rows), len(rows))
        elif type(bulk) is BulkDelete:
            keys = bulk.table.row_codec.encode_each(rows)
            block = RowBlock(bulk.table, keys, rows, None, None, transaction.version or 0)
            transaction.record_block(block, len(rows), len(rows))
    except (NeedsWorkspace, DataError):
        return None
    return Result([], None, len(rows), transaction.workspace.last_rowid)


def _updated(transaction: Transaction, bulk: BulkUpdate, rows: list[Row]) -> RowBlock:
    """Return the block of the rows that change. Raise NeedsWorkspace, DataError."""
    olds, news = bulk.old_and_new(rows)
    # 1 and 1.0 are equal, and not the same.
    is_changed = [
        old != new or tuple(map(type, old)) != tuple(map(type, new)) for old, new in zip(olds, news, strict=True)
    ]
    if not all(is_changed):
        olds, news = list(compress(olds, is_changed)), list(compress(news, is_changed))
    keys = bulk.table.row_codec.encode_each(olds)
    return RowBlock(bulk.table, keys, olds, news, bulk.encoded_rows(news), transaction.version or 0)
