"""The database of this process, and the transaction of the current call.

The outermost remotable method begins a transaction and commits it when it returns; remotable methods that it calls join
it. After a conflict, the call runs again; objects whose methods were called get back the values they had before.
The connection is opened by the first statement. Without `[database] connection` that raises NotConfigured.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from rome.forks import call_in_child, new_lock
from rome.orm import is_conflict, retry_on_conflict
from rome_objects.errors import ConstraintViolated, Contended, DatabaseFailed, NotConfigured
from rome_objects.values.changes import ChangeTracking, objects_in

_R = TypeVar("_R")

_lock = new_lock()
_url: str | None = None
_engine: sa.Engine | None = None
_check: Callable[[sa.Engine], None] | None = None


class Transaction:
    """The transaction of a call: its connection, and the state of the objects before it."""

    def __init__(self) -> None:
        self._connection: sa.Connection | None = None
        self._states: dict[int, tuple[ChangeTracking, dict[str, Any]]] = {}

    def connection(self) -> sa.Connection:
        """Return the connection. Raise NotConfigured."""
        if self._connection is None:
            self._connection = engine().connect()
        return self._connection

    def remember(self, obj: object) -> None:
        """Keep the state of an object and of those in its fields, to restore them if the transaction fails."""
        if not isinstance(obj, ChangeTracking) or id(obj) in self._states:
            return
        self._states[id(obj)] = (obj, obj._state())
        for attribute in obj._codec.nested:
            for nested in objects_in(obj.__dict__.get(attribute)):
                self.remember(nested)

    def commit(self) -> None:
        """Commit what was written."""
        if self._connection is not None:
            self._connection.commit()

    def restore(self) -> None:
        """Give the objects back the state they had before."""
        for obj, state in self._states.values():
            obj._restore(state)

    def close(self) -> None:
        """Roll back what is not committed."""
        if self._connection is not None:
            self._connection.close()


_current: ContextVar[Transaction | None] = ContextVar("rome_objects_transaction", default=None)


def connect_to(url: str | None, check: Callable[[sa.Engine], None] | None = None) -> None:
    """Set the URL of the database; None forbids this process to reach one.

    `check` is called before the first statement. If it raises an error, there is no engine.
    """
    global _url, _check
    dispose()
    _url, _check = url, check


def dispose() -> None:
    """Close the connections of this process."""
    global _engine
    with _lock:
        if _engine is not None:
            _engine.dispose()
        _engine = None


def engine() -> sa.Engine:
    """Return the engine of this process. Raise NotConfigured if it may not reach the database."""
    global _engine
    if _engine is not None:
        return _engine
    with _lock:
        if _engine is None:
            if not _url:
                raise NotConfigured(
                    reason="this process has no database: set [database] connection, or [objects] direct = false to "
                    "call a conductor"
                )
            opened = sa.create_engine(_url)
            if _check is not None:
                _check(opened)
            _engine = opened
        return _engine


def in_transaction() -> bool:
    """Return whether the current call is in a transaction of this process."""
    return _current.get() is not None


def connection() -> sa.Connection:
    """Return the connection of the current call. Raise NotConfigured outside of remotable methods."""
    transaction = _current.get()
    if transaction is None:
        raise NotConfigured(reason="statements run only within remotable methods: decorate the method with @remotable")
    return transaction.connection()


def run(function: Callable[..., _R], target: Any, *args: Any, **kwargs: Any) -> _R:
    """Call a method of an object or class in the transaction of the current call, or else in a new one.

    Raise ConstraintViolated, Contended or DatabaseFailed for the errors of the database that end the transaction.
    """
    current = _current.get()
    if current is not None:
        current.remember(target)
        return function(target, *args, **kwargs)

    def attempt() -> _R:
        transaction = Transaction()
        transaction.remember(target)
        token = _current.set(transaction)
        try:
            result = function(target, *args, **kwargs)
            transaction.commit()
        except BaseException as error:
            transaction.restore()
            if isinstance(error, IntegrityError):
                raise ConstraintViolated(objname=target.obj_name(), reason=str(error.orig)) from error
            raise
        finally:
            _current.reset(token)
            transaction.close()
        return result

    try:
        return retry_on_conflict(attempt)()
    except DBAPIError as error:
        names = {"objname": target.obj_name(), "version": target.VERSION, "method": function.__name__}
        if is_conflict(error):
            raise Contended(**names) from error
        raise DatabaseFailed(**names, reason=error.orig) from error


@call_in_child
def _begin_child() -> None:
    """Let a forked child open its own connections."""
    global _engine
    if _engine is not None:
        _engine.dispose(close=False)
    _engine = None
