"""EXPLAIN: a plan as text, and what running it took.

    EXPLAIN PLAN FOR SELECT …       how the statement would be run; nothing is fetched
    EXPLAIN ANALYZE SELECT …        runs it, and adds rounds, commands, rows, bytes and time
    EXPLAIN, EXPLAIN QUERY PLAN     SQLite's own, of the workspace

The answer has one column, `plan`, and a row for each line:

    SELECT, compiled
    round 1
      services by services_uuid_idx (uuid = ?1)    about 1 row
    round 2
      tags by key (service_id = services.id)       about 10 rows
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import suppress

from rome.compiled import Compiled
from rome.errors import Error
from rome.plan.plan import Plan
from rome.session.point_dml import point_plan_for
from rome.session.run import plan_of, run, with_current_catalog
from rome.session.topn import first_rows
from rome.sql.syntax.statement import WRITES, Statement, StatementKind, classify
from rome.sqlite.workspace import Parameters, Result
from rome.transaction.transaction import Transaction

_slow = logging.getLogger("rome.slow")

_ROME = re.compile(
    r"\s*EXPLAIN\s+(PLAN\s+FOR|ANALYZE)\s+(?=SELECT|WITH|VALUES|INSERT|REPLACE|UPDATE|DELETE)", re.IGNORECASE
)
_DESCRIPTION = (("plan", None, None, None, None, None, None),)


def explained(sql: str) -> tuple[str, bool] | None:
    """The statement that an EXPLAIN of ROME's is about, and whether it is to be run; None if it is SQLite's."""
    match = _ROME.match(sql)
    return None if match is None else (sql[match.end() :], match.group(1).upper() == "ANALYZE")


def explain(transaction: Transaction, sql: str, analyze: bool, parameters: Parameters) -> Result:
    """The plan of a statement, and if `analyze`, what running it took. Raises SQLite's errors for a wrong one."""
    with_current_catalog(transaction.ensure_snapshot)
    statement = classify(sql)
    lines = list(_described(transaction, statement, sql, parameters))
    if analyze:
        stats = transaction.database.store.stats
        before, began = stats.snapshot(), time.perf_counter()
        result = run(transaction, statement, sql, [parameters])
        took = time.perf_counter() - began
        rounds, commands, rows, size = (now - then for now, then in zip(stats.snapshot(), before, strict=True))
        # It may have been planned again: with other statistics, or for a newer schema.
        lines = list(_described(transaction, statement, sql, parameters))
        count = result.rowcount if statement.kind in WRITES else len(result.rows)
        lines.append(
            f"answered {_counted(count, 'row')}; took {_counted(rounds, 'round')}, {_counted(commands, 'command')}, "
            f"{_counted(rows, 'row')} fetched, {_counted(size, 'byte')}, {took * 1000:.2f} ms"
        )
    return Result([(line,) for line in lines], _DESCRIPTION, -1)


def _described(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Iterator[str]:
    plan = plan_of(transaction, statement, sql, parameters)
    is_direct = statement.kind in WRITES and point_plan_for(transaction, plan) is not None
    return _describe(plan, first_rows(transaction, plan, parameters), is_direct)


def _describe(plan: Plan, first: int | None, is_direct: bool) -> Iterator[str]:
    """A plan's lines. `first`: with how many rows its page begins, if it is the page that is fetched.

    `is_direct`: it changes single rows without the workspace.
    """
    kind = plan.statement.kind
    name = plan.statement.verb.upper() if kind is not StatementKind.SELECT else "SELECT"
    if is_direct:
        yield f"{name}, without the workspace"
    elif isinstance(plan.compiled, Compiled):
        yield f"{name}, compiled"
    else:
        yield f"{name}, in the workspace: {plan.compiled.reason}"
    if plan.reads.count_step:
        yield f"count of {plan.reads.count_step}"
        return
    page = plan.reads.topn if first is not None else None
    reads = page.reads if page is not None else plan.reads
    for number, steps in enumerate(reads.rounds or ((),), 1):
        expected = {str(step): first if page and first and step is page.step else round(step.rows) for step in steps}
        lines = {text: f"about {_counted(rows, 'row')}" for text, rows in expected.items()}
        if number == 1:
            lines.update({f"{table.name} whole": "" for table in plan.reads.full_scans})
        if lines:
            yield f"round {number}"
            width = max(map(len, lines))
            for line, estimate in lines.items():
                yield f"  {line.ljust(width)}    {estimate}".rstrip()
    if not plan.reads.rounds and not plan.reads.full_scans:
        yield "nothing to fetch"


def log_slow(
    transaction: Transaction | None, statement: Statement, sql: str, parameters: Parameters, milliseconds: float
) -> None:
    """Log a statement that took long, with its plan where it has one and its transaction is still open."""
    plan = ""
    if transaction is not None and statement.kind in (*WRITES, StatementKind.SELECT):
        with suppress(Error):
            lines = with_current_catalog(lambda: list(_described(transaction, statement, sql, parameters)))
            plan = "".join(f"\n{line}" for line in lines)
    _slow.warning("%.1f ms: %s%s", milliseconds, sql, plan)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
