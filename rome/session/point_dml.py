"""Point DML: run an INSERT of one row, or an UPDATE by primary key, without the workspace (`point_plan` says which).

The unique keys that a row takes, and its parents, are fetched, and checked at commit, as for any other change; or only
checked at commit (`rome.transaction.deferral`). If a key is taken or a parent is missing, the statement runs in the
workspace, so that SQLite raises the error. It also runs there if the transaction has savepoints, or has changed
anything in the workspace: from then on all changes are there.

The rows go into the write set. The workspace gets them before anything runs in it (`Workspace.defer_row`), so later
statements see them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rome.catalog.key_codec import rowid_key
from rome.catalog.rows import migrate_row
from rome.collection import collecting_later
from rome.errors import DataError
from rome.fallback import NeedsWorkspace
from rome.plan.plan import Plan
from rome.session.bulk_insert import insert_rows, requests_for
from rome.session.point_plan import PointInsert, PointUpdate, point_plan
from rome.sqlite.workspace import Parameters, Result, Row, make_result
from rome.storage.store import Demand, Get
from rome.transaction.constraints.table_keys import KeyProbe
from rome.transaction.reads.row_cache import TableRequest
from rome.transaction.transaction import Transaction
from rome.transaction.writes.row_block import RowBlock
from rome.transaction.writes.write_set import row_write
from rome.values import Columns


def run_point_dml(transaction: Transaction, plan: Plan, parameter_sets: Sequence[Parameters]) -> Result | None:
    """Run a plan without the workspace. Return None, with nothing done, if that is not possible.

    Raise CatalogChanged.
    """
    point = point_plan_for(transaction, plan)
    try:
        if type(point) is PointInsert:
            if len(parameter_sets) == 1:
                return _insert(transaction, plan, point, parameter_sets[0])
            return _insert_many(transaction, plan, point, parameter_sets)
        if type(point) is PointUpdate:
            if len(parameter_sets) == 1:
                return _update(transaction, plan, point, parameter_sets)
            return _update_many(transaction, plan, point, parameter_sets)
    except (NeedsWorkspace, DataError):
        pass
    return None


def point_plan_for(transaction: Transaction, plan: Plan) -> PointInsert | PointUpdate | None:
    """Return how to run a plan without the workspace; None if it cannot, or if the transaction must not now."""
    if must_use_workspace(transaction):
        return None
    if not plan.point_plan:
        plan.point_plan.append(point_plan(plan, transaction.catalog))
    found: PointInsert | PointUpdate | None = plan.point_plan[0]
    return found


def must_use_workspace(transaction: Transaction) -> bool:
    """Return True if a transaction must make all changes in the workspace now."""
    if transaction.savepoints or transaction.schema_changed or transaction.only_workspace:
        return True
    workspace = transaction.workspace
    return workspace.temporary or bool(workspace.recorder.changes)


def _insert(transaction: Transaction, plan: Plan, point: PointInsert, parameters: Parameters) -> Result | None:
    """Insert the row of one set of parameters."""
    row, rowid = point.row(parameters)
    keys = point.key_probes(row, rowid)
    parents = point.parent_probes(row) if transaction.foreign_keys else []
    sequences, table = transaction.sequences, point.table
    if rowid is not None:
        sequences.note_explicit(table.id, (rowid,))
    needs_id = point.is_counted and rowid is None
    may_defer = point.is_refused_at_once and transaction.may_defer()
    is_deferred = may_defer and (not needs_id or sequences.reserve_at_once(table, 1))
    if not is_deferred:
        if needs_id:
            sequences.announce(table.id, 1)
        requests = [probe.request for probe in keys + parents]
        if requests:
            transaction.fetch(requests)
        transaction.ensure_snapshot()
    for probe in keys:
        if _exists(transaction, probe):
            return None
    for probe in parents:
        if not _exists(transaction, probe) and not (is_deferred and _may_exist(transaction, probe, keys)):
            return None
    sequences.mark()
    if needs_id:
        rowid = transaction.allocate_id(table.id)
        key = rowid_key(rowid)
        row = point.with_rowid(row, rowid)
    else:
        key = keys[0].key
    try:
        write = row_write((table, None, None, key, row, 1 if rowid is None else rowid, point.encoded(row)))
    except NeedsWorkspace:
        sequences.roll_back_to_mark()
        return None
    if is_deferred:
        others = [probe for probe in parents if not transaction.is_taken(probe.codec.space, probe.key)]
        transaction.assume([probe.request for probe in keys], Demand.NO_KEYS)
        transaction.assume([probe.request for probe in others], Demand.A_KEY)
    else:
        transaction.note_constraint_reads(requests)
    transaction.record_point_writes([write], [(probe.codec.space, probe.key) for probe in keys] if keys else ())
    return _result(transaction, plan, point, [row])


def _insert_many(
    transaction: Transaction, plan: Plan, point: PointInsert, parameter_sets: Sequence[Parameters]
) -> Result | None:
    """Insert the rows of several sets of parameters."""
    with collecting_later(len(parameter_sets)):
        rows = insert_rows(transaction, point, point.values_by_column(parameter_sets), last_changes=1)
    if rows is None:
        return None
    return _result_of_many(transaction, plan, point, rows)


def _exists(transaction: Transaction, probe: KeyProbe) -> bool:
    """Return True if a row has this key now."""
    codec, key, request = probe
    if transaction.has_writes and transaction.is_taken(codec.space, key):
        return True
    rows = transaction.row_cache.rows((request,))
    if not rows or type(request.request) is Get:
        return bool(rows)
    # Lookups of other indexes that have answered the request may have brought more rows than it asks for.
    return any(codec.encode_unique(codec.take(row)) == key for row in rows)


def _may_exist(transaction: Transaction, probe: KeyProbe, own: Sequence[KeyProbe]) -> bool:
    """Return True if a row of the store may have this key, which is not that of the new row itself."""
    is_own = any((each.codec.space, each.key) == (probe.codec.space, probe.key) for each in own)
    return not is_own and bool(transaction.row_cache.missing([probe.request]))


def _update(
    transaction: Transaction, plan: Plan, point: PointUpdate, parameter_sets: Sequence[Parameters]
) -> Result | None:
    table, own_rows = point.table, transaction.write_set.point_rows
    keys = [point.key_of(parameters) for parameters in parameter_sets]
    cached = transaction.row_cache.rows_by_key(table.id)
    missing = [point.request(key) for key in keys if key not in cached]
    if missing:
        transaction.fetch(missing)
        cached = transaction.row_cache.rows_by_key(table.id)
    else:
        transaction.ensure_basis()
    updated: dict[bytes, Row] = {}
    news = []
    writes = []
    for parameters, key in zip(parameter_sets, keys, strict=True):
        old = updated.get(key) or own_rows.get((table.id, key))
        if old is None:
            row = cached.get(key)
            if row is None or row.values is None:
                return None  # there is no such row
            old = migrate_row(row.values, row.table, table)
        new = updated[key] = point.row(old, parameters)
        news.append(new)
        writes.append(row_write((table, key, old, key, new, 0, point.encoded(new))))
    transaction.record_point_writes(writes)
    return _result(transaction, plan, point, news)


def _update_many(
    transaction: Transaction, plan: Plan, point: PointUpdate, parameter_sets: Sequence[Parameters]
) -> Result | None:
    """Update the rows of several sets of parameters."""
    table, keys = point.table, point.keys_of(parameter_sets)
    if len(set(keys)) < len(keys) or transaction.write_set.has_written((table,)):
        return _update(transaction, plan, point, parameter_sets)
    cached = transaction.row_cache.rows_by_key(table.id)
    missing = sorted(key for key in keys if key not in cached)
    if missing:
        transaction.fetch([TableRequest(table, each) for each in requests_for(table.row_codec, missing)])
        cached = transaction.row_cache.rows_by_key(table.id)
    transaction.ensure_snapshot()
    olds = []
    for key in keys:
        row = cached.get(key)
        if row is None or row.values is None:
            return None  # there is no such row
        olds.append(migrate_row(row.values, row.table, table))
    old = list(zip(*olds, strict=True))
    news, data = point.rows(old, parameter_sets)
    block = RowBlock(table, keys, old, news, data, transaction.version or 0, changed=point.changed)
    transaction.record_block(block, len(keys), 1)
    return _result_of_many(transaction, plan, point, news)


def _result(transaction: Transaction, plan: Plan, point: PointInsert | PointUpdate, rows: Sequence[Row]) -> Result:
    """Return the result of a statement that has written some rows."""
    returned = list(map(point.take_returned, rows)) if point.returned else []
    return make_result((returned, plan.description or None, len(rows), transaction.workspace.last_rowid))


def _result_of_many(transaction: Transaction, plan: Plan, point: PointInsert | PointUpdate, columns: Columns) -> Result:
    """Return the result of a statement that has written many rows."""
    returned = list(zip(*[columns[at] for at in point.returned], strict=True))
    return make_result((returned, plan.description or None, len(columns[0]), transaction.workspace.last_rowid))
