"""The statements that are about a connection's transaction: BEGIN, COMMIT, ROLLBACK and those of savepoints.

Under AUTOCOMMIT, SAVEPOINT begins a transaction, too, and the RELEASE of this savepoint commits it, as in SQLite.
"""

from __future__ import annotations

from collections.abc import Callable

from rome.errors import OperationalError
from rome.session.databases import run_database_statement
from rome.session.open_transaction import OpenTransaction
from rome.session.pragmas import NOTHING
from rome.sql.syntax.statement import Statement, StatementKind
from rome.sqlite.workspace import Result
from rome.transaction.snapshot import Isolation
from rome.transaction.transaction import Transaction


def _nothing(_opened: OpenTransaction, _statement: Statement) -> Result:
    return NOTHING


def _database(opened: OpenTransaction, statement: Statement) -> Result:
    if opened.settings.query_only and opened.server is opened.database.url:
        raise OperationalError(opened.settings.read_only_because)
    run_database_statement(opened.server, statement)
    return NOTHING


def _begin(opened: OpenTransaction, _statement: Statement) -> Result:
    if opened.transaction is not None:
        raise OperationalError("cannot start a transaction within a transaction")
    opened.is_autocommitted = False
    opened.begin()
    return NOTHING


def _commit(opened: OpenTransaction, _statement: Statement) -> Result:
    if opened.transaction is None:
        raise OperationalError("cannot commit - no transaction is active")
    opened.commit_open()
    return NOTHING


def _rollback(opened: OpenTransaction, _statement: Statement) -> Result:
    if opened.transaction is None:
        raise OperationalError("cannot rollback - no transaction is active")
    opened.roll_back()
    return NOTHING


def _savepoint(opened: OpenTransaction, statement: Statement) -> Result:
    begins = opened.transaction is None and opened.isolation is Isolation.AUTOCOMMIT
    opened.is_autocommitted = False
    opened.begin_savepoint(statement.name or "")
    opened.is_begun_by_savepoint = opened.is_begun_by_savepoint or begins
    return NOTHING


def _release(opened: OpenTransaction, statement: Statement) -> Result:
    transaction, name = _with_savepoint(opened, statement)
    if opened.is_begun_by_savepoint and transaction.is_outermost(name):
        opened.commit_open()
    else:
        transaction.release(name)
    return NOTHING


def _rollback_to(opened: OpenTransaction, statement: Statement) -> Result:
    transaction, name = _with_savepoint(opened, statement)
    transaction.rollback_to(name)
    return NOTHING


def _with_savepoint(opened: OpenTransaction, statement: Statement) -> tuple[Transaction, str]:
    """Return the open transaction and the name of a savepoint. Under AUTOCOMMIT, raise an error if there is none."""
    name = statement.name or ""
    if opened.isolation is Isolation.AUTOCOMMIT and opened.transaction is None and opened.doomed_by is None:
        raise OperationalError(f"no such savepoint: {name}")
    return opened.begin(), name


CONTROL: dict[StatementKind, Callable[[OpenTransaction, Statement], Result]] = {
    StatementKind.EMPTY: _nothing,
    StatementKind.DATABASE: _database,
    StatementKind.BEGIN: _begin,
    StatementKind.COMMIT: _commit,
    StatementKind.ROLLBACK: _rollback,
    StatementKind.SAVEPOINT: _savepoint,
    StatementKind.RELEASE: _release,
    StatementKind.ROLLBACK_TO: _rollback_to,
}
