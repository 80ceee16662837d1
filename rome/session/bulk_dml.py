"""Bulk DML: run an UPDATE, a DELETE or an INSERT … SELECT without the workspace (`bulk_plan` says which).

    UPDATE t SET v = v + 1 WHERE k > 5

    fetch       the rows that its SELECT needs, in as many rounds as that
    evaluate    the compiled SELECT: each row as it is, and its new values
    write       one row block: keys, rows before and after, encoded column by column; commit checks and sends it

Loading the rows into SQLite, and hearing of each change by its hook, would take many times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import compress

from rome.catalog.model import Table
from rome.errors import DataError
from rome.fallback import NeedsWorkspace
from rome.session.bulk_insert import insert_rows
from rome.session.bulk_plan import BulkDelete, BulkInsert, BulkPlan, BulkUpdate
from rome.sqlite.workspace import Result, Row
from rome.storage.store import LAST, Count, EmptiesSpaces, rows_space
from rome.transaction.reads.row_cache import whole
from rome.transaction.snapshot import Isolation
from rome.transaction.transaction import Transaction
from rome.transaction.writes.row_block import RowBlock
from rome.transaction.writes.whole_table import WholeTable, deleted_rows
from rome.values import Columns

_MANY = 1000
"""So many rows are deleted together."""


def delete_all(transaction: Transaction, table: Table) -> Result | None:
    """Delete all rows of a table, of which only their number is read. Return None if they must be read.

    That is so where the store must delete them one by one, or where the rows are few: then deleting them disturbs
    nobody who inserts others. Raise CatalogChanged.
    """
    database, statistics = transaction.database, transaction.database.statistics
    if not isinstance(database.store, EmptiesSpaces) or transaction.later_tables or transaction.is_guarded:
        return None
    if transaction.isolation is Isolation.READ_COMMITTED:
        return None
    if statistics.has_row_count(table) and statistics.row_count(table) < _MANY:
        return None
    number = transaction.count(table, Count(rows_space(table.id), ((b"", LAST),)))
    statistics.note_row_count(table, number)
    if number:
        read = partial(_read_all, transaction, table)
        transaction.record_block(WholeTable(table, transaction.version or 0, read), number, number)
    else:
        transaction.workspace.count_changes(0, 0, None)
    return Result([], None, number, transaction.workspace.last_rowid)


def _read_all(transaction: Transaction, table: Table) -> Sequence[Row]:
    """Return all rows of a table."""
    requests = [whole(table)]
    transaction.fetch(requests)
    return transaction.row_cache.rows(requests)


def write_rows(transaction: Transaction, bulk: BulkPlan, rows: list[Row]) -> Result | None:
    """Change the rows that the SELECT of a bulk plan has found. Return None, with nothing done, if SQLite must.

    Raise CatalogChanged.
    """
    if not rows:
        transaction.workspace.count_changes(0, 0, None)
        return Result([], None, 0, transaction.workspace.last_rowid)
    number, since = len(rows), transaction.version or 0
    try:
        if type(bulk) is BulkInsert:
            if insert_rows(transaction, bulk, bulk.values_by_column(rows)) is None:
                return None
        elif type(bulk) is BulkUpdate:
            transaction.record_block(_updated(bulk, list(zip(*rows, strict=True)), since), number, number)
        elif type(bulk) is BulkDelete:
            transaction.record_block(deleted_rows(bulk.table, rows, since), number, number)
    except (NeedsWorkspace, DataError):
        return None
    return Result([], None, number, transaction.workspace.last_rowid)


def _updated(bulk: BulkUpdate, found: Columns, since: int) -> RowBlock:
    """Return the block of the rows that change. Raise NeedsWorkspace, DataError."""
    olds, news, is_changed = bulk.old_and_new(found)
    if not all(is_changed):
        olds, news = ([list(compress(column, is_changed)) for column in columns] for columns in (olds, news))
    keys, data = bulk.table.row_codec.encode_each(olds), bulk.encoded_rows(news)
    return RowBlock(bulk.table, keys, olds, news, data, since, changed=bulk.changed)
