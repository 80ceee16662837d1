"""SELECT … FOR UPDATE: take row locks in key order, then read the newest version.

ROME's transactions do not wait for each other. If two write the same row, the second to commit gets a Conflict and must
run again. For a row that many transactions want, it is better to queue: `SELECT … FOR UPDATE` blocks other
`SELECT … FOR UPDATE` statements on the same rows until the transaction ends.

    1  evaluate the SELECT with the keys of its rows (`rome.sql.rewrite.row_keys`)
    2  lock the rows that are not locked yet, in key order, all in one round trip
    3  if nothing was committed in between: done
       else, if the transaction had read nothing before: forget what was read, evaluate again at the newest version
       else: go on only if nobody has written these rows, or in the key ranges that the statement has read, since the
       read version; otherwise raise Conflict

Under READ COMMITTED step 3 always evaluates again. The locks are released when the transaction ends. Where no row is
found, the ranges are checked all the same: a row that another transaction has inserted is a Conflict, never missing.

`FOR UPDATE OF t, …` locks the rows of these tables only. The other items of FROM may then be views and subqueries.

If the result does not tell which rows it comes from (DISTINCT, GROUP BY, aggregates, UNION, views), every row that was
fetched of the tables is locked, as MySQL does.

Guarantees
    * Of the transactions that use FOR UPDATE, one at a time has a row, and it sees what the one before committed.
    * Locks only make others wait; commit decides what is correct. It checks that nobody has written the locked rows,
      even if the transaction itself has written nothing. If it has written anything, the locked rows are written again,
      unchanged. So even if a lock was lost (the process was paused past the TTL), no change is lost: a commit fails.
    * Statements without FOR UPDATE take no row locks, but their commit waits for those of others: it asks for locks of
      the rows that it writes, in the request that it makes anyway. If there are any, it waits for them as FOR UPDATE
      does, and holds them until it is done. The transaction is then replayed, or refused, if the holder has changed
      what it read. So the holder commits. (Commits themselves depend on no clock: an expired lock is overtaken by who
      waits.)
    * Row locks cannot deadlock: a transaction waits only for rows that sort after all rows that it has locked. If a
      later statement or the commit needs a row that sorts before them, and another transaction has it, there is a
      Conflict at once.
No guarantees
    * Rows that do not exist cannot be locked: another transaction may insert them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from rome.errors import Conflict, NotSupportedError
from rome.fallback import ValueNotKnown
from rome.folding import fold_name
from rome.session.fetch import fetch
from rome.session.run import plan_of, run_once, with_current_catalog
from rome.sql.planner.bind import bind_step
from rome.sql.rewrite.row_keys import KeyedSelect, key_select
from rome.sql.syntax.operands import Source, value_of
from rome.sql.syntax.statement import LockingClause, LockWaitPolicy, Statement
from rome.sqlite.workspace import Parameters, Result, Row
from rome.storage.store import LAST, Batch, Check, rows_space
from rome.transaction.commit.batch import digests_of
from rome.transaction.reads.read_set import key_range, ranges_of
from rome.transaction.row_locks import RowKey, RowLocks
from rome.transaction.snapshot import Isolation
from rome.transaction.transaction import Transaction

_ATTEMPTS = 10


class _Evaluated(NamedTuple):
    """A result, the text that was run, and for each row the keys of the table rows that it comes from."""

    result: Result
    sources: list[tuple[RowKey, ...]]
    sql: str


def lock_and_read(
    transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]
) -> Result:
    """Run a SELECT with a locking clause.

    Raise LockTimeout, Conflict, and the errors of the SELECT itself.
    """
    assert statement.locking is not None
    unlocked_sql = sql[: statement.locking.at]
    wait, of = statement.locking.wait, statement.locking.of
    plain = replace(statement, locking=None)
    locks = transaction.row_locks
    if locks is None:
        locks = transaction.row_locks = RowLocks(transaction.database, transaction.lock_timeout)
    is_first_read = transaction.version is None
    skipped: set[RowKey] = set()
    for _ in range(_ATTEMPTS):
        found = _evaluate(transaction, plain, unlocked_sql, parameter_sets, statement.locking)
        if wait is LockWaitPolicy.SKIP:
            found, is_new = _lock_free_rows(transaction, locks, found, unlocked_sql, parameter_sets, skipped, of)
        else:
            needed = [row for source in found.sources for row in source]
            is_new = locks.lock(needed, wait, transaction.tables_of(needed))
        is_newest = is_first_read or (
            transaction.isolation is Isolation.READ_COMMITTED and not transaction.schema_changed
        )
        if is_new and locks.version != transaction.version and is_newest:
            transaction.read_anew()
            continue
        if not is_newest and (not found.sources or (is_new and locks.version != transaction.version)):
            is_complete = found.sources and wait is LockWaitPolicy.SKIP  # other rows may be missing from it anyway
            ranges = () if is_complete else _read_ranges(transaction, plain, found.sql, parameter_sets)
            _demand_unwritten(transaction, locks, ranges)
        for row in locks.rows:
            locks.rows[row] = transaction.row_cache.rows_by_key(row[0]).get(row[1]) or locks.rows[row]
        return found.result
    raise Conflict("conflict: the rows to be locked keep changing; run the transaction again")


def _lock_free_rows(
    transaction: Transaction,
    locks: RowLocks,
    found: _Evaluated,
    sql: str,
    parameter_sets: Sequence[Parameters],
    skipped: set[RowKey],
    of: Sequence[str],
) -> tuple[_Evaluated, bool]:
    """Lock as many rows as LIMIT asks for, skipping those that others have locked. Return them, and True if any is new.

    `found`: the result without LIMIT. `skipped`: rows that others have locked.
    """
    keyed = key_select(sql, transaction.catalog, of)
    assert keyed is not None
    offset = max(0, _number(keyed.offset, parameter_sets[0]) or 0)
    limit = _number(keyed.limit, parameter_sets[0])
    end = len(found.sources) if limit is None or limit < 0 else offset + limit
    left = [at for at, source in enumerate(found.sources) if not skipped.intersection(source)]
    taken = False
    kept: list[int] = []
    while left and len(kept) < end:
        tried, left = left[: end - len(kept)], left[end - len(kept) :]
        needed = {row for at in tried for row in found.sources[at]}
        taken = locks.lock(needed, LockWaitPolicy.SKIP, "") or taken
        skipped.update(needed.difference(locks.rows))
        kept += [at for at in tried if not skipped.intersection(found.sources[at])]
    kept = kept[offset:]
    result = found.result._replace(rows=[found.result.rows[at] for at in kept])
    return _Evaluated(result, [found.sources[at] for at in kept], found.sql), taken


def _number(source: Source | None, parameters: Parameters) -> int | None:
    if source is None:
        return None
    try:
        value = value_of(source, parameters)
    except ValueNotKnown:
        value = None
    if not isinstance(value, int):
        raise NotSupportedError("FOR UPDATE SKIP LOCKED needs numbers for LIMIT and OFFSET")
    return value


def _evaluate(
    transaction: Transaction,
    statement: Statement,
    sql: str,
    parameter_sets: Sequence[Parameters],
    locking: LockingClause,
) -> _Evaluated:
    """Run the SELECT with the keys of its rows, which depend on the catalog."""
    transaction.next_statement()
    return with_current_catalog(_evaluate_once, transaction, statement, sql, parameter_sets, locking)


def _evaluate_once(
    transaction: Transaction,
    statement: Statement,
    sql: str,
    parameter_sets: Sequence[Parameters],
    locking: LockingClause,
) -> _Evaluated:
    keyed = None if transaction.workspace.temporary else key_select(sql, transaction.catalog, locking.of)
    if keyed is None:
        if locking.wait is LockWaitPolicy.SKIP:
            transaction.ensure_snapshot()
            raise NotSupportedError(
                "FOR UPDATE SKIP LOCKED goes only with a SELECT whose rows each come from one row of each table"
            )
        result = run_once(transaction, statement, sql, parameter_sets)
        fetched = tuple(_fetched(transaction, statement, sql, parameter_sets[0], locking.of))
        return _Evaluated(result, [fetched] if fetched else [], sql)
    keyed_sql = keyed.unlimited if locking.wait is LockWaitPolicy.SKIP else keyed.sql
    result = run_once(transaction, statement, keyed_sql, parameter_sets)
    width = sum(len(table.key) or 1 for table in keyed.tables)
    sources = [tuple(_sources(keyed, row)) for row in result.rows]
    description = result.description[width:] if result.description is not None else None
    rows = [row[width:] for row in result.rows]
    return _Evaluated(result._replace(rows=rows, description=description), sources, keyed_sql)


def _sources(keyed: KeyedSelect, row: Row) -> Iterator[RowKey]:
    """Yield the keys of the table rows that a result row comes from: they come before its columns."""
    at = 0
    for table in keyed.tables:
        end = at + (len(table.key) or 1)
        values = row[at:end]
        at = end
        if all(value is None for value in values):
            continue  # the other side of an outer join has no row
        yield table.id, table.row_codec.encode(values)


def _fetched(
    transaction: Transaction, statement: Statement, sql: str, parameters: Parameters, of: Sequence[str]
) -> Iterator[RowKey]:
    """Yield the key of every cached row of the tables that a statement reads, or of those `of` them."""
    for table in plan_of(transaction, statement, sql, parameters).tables:
        if of and fold_name(table.name) not in of:
            continue
        for key, cached in transaction.row_cache.rows_by_key(table.id).items():
            if cached.values is not None:
                yield table.id, key


def _read_ranges(
    transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters]
) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield space, begin and end of key ranges that hold everything which a statement may have read.

    Of a Top-N fetch, they are those of the fetch without Top-N; all of a table that is looked up by fetched rows.
    """
    plan = plan_of(transaction, statement, sql, parameter_sets[0])
    if plan.reads.topn is not None:
        for table in plan.reads.full_scans:
            yield rows_space(table.id), b"", LAST
        for step in plan.reads.steps:
            if step.depends_on:
                yield rows_space(step.table.id), b"", LAST
            else:
                for request in bind_step(step, parameter_sets[0], None):
                    yield from ranges_of(request)
    else:
        for each in fetch(transaction, plan, parameter_sets).requests():
            yield from ranges_of(each.request)


def _demand_unwritten(transaction: Transaction, locks: RowLocks, ranges: Iterable[tuple[bytes, bytes, bytes]]) -> None:
    """Raise Conflict if another transaction has written locked rows, or in these ranges, since they were read."""
    version = transaction.version or 0
    checks = [Check(space, begin, end, version) for space, begin, end in ranges]
    for table_id, key in [row for row, read in locks.rows.items() if read is None]:
        cached = transaction.row_cache.rows_by_key(table_id).get(key)
        if cached is not None and cached.version >= 0:
            checks.append(Check(rows_space(table_id), *key_range(key), cached.version))
    try:
        seen = digests_of(checks, {}, transaction.read_digests)
        transaction.database.store.commit(Batch(uuid.uuid4().bytes, checks, seen=seen))
    except Conflict as conflict:
        raise Conflict(
            "conflict: rows to be locked were added or changed after this transaction's read version; run it again",
            conflict.space,
        ) from conflict
