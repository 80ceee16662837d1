"""Statements that change single rows without the workspace (see `point_plan` for which).

What the constraints need is fetched, and checked at commit, as for any other change. If a key is taken or a parent is
missing, the statement takes the way of all others, and SQLite says what is to be said. So it does where the transaction
has savepoints, or has changed anything in the workspace: from then on all of its changes are there.

What was changed directly goes into the journal, and is owed to the workspace: it is given these rows before anything
runs in it, so a later statement finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rome.catalog.key_codec import rowid_key
from rome.catalog.rows import migrate_row
from rome.errors import DataError
from rome.fallback import NeedsWorkspace
from rome.plan.plan import Plan
from rome.session.point_keys import KeyProbe
from rome.session.point_plan import PointInsert, PointUpdate, point_plan
from rome.sqlite.workspace import Parameters, Result, Row
from rome.transaction.transaction import Transaction
from rome.transaction.writes.write_set import RowWrite


class _New(NamedTuple):
    """A row to be inserted, and its number if one is given."""

    row: Row
    number: int | None
    takes: list[KeyProbe]
    parents: list[KeyProbe]


def run_point_dml(transaction: Transaction, plan: Plan, rows: Sequence[Parameters]) -> Result | None:
    """Run a plan, once for each set of parameters, without the workspace; None, with nothing done, if it must be there.

    Raises StaleCatalog.
    """
    direct = point_plan_for(transaction, plan)
    try:
        if type(direct) is PointInsert:
            return _insert(transaction, plan, direct, rows)
        if type(direct) is PointUpdate:
            return _update(transaction, direct, rows)
    except (NeedsWorkspace, DataError):
        pass
    return None


def point_plan_for(transaction: Transaction, plan: Plan) -> PointInsert | PointUpdate | None:
    """The way of a plan without the workspace, if it has one and the transaction may take it now."""
    workspace = transaction.workspace
    if transaction.savepoints or transaction.schema_changed or workspace.temporary or workspace.changes:
        return None
    if not plan.point_plan:
        plan.point_plan.append(point_plan(plan, transaction.catalog))
    found: PointInsert | PointUpdate | None = plan.point_plan[0]
    return found


def _insert(transaction: Transaction, plan: Plan, direct: PointInsert, rows: Sequence[Parameters]) -> Result | None:
    news = [_new(direct, parameters, transaction.foreign_keys) for parameters in rows]
    wanted = [need.target for new in news for need in new.takes + new.parents]
    if len(rows) > 1 and direct.table.counted:
        transaction.numbers.give(direct.table.id, [new.number for new in news if new.number is not None])
        transaction.numbers.prepare(direct.table.id, len(rows))
    if wanted:
        transaction.fetch(wanted)
    transaction.ensure_snapshot()
    taken: set[tuple[bytes, bytes]] = set()
    for new in news:
        for need in new.takes:
            place = need.of.space, need.key
            if place in taken or _is_there(transaction, need):
                return None
            taken.add(place)
        for need in new.parents:
            if not _is_there(transaction, need):
                return None
    transaction.numbers.mark()
    try:
        entries = [_entry(transaction, direct, new) for new in news]
    except NeedsWorkspace:
        transaction.numbers.back_to_mark()
        return None
    transaction.constrain(wanted)
    transaction.taken |= taken
    transaction.record_point_writes(entries)
    places = direct.returned
    returned = [tuple([entry.new[at] for at in places]) for entry in entries if entry.new] if places else []
    return Result(returned, plan.description or None, len(rows), transaction.workspace.last_rowid)


def _new(direct: PointInsert, parameters: Parameters, foreign_keys: bool) -> _New:
    row, number = direct.row(parameters)
    keys = direct.unique if number is None and direct.table.counted else direct.keys
    takes = [need for key in keys if (need := key.need(row)) is not None]
    parents = [need for each in direct.parents if (need := each.need(row)) is not None] if foreign_keys else []
    return _New(row, number, takes, parents)


def _entry(transaction: Transaction, direct: PointInsert, new: _New) -> RowWrite:
    """The journal's entry of a new row, with a number of the counter if it needs one. Raises NeedsWorkspace."""
    table, row, number = direct.table, new.row, new.number
    if table.counted and number is None:
        number = transaction.next_id(table.id)
        key = rowid_key(number)
        row = direct.with_number(row, number)
    else:
        key = new.takes[0].key
    return RowWrite(table, None, None, key, row, 1 if number is None else number, direct.encoded(row))


def _is_there(transaction: Transaction, need: KeyProbe) -> bool:
    """Whether a row has this key now."""
    of, key, target = need
    if (of.space, key) in transaction.taken:
        return True
    rows = transaction.row_cache.rows((target,))
    # What is known of an index from other reads may have led to more rows than asked for.
    return bool(rows) and any(of.of(row) == key for row in rows)


def _update(transaction: Transaction, direct: PointUpdate, rows: Sequence[Parameters]) -> Result | None:
    table, own = direct.table, transaction.own
    keys = [direct.key_of(parameters) for parameters in rows]
    row_cache = transaction.row_cache.known.get(table.id, {})
    missing = [direct.key.target(key) for key in keys if key not in row_cache]
    if missing:
        transaction.fetch(missing)
        row_cache = transaction.row_cache.known.get(table.id, {})
    transaction.ensure_snapshot()
    now: dict[bytes, Row] = {}
    entries = []
    for parameters, key in zip(rows, keys, strict=True):
        old = now.get(key) or own.get((table.id, key))
        if old is None:
            known = row_cache.get(key)
            if known is None or known.values is None:
                return None  # there is no such row
            old = migrate_row(known.values, known.table, table)
        row = now[key] = direct.row(old, parameters)
        entries.append(RowWrite(table, key, old, key, row, 0, direct.encoded(row)))
    transaction.record_point_writes(entries)
    return Result([], None, len(rows), transaction.workspace.last_rowid)
