"""PEP 249 connections: which transaction is open, and which way each kind of statement takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rome import errors
from rome.database.database import Database
from rome.database.registry import CONNECTION_OPTIONS, open_database, release_database
from rome.dbapi.cursor import Cursor
from rome.errors import Conflict, InterfaceError, NotSupportedError, OperationalError, ProgrammingError
from rome.locks.manager import Lock
from rome.session.ddl import change_schema
from rome.session.dml import RolledBackBySQLite
from rome.session.explain import explain, explained, log_slow
from rome.session.for_update import LOCK_TIMEOUT, lock_and_read
from rome.session.replay import TRIES, Script, is_same
from rome.session.run import run
from rome.sql.syntax.statement import Statement, StatementKind, classify
from rome.sqlite.workspace import Parameters, Result, Workspace
from rome.storage.store import Stats
from rome.transaction.index_entries import IndexEntries
from rome.transaction.transaction import Isolation, Transaction
from rome.url import URL, parse_url

_NOTHING = Result([], None, -1)
_OF_THE_CONNECTION = frozenset({"foreign_keys", "read_uncommitted", "query_only"})


def connect(url: str | URL, **options: Any) -> Connection:
    """Open a connection to the database of a ROME URL, which need not exist before.

    Options (also in the URL): `isolation_level` (SNAPSHOT, SERIALIZABLE, READ COMMITTED, AUTOCOMMIT), `foreign_keys`
    (on or off), `lock_timeout` (seconds that SELECT … FOR UPDATE waits for others' row locks), `slow_ms` (statements
    that take longer are logged with their plan, by the logger `rome.slow`).
    Raises InterfaceError for a wrong URL or option, OperationalError when the store can't be reached.
    """
    parsed = parse_url(url) if isinstance(url, str) else url
    merged: dict[str, Any] = {**parsed.options, **options}
    unknown = options.keys() - CONNECTION_OPTIONS
    if unknown:
        known = ", ".join(sorted(CONNECTION_OPTIONS))
        raise InterfaceError(f"unknown connection option {min(unknown)!r}; known: {known}")
    isolation = _isolation(str(merged.get("isolation_level", "SNAPSHOT")))
    foreign_keys = _switch("foreign_keys", merged.get("foreign_keys", True))
    lock_timeout = _number("lock_timeout", "seconds", merged.get("lock_timeout", LOCK_TIMEOUT))
    slow_ms = None if merged.get("slow_ms") is None else _number("slow_ms", "milliseconds", merged["slow_ms"])
    return Connection(open_database(parsed), isolation, foreign_keys, lock_timeout, slow_ms)


def _isolation(name: str) -> Isolation:
    wanted = name.upper().replace("_", " ").replace("+", " ")
    if wanted == "REPEATABLE READ":
        return Isolation.SNAPSHOT
    try:
        return Isolation(wanted)
    except ValueError:
        known = ", ".join(level.value for level in Isolation)
        raise InterfaceError(f"unknown isolation_level {name!r}; known: {known}") from None


def _switch(name: str, value: Any) -> bool:
    text = str(value).lower()
    if text in ("on", "true", "1", "yes"):
        return True
    if text in ("off", "false", "0", "no"):
        return False
    raise InterfaceError(f"option {name} is on or off, not {value!r}")


def _number(name: str, unit: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < math.inf:
        raise InterfaceError(f"option {name} is a number of {unit}, not {value!r}")
    return number


class Connection:
    """A connection: one workspace, and at most one open transaction. Not for use by two threads at once."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    def __init__(
        self,
        database: Database,
        isolation: Isolation,
        foreign_keys: bool,
        lock_timeout: float = LOCK_TIMEOUT,
        slow_ms: float | None = None,
    ) -> None:
        self.database = database
        self._lock_timeout = lock_timeout
        self._slow_ms = slow_ms
        self._isolation = isolation
        self._foreign_keys = foreign_keys
        self._workspace = Workspace(self._next_id)
        self._entries = IndexEntries()
        self._transaction: Transaction | None = None
        self._lost: Conflict | None = None  # took the transaction with it inside a savepoint; to be rolled back yet
        self._script = Script()
        self._pure = True
        self._closed = False

    # ── properties ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def stats(self) -> Stats:
        """Counts of what the store was asked by this process: rounds, commands, rows, bytes."""
        return self.database.store.stats

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._transaction is not None

    @property
    def isolation_level(self) -> str:
        """The isolation level of the transactions to come. Setting it in an open transaction is an error."""
        return self._isolation.value

    @isolation_level.setter
    def isolation_level(self, name: str) -> None:
        level = _isolation(name)
        if level is not self._isolation and self._transaction is not None:
            raise ProgrammingError(
                "the isolation level can't be changed inside a transaction; commit or roll back first"
            )
        self._isolation = level

    @property
    def foreign_keys(self) -> bool:
        """Whether foreign keys are enforced. As in SQLite, a change inside a transaction has no effect."""
        return self._foreign_keys

    @foreign_keys.setter
    def foreign_keys(self, on: bool) -> None:
        if self._transaction is None:
            self._foreign_keys = on

    # ── statements ────────────────────────────────────────────────────────────────────────────────────────────────

    def cursor(self) -> Cursor:
        """A new cursor."""
        if self._closed:
            raise _closed()
        return Cursor(self)

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Run a statement with a new cursor, which is the answer."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Cursor:
        """Run a statement for each set of parameters with a new cursor, which is the answer."""
        return self.cursor().executemany(sql, parameters)

    def run(self, sql: str, rows: Sequence[Parameters]) -> Result:
        """Run one statement for each set of parameters. Cursors call this."""
        if self._closed:
            raise _closed()
        statement = classify(sql)
        if not statement.is_about_rows:
            result = self._run_here(statement, sql, rows)
            if result is not None:
                return result
        if self._slow_ms is None:
            return self._run_in_transaction(statement, sql, rows)
        return self._run_timed(self._slow_ms, statement, sql, rows)

    def _run_here(self, statement: Statement, sql: str, rows: Sequence[Parameters]) -> Result | None:
        """Run a statement that is for the connection itself; None for any other."""
        if statement.tail:
            raise ProgrammingError("You can only execute one statement at a time.")
        steer = _STEERING.get(statement.kind)
        if steer is not None:
            result = steer(self, statement)
            if statement.kind in _SAVEPOINTS:
                self._script.note(statement, sql, rows, result)
            return result
        if statement.kind is StatementKind.PRAGMA and statement.name in _OF_THE_CONNECTION:
            return self._pragma(statement)
        if statement.kind is StatementKind.ATTACH:
            raise NotSupportedError("ATTACH is not supported: a connection is to one ROME database")
        if statement.kind is StatementKind.OTHER and statement.verb in ("vacuum", "analyze", "reindex"):
            return _NOTHING
        return None

    def _run_timed(self, slow_ms: float, statement: Statement, sql: str, rows: Sequence[Parameters]) -> Result:
        began = time.perf_counter()
        try:
            return self._run_in_transaction(statement, sql, rows)
        finally:
            took = (time.perf_counter() - began) * 1000
            if took > slow_ms:
                log_slow(self._transaction, statement, sql, rows[0], took)

    def _run_in_transaction(self, statement: Statement, sql: str, rows: Sequence[Parameters]) -> Result:
        alone = self._isolation is Isolation.AUTOCOMMIT and self._transaction is None
        transaction = self._begin()
        try:
            if statement.is_about_rows:
                result = run(transaction, statement, sql, rows)
            else:
                result = self._dispatch(transaction, statement, sql, rows)
            self._script.note(statement, sql, rows, result)
        except RolledBackBySQLite as rolled_back:
            self._over()
            self._workspace.forget_transaction()
            raise rolled_back.error from rolled_back.error.__cause__
        except BaseException as error:
            self._script.disable_replay()
            if alone or isinstance(error, Conflict):
                within = bool(transaction.savepoints)
                self.rollback()
                if within and isinstance(error, Conflict):
                    self._lost = error
            raise
        if alone:
            self.commit()
        return result

    def _dispatch(self, transaction: Transaction, statement: Statement, sql: str, rows: Sequence[Parameters]) -> Result:
        if statement.is_about_rows:
            return run(transaction, statement, sql, rows)
        about = explained(sql) if statement.kind is StatementKind.EXPLAIN else None
        if statement.kind is StatementKind.DDL:
            return change_schema(transaction, statement, sql, rows[0])
        if about is not None:
            return explain(transaction, *about, rows[0])
        if statement.locking is not None:
            return lock_and_read(transaction, statement, sql, rows, self._lock_timeout)
        return run(transaction, statement, sql, rows)

    def _begin(self) -> Transaction:
        if self._transaction is None:
            if self._lost is not None:
                raise self._lost
            self._transaction = self._new_transaction()
            self._script = Script()
        return self._transaction

    def _new_transaction(self) -> Transaction:
        return Transaction(self.database, self._workspace, self._entries, self._isolation, self._foreign_keys)

    def _next_id(self, table_id: int) -> int:
        assert self._transaction is not None
        return self._transaction.next_id(table_id)

    # ── steering the transaction ──────────────────────────────────────────────────────────────────────────────────

    def _sql_begin(self, _statement: Statement) -> Result:
        if self._transaction is not None:
            raise OperationalError("cannot start a transaction within a transaction")
        self._begin()
        return _NOTHING

    def _sql_commit(self, _statement: Statement) -> Result:
        if self._transaction is None:
            raise OperationalError("cannot commit - no transaction is active")
        self.commit()
        return _NOTHING

    def _sql_rollback(self, _statement: Statement) -> Result:
        if self._transaction is None:
            raise OperationalError("cannot rollback - no transaction is active")
        self.rollback()
        return _NOTHING

    def _sql_savepoint(self, statement: Statement) -> Result:
        self._begin().savepoint(statement.name or "")
        return _NOTHING

    def _sql_release(self, statement: Statement) -> Result:
        self._begin().release(statement.name or "")
        return _NOTHING

    def _sql_rollback_to(self, statement: Statement) -> Result:
        self._begin().rollback_to(statement.name or "")
        return _NOTHING

    def _pragma(self, statement: Statement) -> Result:
        """PRAGMAs about the connection that ROME answers itself."""
        if statement.name != "foreign_keys":
            if statement.argument is None:
                return Result([(0,)], ((statement.name, None, None, None, None, None, None),), -1)
            return _NOTHING
        if statement.argument is not None:
            self.foreign_keys = statement.argument.lower() in ("on", "true", "1", "yes")
            return _NOTHING
        return Result([(int(self._foreign_keys),)], (("foreign_keys", None, None, None, None, None, None),), -1)

    def commit(self) -> None:
        """Write what the transaction changed. Raises Conflict, with nothing written, if another commit came between."""
        self._check()
        transaction = self._transaction
        if transaction is None:
            lost, self._lost = self._lost, None
            if lost is not None:
                raise lost
            return
        try:
            transaction.commit()
        except errors.IntegrityError:
            raise  # a deferred foreign key: the transaction goes on
        except Conflict:
            try:
                if not (self._can_replay(transaction) and self._replay(transaction)):
                    raise
            finally:
                self._over()
            return
        except BaseException:
            self._over()
            raise
        self._over()

    def _can_replay(self, transaction: Transaction) -> bool:
        return self._pure and self._script.can_replay and not (transaction.is_guarded or transaction.draws_again)

    def _replay(self, refused: Transaction) -> bool:
        """Run what a refused transaction did again, at the newest version; whether it has committed.

        What a commit raises beside Conflict goes up: whether that commit was applied may be unknown.
        """
        for _ in range(TRIES):
            self._workspace.change_counters = refused.change_counters
            again = self._transaction = self._new_transaction()
            again.numbers.use(refused.used)
            if not self._repeat(again):
                again.rollback()
                return False
            try:
                again.commit()
            except Conflict:
                continue
            except errors.IntegrityError:  # of a deferred foreign key; such a transaction is still open
                again.rollback()
                return False
            self.database.replays += 1
            return True
        return False

    def _repeat(self, transaction: Transaction) -> bool:
        """Run the script in a new transaction; whether every result is what it was."""
        try:
            for statement, sql, rows, result in self._script:
                steer = _STEERING.get(statement.kind)
                again = steer(self, statement) if steer else self._dispatch(transaction, statement, sql, rows)
                if not is_same(again, result):
                    return False
        except RolledBackBySQLite:
            self._workspace.forget_transaction()
            return False
        except errors.Error:
            return False
        return True

    def rollback(self) -> None:
        """Drop what the transaction changed."""
        if self._closed:
            raise _closed()
        self._lost = None
        if self._transaction is not None:
            try:
                self._transaction.rollback()
            finally:
                self._over()

    def _over(self) -> None:
        over, self._transaction = self._transaction, None
        if over is not None and over.row_locks is not None:
            over.row_locks.release()

    @contextmanager
    def rebuilding_table(self, table: str) -> Iterator[None]:
        """For a table that is dropped only to be made again, changed, with the rows it had.

        Within, foreign keys are not enforced, so that its children stay; also in an open transaction. A row that
        another transaction writes to the table meanwhile makes the commit a Conflict.
        """
        self._check()
        transaction = self._begin()
        self._script.disable_replay()
        with transaction.rebuilding_table(table):
            yield

    # ── the rest ──────────────────────────────────────────────────────────────────────────────────────────────────

    def create_function(
        self, name: str, narg: int, function: Callable[..., Any] | None, *, deterministic: bool = False
    ) -> None:
        """Give SQL a function on this connection."""
        self._check()
        self._pure = self._pure and deterministic
        self._workspace.sqlite.create_scalar_function(name, function, narg, deterministic=deterministic)

    def create_collation(self, name: str, function: Callable[[str, str], int] | None) -> None:
        """Give SQL a collation on this connection."""
        self._check()
        self._workspace.sqlite.create_collation(name, function)

    def fence(self, lock: Lock, *, late: bool = False) -> None:
        """Let a lock that is held guard the transaction that is open, or begins now.

        Its commit is refused with LockLost if the lock is lost by then. Raises LockLost; InterfaceError for a lock of
        another database, or where each statement commits by itself; Conflict if the transaction has read before the
        lock was taken, and former holders may have committed since (not if `late`: the caller has looked).
        """
        self._check()
        if self._isolation is Isolation.AUTOCOMMIT:
            raise InterfaceError(f"lock {lock.name!r} can't guard a transaction under AUTOCOMMIT: there is none")
        try:
            self._begin().fence(lock.guard(), late)
        except Conflict:
            self.rollback()
            raise

    def interrupt(self) -> None:
        """Stop the statement that runs; may be called from another thread."""
        self._workspace.sqlite.interrupt()

    def close(self) -> None:
        """Roll back what is open and close. Closing twice does nothing."""
        if not self._closed:
            self.rollback()
            self._closed = True
            self._workspace.close()
            release_database(self.database)

    def _check(self) -> None:
        if self._closed:
            raise _closed()

    def __enter__(self) -> Connection:
        self._check()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Commit, or roll back if there was an error; the connection stays open, as in the sqlite3 module."""
        if kind is None:
            self.commit()
        else:
            self.rollback()


def _closed() -> ProgrammingError:
    return ProgrammingError("Cannot operate on a closed database.")


_SAVEPOINTS = frozenset({StatementKind.SAVEPOINT, StatementKind.RELEASE, StatementKind.ROLLBACK_TO})

_STEERING: dict[StatementKind, Callable[[Connection, Statement], Result]] = {
    StatementKind.EMPTY: lambda _connection, _statement: _NOTHING,
    StatementKind.BEGIN: Connection._sql_begin,
    StatementKind.COMMIT: Connection._sql_commit,
    StatementKind.ROLLBACK: Connection._sql_rollback,
    StatementKind.SAVEPOINT: Connection._sql_savepoint,
    StatementKind.RELEASE: Connection._sql_release,
    StatementKind.ROLLBACK_TO: Connection._sql_rollback_to,
}
