"""SELECT … FOR UPDATE: take row locks in key order, then read the newest version.

ROME's transactions do not wait for each other. If two write the same row, the second to commit gets a Conflict and must
run again. For a row that many transactions want, it is better to queue: `SELECT … FOR UPDATE` blocks other
`SELECT … FOR UPDATE` statements on the same rows until the transaction ends.

    1  evaluate the SELECT with the keys of its rows (`rome.sql.rewrite.row_keys`)
    2  lock the rows that are not locked yet, in key order, all in one round trip
    3  if nothing was committed in between: done
       else, if the transaction had read nothing before: forget what was read, evaluate again at the newest version
       else: go on only if nobody has written these rows since the read version; otherwise raise Conflict

Under READ COMMITTED step 3 always evaluates again. The locks are released when the transaction ends.

If the result does not tell which rows it comes from (DISTINCT, GROUP BY, aggregates, UNION, views), every row that was
fetched for the statement is locked, as MySQL does.

Guarantees
    * Of the transactions that use FOR UPDATE, one at a time has a row, and it sees what the one before committed.
    * Locks only make others wait; commit decides what is correct. It checks that nobody has written the locked rows,
      even if the transaction itself has written nothing. If it has written anything, the locked rows are written again,
      unchanged. So even if a lock was lost (the process was paused past the TTL), no change is lost: a commit fails.
    * Row locks cannot deadlock: a transaction waits only for rows that sort after all rows that it has locked. If a
      later statement needs a row that sorts before them, and another transaction has it, there is a Conflict at once.
No guarantees
    * Statements without FOR UPDATE take no row locks. UPDATE and DELETE may commit a row that another transaction has
      locked; then the holder's commit fails. (To wait instead, select the rows FOR UPDATE first. A commit cannot honour
      the locks itself: whether a TTL has expired depends on clocks, and no commit may depend on those.)
    * Rows that do not exist cannot be locked: another transaction may insert them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from rome.catalog.model import Table
from rome.errors import Conflict, NotSupportedError
from rome.fallback import ValueNotKnown
from rome.session.run import plan_of, run_once, with_current_catalog
from rome.sql.rewrite.row_keys import KeyedSelect, key_select
from rome.sql.syntax.operands import Source, value_of
from rome.sql.syntax.statement import LockWaitPolicy, Statement
from rome.sqlite.workspace import Parameters, Result, Row
from rome.storage.store import Batch, Check, rows_space
from rome.transaction.commit.batch import digests_of
from rome.transaction.reads.read_set import key_range
from rome.transaction.row_locks import RowKey, RowLocks
from rome.transaction.transaction import Isolation, Transaction

LOCK_TIMEOUT = 30.0
"""The default of the option `lock_timeout`: seconds to wait for a row lock."""

_ATTEMPTS = 10


class _Evaluated(NamedTuple):
    """A result, and for each of its rows the keys of the table rows that it comes from."""

    result: Result
    sources: list[tuple[RowKey, ...]]


def lock_and_read(
    transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters], timeout: float
) -> Result:
    """Run a SELECT with a locking clause. `timeout`: seconds to wait for rows that others have locked.

    Raise LockTimeout, Conflict, and the errors of the SELECT itself.
    """
    assert statement.locking is not None
    unlocked_sql = sql[: statement.locking.at]
    wait = statement.locking.wait
    locks = transaction.row_locks
    if locks is None:
        locks = transaction.row_locks = RowLocks(transaction.database, timeout)
    is_first_read = transaction.version is None
    skipped: set[RowKey] = set()
    for _ in range(_ATTEMPTS):
        found = _evaluate(transaction, replace(statement, locking=None), unlocked_sql, parameter_sets, wait)
        if wait is LockWaitPolicy.SKIP:
            found, is_new = _lock_free_rows(transaction, locks, found, unlocked_sql, parameter_sets, skipped)
        else:
            needed = [row for source in found.sources for row in source]
            is_new = locks.lock(needed, wait, _tables(transaction, needed))
        if is_new and locks.version != transaction.version:
            reads_newest = transaction.isolation is Isolation.READ_COMMITTED and not transaction.schema_changed
            if is_first_read or reads_newest:
                transaction.read_anew()
                continue
            _demand_unwritten(transaction, locks)
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
) -> tuple[_Evaluated, bool]:
    """Lock as many rows as LIMIT asks for, skipping those that others have locked. Return them, and True if any is new.

    `found`: the result without LIMIT. `skipped`: rows that others have locked.
    """
    keyed = key_select(sql, transaction.catalog)
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
    return _Evaluated(result, [found.sources[at] for at in kept]), taken


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
    transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters], wait: LockWaitPolicy
) -> _Evaluated:
    """Run the SELECT with the keys of its rows, which depend on the catalog."""
    transaction.next_statement()
    return with_current_catalog(_evaluate_once, transaction, statement, sql, parameter_sets, wait)


def _evaluate_once(
    transaction: Transaction, statement: Statement, sql: str, parameter_sets: Sequence[Parameters], wait: LockWaitPolicy
) -> _Evaluated:
    keyed = None if transaction.workspace.temporary else key_select(sql, transaction.catalog)
    if keyed is None:
        if wait is LockWaitPolicy.SKIP:
            transaction.ensure_snapshot()
            raise NotSupportedError(
                "FOR UPDATE SKIP LOCKED goes only with a SELECT whose rows each come from one row of each table"
            )
        result = run_once(transaction, statement, sql, parameter_sets)
        return _Evaluated(result, [tuple(_fetched(transaction, statement, sql, parameter_sets[0]))])
    result = run_once(
        transaction, statement, keyed.unlimited if wait is LockWaitPolicy.SKIP else keyed.sql, parameter_sets
    )
    width = sum(len(table.key) or 1 for table in keyed.tables)
    sources = [tuple(_sources(keyed, row)) for row in result.rows]
    description = result.description[width:] if result.description is not None else None
    return _Evaluated(result._replace(rows=[row[width:] for row in result.rows], description=description), sources)


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


def _fetched(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Iterator[RowKey]:
    """Yield the key of every cached row of the tables that a statement reads."""
    for table in plan_of(transaction, statement, sql, parameters).tables:
        for key, cached in transaction.row_cache.rows_by_key(table.id).items():
            if cached.values is not None:
                yield table.id, key


def _demand_unwritten(transaction: Transaction, locks: RowLocks) -> None:
    """Raise Conflict if another transaction has written locked rows since they were read."""
    checks = []
    for table_id, key in [row for row, read in locks.rows.items() if read is None]:
        cached = transaction.row_cache.rows_by_key(table_id).get(key)
        if cached is not None and cached.version >= 0:
            checks.append(Check(rows_space(table_id), *key_range(key), cached.version))
    try:
        seen = digests_of(checks, transaction.read_digests)
        transaction.database.store.commit(Batch(uuid.uuid4().bytes, checks, seen=seen))
    except Conflict as conflict:
        raise Conflict(
            "conflict: a row to be locked was changed after this transaction's read version; run the transaction again",
            conflict.space,
        ) from conflict


def _tables(transaction: Transaction, rows: Iterable[RowKey]) -> str:
    """Return the names of the tables of some rows, for messages."""
    ids = {table_id for table_id, _ in rows}
    tables: list[Table] = [table for table in transaction.catalog.tables.values() if table.id in ids]
    return ", ".join(sorted(table.name for table in tables))
