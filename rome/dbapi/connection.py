"""PEP 249 connections and cursors: options, parameters, and results. `rome.session.control` runs the statements."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rome import errors
from rome.cache.bound import ReadBound
from rome.database.database import Database
from rome.database.registry import CONNECTION_OPTIONS, abandon_database, open_database, release_database
from rome.errors import DataError, InterfaceError, ProgrammingError
from rome.locks.manager import Lock
from rome.session.control import TransactionControl
from rome.session.open_transaction import closed_error
from rome.sql.syntax.tokens import split_script
from rome.sqlite.workspace import Parameters, Result, Row
from rome.storage.store import Stats
from rome.transaction.row_locks import LOCK_TIMEOUT
from rome.transaction.snapshot import Isolation
from rome.url import URL, parse_url
from rome.values import STORAGE_CLASSES


def connect(url: str | URL, **options: Any) -> Connection:
    """Open a connection to the database of a ROME URL. The database need not exist before.

    Options (also in the URL): `isolation_level` (SNAPSHOT, SERIALIZABLE, READ COMMITTED, AUTOCOMMIT), `foreign_keys`
    (on or off), `lock_timeout` (seconds that SELECT … FOR UPDATE waits for row locks of other transactions), `slow_ms`
    (the logger `rome.slow` logs statements that take longer, with their plans).
    Raise InterfaceError for a wrong URL or option, OperationalError if the store can't be reached.
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


def connect_to_server(url: str, **options: Any) -> Connection:
    """Open a connection for CREATE DATABASE and DROP DATABASE by a URL that names no database.

    It sees no tables, and refuses to create any. Takes the options of `connect`, and raises its errors.
    """
    server = parse_url(url)
    known = {name: value for name, value in server.options.items() if name in CONNECTION_OPTIONS}
    connection = connect(URL("memory", "no database", options=known), **options)
    connection._control.server = server
    settings = connection._control.settings
    settings.query_only = True
    settings.read_only_because = f"the URL {server} names no database: add the name of one, or create one first"
    return connection


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
    """A PEP 249 connection. At most one transaction is open on it. Not for use by two threads or tasks at once."""

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
        self._control = TransactionControl(database, isolation, foreign_keys, lock_timeout, slow_ms)

    # ── properties ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def stats(self) -> Stats:
        """The counts of this process's requests to the store: rounds, commands, rows, bytes."""
        return self.database.store.stats

    @property
    def in_transaction(self) -> bool:
        """True if a transaction is open."""
        return self._control.transaction is not None

    @property
    def isolation_level(self) -> str:
        """The isolation level of the next transactions. Setting it in an open transaction is an error."""
        return self._control.isolation.value

    @isolation_level.setter
    def isolation_level(self, name: str | None) -> None:
        # As in the sqlite3 module, None leaves it to the application to begin transactions.
        level = Isolation.AUTOCOMMIT if name is None else _isolation(name)
        if level is not self._control.isolation and self._control.transaction is not None:
            raise ProgrammingError(
                "the isolation level can't be changed inside a transaction; commit or roll back first"
            )
        self._control.isolation = level

    @property
    def foreign_keys(self) -> bool:
        """True if foreign keys are enforced. As in SQLite, a change inside a transaction has no effect."""
        return self._control.settings.foreign_keys

    @foreign_keys.setter
    def foreign_keys(self, on: bool) -> None:
        if self._control.transaction is None:
            self._control.settings.foreign_keys = on

    @property
    def read_bound(self) -> ReadBound:
        """How fresh the next transaction reads if the URL has `staleness`, or the next statement (READ COMMITTED)."""
        return self._control.read_bound

    @read_bound.setter
    def read_bound(self, wanted: ReadBound) -> None:
        self._control.read_bound = wanted

    # ── statements ────────────────────────────────────────────────────────────────────────────────────────────────

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        if self._control.is_closed:
            raise closed_error()
        return Cursor(self)

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Run a statement with a new cursor. Return the cursor."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Cursor:
        """Run a statement once for each set of parameters with a new cursor. Return the cursor."""
        return self.cursor().executemany(sql, parameters)

    def commit(self) -> None:
        """Write what the transaction changed. Raise Conflict, with nothing written, if another commit came between."""
        self._control.commit()

    def rollback(self) -> None:
        """Discard what the transaction changed."""
        self._control.rollback()

    # ── beyond PEP 249 ────────────────────────────────────────────────────────────────────────────────────────────

    def rebuilding_table(self, table: str) -> AbstractContextManager[None]:
        """Within the block, let a table be dropped and created again, changed, with the rows it had.

        Foreign keys are not enforced within, so that its children stay; also in an open transaction. If another
        transaction writes a row of the table meanwhile, the commit raises Conflict.
        """
        self._check()
        return self._control.rebuilding_table(table)

    def create_function(
        self, name: str, narg: int, function: Callable[..., Any] | None, *, deterministic: bool = False
    ) -> None:
        """Add a function to the SQL of this connection. Transactions are no longer replayed unless `deterministic`."""
        self._check()
        control = self._control
        control.is_deterministic = control.is_deterministic and deterministic
        control.functions.function(control.workspace, name, narg, function, deterministic)

    def create_aggregate(self, name: str, narg: int, aggregate: Callable[[], Any] | None) -> None:
        """Add an aggregate to the SQL of this connection. Its result must depend on the values of its rows only.

        `aggregate`: a class, whose objects have the methods `step`, for the values of a row, and `finalize`, which
        returns the result; None removes it.
        """
        self._check()
        self._control.functions.aggregate(self._control.workspace, name, narg, aggregate)

    def create_collation(self, name: str, function: Callable[[str, str], int] | None) -> None:
        """Add a collation to the SQL of this connection."""
        self._check()
        self._control.functions.collation(self._control.workspace, name, function)

    def fence(self, lock: Lock, *, late: bool = False) -> None:
        """Let a held lock guard the transaction that is open, or begins now: its commit raises LockLost if it is lost.

        Raise LockLost; InterfaceError for a lock of another database, and under AUTOCOMMIT; Conflict if the
        transaction has read before the lock was taken, and former holders may have committed since. `late`: the
        caller has checked that they have not.
        """
        self._check()
        self._control.fence(lock, late)

    def interrupt(self) -> None:
        """Stop the statement that is running, in SQLite or waiting for row locks. May be called from another thread.

        The statement raises OperationalError. Raise StoreUnavailable.
        """
        self._control.interrupt()

    def close(self) -> None:
        """Roll back the open transaction and close the connection. Closing twice does nothing."""
        if not self._control.is_closed:
            self._control.close()
            release_database(self.database)

    def __del__(self) -> None:
        """Release the database when a connection is dropped that was not closed. Its row locks expire."""
        if "_control" in self.__dict__ and not self._control.is_closed:
            abandon_database(self.database)

    def _check(self) -> None:
        self._control.check_idle()

    def __enter__(self) -> Connection:
        self._check()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Commit, or roll back after an error. The connection stays open, as in the sqlite3 module."""
        if kind is None:
            self.commit()
        else:
            self.rollback()


class Cursor:
    """A PEP 249 cursor. A result is complete when `execute` returns; the fetch methods return parts of it.

    Attributes: `description`, `rowcount`, `lastrowid`.
    """

    arraysize = 1
    description: tuple[tuple[Any, ...], ...] | None = None
    rowcount = -1
    lastrowid: int | None = None
    _rows: list[Row] = []
    _next = 0
    _closed = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._control = connection._control

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Run one statement. Return this cursor. Raise PEP 249's errors."""
        self._begin(sql)
        self._keep(self._control.run(sql, [bindable(parameters)]))
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Cursor:
        """Run one statement for each set of parameters, all or none. Rows of RETURNING come in their order."""
        self._begin(sql)
        parameter_sets = [bindable(each) for each in parameters]
        if parameter_sets:
            self._keep(self._control.run(sql, parameter_sets))
        return self

    def executescript(self, script: str) -> Cursor:
        """Commit, then run the statements of a script, one after the other."""
        self._begin(script)
        self.connection.commit()
        for sql in split_script(script):
            self._keep(self._control.run(sql, [()]))
        return self

    def _begin(self, sql: str) -> None:
        if self._closed:
            raise ProgrammingError("Cannot operate on a closed cursor.")
        if not isinstance(sql, str):
            raise ProgrammingError(f"a statement must be a str, not {type(sql).__name__}")
        self.description = None
        self.rowcount = -1
        self._rows, self._next = [], 0

    def _keep(self, result: Result) -> None:
        self._rows, self.description, self.rowcount, lastrowid = result
        if lastrowid is not None:
            self.lastrowid = lastrowid
        self._control.runner = None

    def fetchone(self) -> Row | None:
        """Return the next row, or None."""
        self._check()
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return the next `size` rows (default: `arraysize`)."""
        self._check()
        start = self._next
        self._next = min(start + (self.arraysize if size is None else size), len(self._rows))
        return self._rows[start : self._next]

    def fetchall(self) -> list[Row]:
        """Return the remaining rows."""
        self._check()
        start, self._next = self._next, len(self._rows)
        return self._rows[start:]

    def _check(self) -> None:
        if self._closed:
            raise ProgrammingError("Cannot operate on a closed cursor.")

    def __iter__(self) -> Iterator[Row]:
        while (row := self.fetchone()) is not None:
            yield row

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def setinputsizes(self, sizes: Any) -> None:
        """Do nothing, as PEP 249 allows."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Do nothing, as PEP 249 allows."""

    def close(self) -> None:
        """Close the cursor; it can't be used any more."""
        self._closed = True
        self._rows = []

    def __enter__(self) -> Cursor:
        if self._closed:
            raise InterfaceError("Cannot operate on a closed cursor.")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bindable(parameters: Any) -> Parameters:
    """Return a set of parameters of types that SQLite binds.

    Raise ProgrammingError, with the name of the parameter, for a wrong type; DataError for an int of over 64 bits.
    """
    if type(parameters) is tuple and STORAGE_CLASSES.issuperset(map(type, parameters)):
        for value in parameters:
            if type(value) is int and not -(2**63) <= value < 2**63:
                break
        else:
            return parameters
    if isinstance(parameters, Mapping):
        return {name: _value(name, value) for name, value in parameters.items()}
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        raise ProgrammingError(f"parameters must be a sequence or a mapping, not {type(parameters).__name__}")
    return tuple(_value(at + 1, each) for at, each in enumerate(parameters))


def _value(name: int | str, value: Any) -> Any:
    if value is None or isinstance(value, (float, str)):
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise DataError(f"parameter {name}: Python int too large to convert to SQLite INTEGER")
        return int(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise ProgrammingError(f"Error binding parameter {name}: type '{type(value).__name__}' is not supported")
