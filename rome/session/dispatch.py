"""The statements that are not about rows alone, and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rome.errors import NotSupportedError
from rome.session.ddl import change_schema
from rome.session.explain import explain, parse_explain
from rome.session.for_update import lock_and_read
from rome.session.pragmas import NOTHING, user_version
from rome.session.run import plan_of, run, with_current_catalog
from rome.sql.syntax.statement import Statement, StatementKind
from rome.sql.syntax.tokens import names
from rome.sqlite.workspace import Parameters, Result
from rome.transaction.transaction import Transaction

_MAINTENANCE = frozenset({"vacuum", "analyze"})
"""Statements about SQLite's file and statistics. They do nothing here."""


def run_other(
    transaction: Transaction,
    statement: Statement,
    sql: str,
    parameter_sets: Sequence[Parameters],
    forgo_replay: Callable[[], None],
) -> Result:
    """Run a statement that is not a plain SELECT or DML statement."""
    transaction.settle()
    transaction.verify_assumed()
    if statement.kind is StatementKind.DDL:
        return change_schema(transaction, statement, sql, parameter_sets[0])
    if statement.kind is StatementKind.EXPLAIN:
        about = parse_explain(sql)
        if about is not None:
            return explain(transaction, *about, parameter_sets[0])
    if statement.locking is not None:
        return lock_and_read(transaction, statement, sql, parameter_sets)
    if statement.kind is StatementKind.PRAGMA and statement.name == "user_version":
        if statement.argument is not None:
            forgo_replay()
        return user_version(transaction, statement)
    if statement.kind is StatementKind.OTHER and statement.verb in _MAINTENANCE:
        return _maintain(transaction, statement, sql, parameter_sets[0])
    return run(transaction, statement, sql, parameter_sets)


def _maintain(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Result:
    """Do nothing for VACUUM and ANALYZE, if what they name exists. Raise SQLite's error otherwise."""
    if statement.verb == "vacuum" and "into" in names(sql):
        raise NotSupportedError("VACUUM INTO is not supported: back up the store by its own means")
    with_current_catalog(plan_of, transaction, statement, sql, parameters)
    return NOTHING
