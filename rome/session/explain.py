"""EXPLAIN: the plan of a statement as text, and what its execution took.

    EXPLAIN PLAN FOR SELECT …       shows the plan; nothing is fetched
    EXPLAIN ANALYZE SELECT …        runs the statement, and adds rounds, commands, rows, bytes and time
    EXPLAIN, EXPLAIN QUERY PLAN     SQLite's own, of the workspace

The answer has one column, `plan`, and a row for each line. The slow log writes the same lines. For

    SELECT c.* FROM nodes AS c JOIN nodes AS p ON p.id = c.parent WHERE c.kind > ? ORDER BY c.id LIMIT 20

EXPLAIN ANALYZE answers

    SELECT, compiled
    round 1
      Top-N on primary key of nodes AS c, limit 20, initial batch 50, grows    rows: 50
    round 2
      primary key lookup on nodes AS p (id = c.parent)                         rows: 50
    actual rows: 20, round trips: 2, commands: 4, rows fetched: 62, bytes: 4,021, time: 0.71 ms

The grammar of these lines:

    plan        verb, evaluator; then `nothing to fetch`, a count, or rounds; ANALYZE adds the actual numbers
    evaluator   compiled                 by a Python function over the fetched rows: also the rows that an UPDATE, a
                                         DELETE or an INSERT … SELECT changes
                SQLite: reason           in the workspace; the reason why it is not compiled
                point write              an INSERT or UPDATE by key, without SQLite
    count       count from source        the store counts, nothing is fetched
    round       round number, and its steps: all of them take one round trip
    step        path                                       rows: estimate
                path[, backward], limit n                  only the first or last rows of the path
                Top-N on source[, backward][, incremental sort], limit n, initial batch n, grows
                                                           batches, until enough rows come out; incremental sort: the
                                                           source has the order of the first terms of ORDER BY only
    path        full scan of table
                primary key (lookup | range scan | scan) on table (terms)
                index (lookup | range scan | scan) on table using index (terms)
                multi-index OR on table using index (terms), …
    source      (primary key | index name) of table (terms)
    table       name [AS alias]
    terms       conditions that the path satisfies; ?1 is a parameter, p.id the values of fetched rows
    estimate    a number, or `unknown` for a table that this process has not read yet

`rome.sql.planner` makes these plans: a path's text is in `access_path`, a step's in `read_plan`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from rome.cache.cached import CachedReads
from rome.compiled.compile import Compiled
from rome.errors import Error
from rome.plan.plan import Plan
from rome.session.bulk_plan import bulk_plan_for
from rome.session.point_dml import point_plan_for
from rome.session.run import plan_of, run, with_current_catalog
from rome.session.topn import initial_batch_size
from rome.sql.planner.access_path import FullScan
from rome.sql.planner.bind import number_of
from rome.sql.planner.read_plan import ReadPlan, Step
from rome.sql.planner.statistics import Statistics
from rome.sql.syntax.statement import WRITES, Statement, StatementKind, classify
from rome.sql.syntax.tokens import TokenReader
from rome.sqlite.workspace import Parameters, Result
from rome.transaction.transaction import Transaction

_slow = logging.getLogger("rome.slow")

_EXPLAINED = frozenset({"SELECT", "WITH", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})
"""The first words of the statements that have a plan of ROME's."""

_DESCRIPTION = (("plan", None, None, None, None, None, None),)


def parse_explain(sql: str) -> tuple[str, bool] | None:
    """Return the statement that an EXPLAIN of ROME's is about, and True for ANALYZE; None for any other text."""
    reader = TokenReader(sql)
    is_plan = reader.take("EXPLAIN", "PLAN", "FOR")
    if not (is_plan or reader.take("EXPLAIN", "ANALYZE")) or reader.token.word() not in _EXPLAINED:
        return None
    return sql[reader.token.start :], not is_plan


def explain(transaction: Transaction, sql: str, analyze: bool, parameters: Parameters) -> Result:
    """Return the plan of a statement, and with `analyze`, what its execution took. Raise SQLite's errors."""
    with_current_catalog(transaction.ensure_snapshot)
    statement = classify(sql)
    lines = list(_described(transaction, statement, sql, parameters))
    if analyze:
        stats = transaction.database.store.stats
        cached = transaction.database.cached
        asked = (0, 0) if cached is None else (cached.stats.hits, cached.stats.misses)
        before, began = tuple(stats.of_caller()), time.perf_counter()
        result = run(transaction, statement, sql, [parameters])
        took = time.perf_counter() - began
        rounds, commands, rows, size = (now - then for now, then in zip(stats.of_caller(), before, strict=True))
        # It may have been planned again: with other statistics, or for a newer schema.
        lines = list(_described(transaction, statement, sql, parameters))
        count = result.rowcount if statement.kind in WRITES else len(result.rows)
        lines.append(
            f"actual rows: {count:,}, round trips: {rounds:,}, commands: {commands:,}, rows fetched: {rows:,}, "
            f"bytes: {size:,}, time: {took * 1000:.2f} ms"
        )
        if cached is not None:
            hits, misses = cached.stats.hits - asked[0], cached.stats.misses - asked[1]
            lines.append(f"requests answered by the cache: {hits:,} of {hits + misses:,}, age: {_age_of(cached)}")
            lines.append(_totals_of(cached, transaction.database.replays))
    return Result([(line,) for line in lines], _DESCRIPTION, -1)


def _described(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Iterator[str]:
    """Yield the lines of a statement's plan."""
    plan = plan_of(transaction, statement, sql, parameters)
    members = "" if plan.members is None else f", for each of {len(plan.members.sources)} equal members"
    yield f"{_verb(plan)}, {_evaluator(transaction, plan, sql, parameters)}{members}"
    if plan.reads.count_step:
        yield plan.reads.count_step.describe_count()
        return
    batch = initial_batch_size(transaction, plan, parameters)
    reads = plan.reads.topn.reads if plan.reads.topn is not None and batch is not None else plan.reads
    estimates = _Estimates(reads, transaction.database.statistics, parameters, batch)
    for number, steps in enumerate(reads.rounds or ((),), 1):
        lines = {step.describe(batch): estimates.of(step) for step in steps}
        if number == 1:
            lines.update((str(scan), "") for scan in plan.reads.other_scans)
        if lines:
            yield f"round {number}"
            width = max(map(len, lines))
            for line, estimate in lines.items():
                yield f"  {line.ljust(width)}    {estimate}".rstrip()
    if not plan.reads.rounds and not plan.reads.full_scans:
        yield "nothing to fetch"


def _age_of(cached: CachedReads) -> str:
    return "none yet" if cached.age is None else f"{cached.age:.3f} s"


def _totals_of(cached: CachedReads, replays: int) -> str:
    stats = cached.stats
    return (
        f"the cache of this process: {stats.hits:,} of {stats.hits + stats.misses:,} requests answered, "
        f"{stats.refusals:,} commits refused, {replays:,} replayed, "
        f"{cached.size / 2**20:.1f} of {cached.most_bytes / 2**20:.1f} MiB"
    )


def _verb(plan: Plan) -> str:
    return "SELECT" if plan.statement.kind is StatementKind.SELECT else plan.statement.verb.upper()


def _evaluator(transaction: Transaction, plan: Plan, sql: str, parameters: Parameters) -> str:
    if plan.statement.kind in WRITES:
        if point_plan_for(transaction, plan) is not None:
            return "point write"
        bulk = bulk_plan_for(transaction, plan, sql)
        if bulk is not None:
            plan = plan_of(transaction, bulk.select, bulk.source.sql, parameters)
    return "compiled" if isinstance(plan.compiled, Compiled) else f"SQLite: {plan.compiled.reason}"


@dataclass(frozen=True)
class _Estimates:
    """The estimated numbers of rows. `batch`: the size of a Top-N step's first batch."""

    reads: ReadPlan
    statistics: Statistics
    parameters: Parameters
    batch: int | None

    def of(self, step: Step) -> str:
        """Return the estimate of a step."""
        rows = round(step.rows) if self._is_known(step) else None
        if step.limit is not None:
            limit = self.batch if step.limit.grows else number_of(step.limit, self.parameters)
            rows = limit if rows is None or limit is None or step.limit.grows else min(rows, limit)
        return "rows: unknown" if rows is None else f"rows: {rows:,}"

    def _is_known(self, step: Step) -> bool:
        """Return True if the estimate is based on rows that were fetched before, not on a guess."""
        path, table = step.path, step.table
        if isinstance(path, FullScan):
            return self.statistics.has_row_count(table)
        if step.limit is not None and step.limit.grows:
            return True
        if not self.statistics.has_rows_per_key(table, path):
            return False
        return all(self._is_known(self.reads.by_table_ref[number]) for number in step.depends_on)


def log_slow(
    transaction: Transaction | None, statement: Statement, sql: str, parameters: Parameters, milliseconds: float
) -> None:
    """Log a slow statement, with its plan if it has one and its transaction is still open."""
    plan = ""
    if transaction is not None and statement.kind in (*WRITES, StatementKind.SELECT):
        with suppress(Error):
            lines = with_current_catalog(lambda: list(_described(transaction, statement, sql, parameters)))
            plan = "".join(f"\n{line}" for line in lines)
    _slow.warning("%.1f ms: %s%s", milliseconds, sql, plan)
