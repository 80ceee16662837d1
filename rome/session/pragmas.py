"""PRAGMAs that ROME answers itself: the settings of a connection, and the version of the schema.

`rome.sqlite.pragmas` lists all PRAGMAs and says who runs which.

    busy_timeout         the milliseconds that statements wait for row locks: the option lock_timeout
    case_sensitive_like  let LIKE distinguish the case of letters; SQLite then evaluates what has LIKE, on whole tables
    journal_mode         is always `wal`: readers and writers do not wait for each other
    foreign_keys         enforce foreign keys; as in SQLite, a change inside a transaction has no effect
    query_only           refuse statements that write
    read_uncommitted     is kept and has no effect: no statement sees what is not committed
    user_version         a number of the application's, in the catalog: it is committed, rolled back and seen by others
                         like the schema itself
"""

from __future__ import annotations

import re
from dataclasses import replace

from rome.errors import NotSupportedError, OperationalError
from rome.session.explain import parse_explain
from rome.session.run import with_current_catalog
from rome.sql.syntax.statement import Statement, StatementKind, classify
from rome.sqlite.pragmas import IGNORED, OF_CONNECTION
from rome.sqlite.workspace import Result
from rome.transaction.transaction import Transaction

NOTHING = Result([], None, -1)

READ_ONLY = "attempt to write a readonly database"
"""SQLite's words for a write under query_only."""

_INTEGER = re.compile(r"[+-]?(?:0x[0-9a-f]+|[0-9]+)", re.IGNORECASE | re.ASCII)


class ConnectionSettings:
    """The settings that the PRAGMAs of a connection change."""

    def __init__(self, foreign_keys: bool, lock_timeout: float) -> None:
        """`lock_timeout`: seconds to wait for row locks."""
        self.foreign_keys = foreign_keys
        self.lock_timeout = lock_timeout
        self.case_sensitive_like = False
        self.query_only = False
        self.read_uncommitted = False
        self.read_only_because = READ_ONLY
        """The message of the error for a write under query_only."""

    def run(self, statement: Statement, in_transaction: bool) -> Result | None:
        """Answer a PRAGMA about the connection. Return None for any other."""
        name, argument = str(statement.name), statement.argument
        if name in IGNORED and argument is not None:
            return NOTHING
        if name not in OF_CONNECTION:
            return None
        _check_schema(statement)
        if name == "journal_mode":
            return _value(name, "wal")
        if name == "busy_timeout":
            if argument is not None:
                self.lock_timeout = max(0, _integer(argument)) / 1000
            return _value(name, int(self.lock_timeout * 1000))
        if argument is None:
            return NOTHING if name == "case_sensitive_like" else _value(name, int(getattr(self, name)))
        if name != "foreign_keys" or not in_transaction:
            setattr(self, name, _is_true(argument))
        return NOTHING


def _is_true(argument: str) -> bool:
    """Return the boolean that SQLite takes the argument of a PRAGMA for: an unknown word is false."""
    if argument[:1].isdecimal():
        return _integer(argument) != 0
    return argument.lower() in ("on", "yes", "true")


def _integer(argument: str) -> int:
    """Return the integer of 32 bits that SQLite takes the argument of a PRAGMA for: 0 for any other text."""
    match = _INTEGER.match(argument)
    value = 0 if match is None else int(match.group(), 0 if "x" in match.group().lower() else 10)
    return value if -(2**31) <= value < 2**31 else 0


def is_write(statement: Statement, sql: str) -> bool:
    """Return True if a statement would change rows or the schema."""
    if statement.kind is StatementKind.EXPLAIN:
        about = parse_explain(sql)
        return about is not None and about[1] and classify(about[0]).changes_rows
    sets_version = statement.kind is StatementKind.PRAGMA and statement.argument is not None
    is_of_schema = sets_version and statement.name == "user_version"
    return statement.changes_rows or statement.kind is StatementKind.DDL or is_of_schema


def user_version(transaction: Transaction, statement: Statement) -> Result:
    """Return the number that is stored with the schema, or change it, in a transaction."""
    _check_schema(statement)
    transaction.next_statement()
    with_current_catalog(transaction.ensure_snapshot)
    catalog = transaction.catalog
    if statement.argument is None:
        return _value("user_version", catalog.user_version)
    transaction.change_schema(replace(catalog, user_version=_integer(statement.argument)))
    return NOTHING


def _check_schema(statement: Statement) -> None:
    if statement.schema == "temp":
        raise NotSupportedError(f"PRAGMA temp.{statement.name} is not supported: temporary tables have no settings")
    if statement.schema not in (None, "main"):
        raise OperationalError(f"unknown database {statement.schema}")


def _value(name: str, value: int | str) -> Result:
    return Result([(value,)], ((name, None, None, None, None, None, None),), -1)
