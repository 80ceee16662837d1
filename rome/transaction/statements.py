"""Running one statement in a transaction: fetch a superset, evaluate exactly.

    read      fetch what the access paths ask for → run the text in the workspace
    change    the same, with constraint reads (`changes`) → the workspace records what it changed → journal
    schema    `schema_change`

Five functions in order lead from text to rows: `Statements.run`, `plan`, `Transaction.fetch`, `Loaded.add`,
`Workspace.run`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rome.errors import OperationalError
from rome.execution.plan import Plan, make_plan
from rome.execution.workspace import Parameters, Result, together
from rome.sql.paths import bind
from rome.sql.statement import WRITES, Statement
from rome.transaction.changes import change
from rome.transaction.loaded import Target, whole
from rome.transaction.transaction import StaleCatalog, Transaction


def run(transaction: Transaction, statement: Statement, sql: str, rows: Sequence[Parameters]) -> Result:
    """Run a statement that reads or changes rows, once for each set of parameters; the results together.

    Raises PEP 249's errors; the transaction is as before the statement then. RolledBack when it is gone.
    """
    transaction.next_statement()
    # Whether the schema we know is the newest is seen at the first fetch; then the statement is planned again.
    for _ in range(3):
        try:
            plan = _plan(transaction, statement, sql, rows[0])
            if statement.kind in WRITES:
                return change(transaction, plan, rows, targets(plan, rows))
            return _read(transaction, plan, rows)
        except StaleCatalog:
            continue
    raise OperationalError("the schema keeps changing under this statement; run it again")


def _plan(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Plan:
    workspace = transaction.workspace

    def make() -> Plan:
        return make_plan(workspace, statement, sql, parameters)

    try:
        if workspace.temporary or transaction.schema_changed:
            plan = make()
        else:
            plan = transaction.database.plan(transaction.catalog, sql, make)
    except OperationalError:
        # What is missing may be there in a newer schema than the one we know.
        transaction.see_schema()
        raise
    if plan.about_schema:
        transaction.see_schema()
        workspace.ensure_all()
    else:
        workspace.ensure(plan.mentioned)
    return plan


def _read(transaction: Transaction, plan: Plan, rows: Sequence[Parameters]) -> Result:
    transaction.fetch(targets(plan, rows))
    transaction.loaded.stage(plan.reads)
    results = [transaction.workspace.run(plan.sql, parameters) for parameters in rows]
    return together(results)


def targets(plan: Plan, rows: Sequence[Parameters]) -> Iterator[Target]:
    """What the plan's paths ask for with these parameters."""
    for table in plan.scans:
        yield whole(table)
    for parameters in rows:
        for table, path in plan.paths:
            for request in bind(path, table, parameters):
                yield Target(table, request)
