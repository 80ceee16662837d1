"""SELECT … FOR UPDATE: row locks, taken in key order, and then the newest version.

ROME's transactions do not wait for each other; of two that write one row, the second to commit is refused and run
again. Where a row is much fought for, it is better to queue: FOR UPDATE takes a lock of each row that the SELECT gives.

    evaluate the SELECT, with the keys of its rows (`rome.sql.rewrite.row_keys`)
    lock the rows that are not locked yet, in key order, all in one round trip
    nothing was committed between the two: done
    else, where the transaction had read nothing before: forget, and evaluate again at the newest version
    else: it may go on only if nobody wrote to these rows since its read version; Conflict if somebody did

Under READ COMMITTED the SELECT is always evaluated again. The locks are released when the transaction is over.

Where the result does not tell which rows it comes from (DISTINCT, GROUP BY, aggregates, UNION, views), every row that
was fetched for the statement is locked, as MySQL does.

What is promised
    * Of those who use FOR UPDATE, one at a time has a row, and it sees what the one before committed.
    * The locks only make others wait; what is right is decided by commit. It checks that nobody has written the rows
      that were locked, also where the transaction itself has written nothing; and if it has written anything, they are
      written again, as they are. So even a lock that was lost (the process was paused past the TTL) lets nobody's
      change get lost: a commit is refused.
    * No deadlock between row locks: a transaction waits only for rows that lie behind all that it has locked. Where
      a later statement wants one that lies before them, and somebody has it, there is a Conflict at once.
What is not
    * Statements without FOR UPDATE do not ask for row locks. UPDATE and DELETE may commit a row that somebody has
      locked; then the holder's commit is refused. (To wait instead, select the rows FOR UPDATE before. A commit can't
      ask for the locks itself: whether a TTL has passed is a matter of clocks, on which no commit may depend.)
    * Rows that do not exist can't be locked: another transaction may insert them.
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
from rome.transaction.commit.batch import rests_on
from rome.transaction.reads.read_set import key_range
from rome.transaction.row_locks import RowKey, RowLocks
from rome.transaction.transaction import Isolation, Transaction

LOCK_TIMEOUT = 30.0
"""Seconds to wait for a row's lock, unless the option of that name says otherwise."""

_ATTEMPTS = 10


class _Evaluated(NamedTuple):
    """A result, and for each of its rows the rows of tables that it comes from."""

    result: Result
    sources: list[tuple[RowKey, ...]]


def lock_and_read(
    transaction: Transaction, statement: Statement, sql: str, rows: Sequence[Parameters], timeout: float
) -> Result:
    """Run a SELECT with a locking clause. `timeout`: seconds to wait for rows that others have locked.

    Raises LockTimeout, Conflict, and what the SELECT itself may raise.
    """
    assert statement.locking is not None
    plain = sql[: statement.locking.at]
    wait = statement.locking.wait
    locks = transaction.row_locks
    if locks is None:
        locks = transaction.row_locks = RowLocks(transaction.database, timeout)
    begins = transaction.version is None
    passed_over: set[RowKey] = set()
    for _ in range(_ATTEMPTS):
        found = _evaluate(transaction, replace(statement, locking=None), plain, rows, wait)
        if wait is LockWaitPolicy.SKIP:
            found, more = _skip(transaction, locks, found, plain, rows, passed_over)
        else:
            wanted = [row for source in found.sources for row in source]
            more = locks.lock(wanted, wait, _tables(transaction, wanted))
        if more and locks.version != transaction.version:
            if begins or transaction.isolation is Isolation.READ_COMMITTED:
                transaction.read_anew()
                continue
            _demand_unwritten(transaction, locks)
        for row in locks.rows:
            locks.rows[row] = transaction.row_cache.known.get(row[0], {}).get(row[1]) or locks.rows[row]
        return found.result
    raise Conflict("conflict: the rows to be locked keep changing; run the transaction again")


def _skip(
    transaction: Transaction,
    locks: RowLocks,
    found: _Evaluated,
    sql: str,
    rows: Sequence[Parameters],
    passed_over: set[RowKey],
) -> tuple[_Evaluated, bool]:
    """Of all rows without a LIMIT, lock so many as the LIMIT lets through; and whether a lock was taken."""
    keyed = key_select(sql, transaction.catalog)
    assert keyed is not None
    first = max(0, _number(keyed.offset, rows[0]) or 0)
    most = _number(keyed.limit, rows[0])
    end = len(found.sources) if most is None or most < 0 else first + most
    left = [at for at, source in enumerate(found.sources) if not passed_over.intersection(source)]
    taken = False
    kept: list[int] = []
    while left and len(kept) < end:
        tried, left = left[: end - len(kept)], left[end - len(kept) :]
        wanted = {row for at in tried for row in found.sources[at]}
        taken = locks.lock(wanted, LockWaitPolicy.SKIP, "") or taken
        passed_over.update(wanted.difference(locks.rows))
        kept += [at for at in tried if not passed_over.intersection(found.sources[at])]
    kept = kept[first:]
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
    transaction: Transaction, statement: Statement, sql: str, rows: Sequence[Parameters], wait: LockWaitPolicy
) -> _Evaluated:
    """Run the SELECT with the keys of its rows, which depend on the catalog."""
    transaction.next_statement()
    return with_current_catalog(_evaluate_once, transaction, statement, sql, rows, wait)


def _evaluate_once(
    transaction: Transaction, statement: Statement, sql: str, rows: Sequence[Parameters], wait: LockWaitPolicy
) -> _Evaluated:
    keyed = None if transaction.workspace.temporary else key_select(sql, transaction.catalog)
    if keyed is None:
        if wait is LockWaitPolicy.SKIP:
            transaction.ensure_snapshot()
            raise NotSupportedError(
                "FOR UPDATE SKIP LOCKED goes only with a SELECT whose rows each come from one row of each table"
            )
        result = run_once(transaction, statement, sql, rows)
        return _Evaluated(result, [tuple(_fetched(transaction, statement, sql, rows[0]))])
    result = run_once(transaction, statement, keyed.unlimited if wait is LockWaitPolicy.SKIP else keyed.sql, rows)
    width = sum(len(table.key) or 1 for table in keyed.tables)
    sources = [tuple(_sources(keyed, row)) for row in result.rows]
    description = result.description[width:] if result.description is not None else None
    return _Evaluated(result._replace(rows=[row[width:] for row in result.rows], description=description), sources)


def _sources(keyed: KeyedSelect, row: Row) -> Iterator[RowKey]:
    """The rows that a row of the result comes from, told by the keys before its columns."""
    at = 0
    for table in keyed.tables:
        end = at + (len(table.key) or 1)
        values = row[at:end]
        at = end
        if all(value is None for value in values):
            continue  # the other side of an outer join has no row
        yield table.id, table.row_codec.encode(values)


def _fetched(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Iterator[RowKey]:
    """Every row that is known of the tables which a statement reads."""
    for table in plan_of(transaction, statement, sql, parameters).tables:
        for key, known in transaction.row_cache.known.get(table.id, {}).items():
            if known.values is not None:
                yield table.id, key


def _demand_unwritten(transaction: Transaction, locks: RowLocks) -> None:
    """Raise Conflict if somebody wrote to rows that are locked since they were read."""
    checks = []
    for table_id, key in [row for row, read in locks.rows.items() if read is None]:
        known = transaction.row_cache.known.get(table_id, {}).get(key)
        if known is not None and known.version >= 0:
            checks.append(Check(rows_space(table_id), *key_range(key), known.version))
    try:
        seen = rests_on(checks, transaction.seen)
        transaction.database.store.commit(Batch(uuid.uuid4().bytes, checks, seen=seen))
    except Conflict as conflict:
        raise Conflict(
            "conflict: a row to be locked was changed after this transaction's read version; run the transaction again",
            conflict.space,
        ) from conflict


def _tables(transaction: Transaction, rows: Iterable[RowKey]) -> str:
    """The names of the tables of some rows, for messages."""
    ids = {table_id for table_id, _ in rows}
    tables: list[Table] = [table for table in transaction.catalog.tables.values() if table.id in ids]
    return ", ".join(sorted(table.name for table in tables))
