"""Locks for sessions: fence a commit with a lock, and create an object exactly once.

>>> from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
>>> from rome.orm import Session
>>> class Base(DeclarativeBase): pass
>>> class Service(Base):
...     __tablename__ = "services"
...     id: Mapped[int] = mapped_column(primary_key=True)
...     host: Mapped[str]
...     binary: Mapped[str]
...     reports: Mapped[int] = mapped_column(default=0)
>>> session = Session(url="rome+memory:///create-once")
>>> Base.metadata.create_all(session.get_bind())
>>> service, created = create_once(session, Service, {"host": "node-1", "binary": "compute"}, {"reports": 1})
>>> service.reports, created
(1, True)
>>> create_once(session, Service, {"host": "node-1", "binary": "compute"}) == (service, False)
True
>>> session.close()
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import event, inspect, orm, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import SessionTransaction

from rome.dbapi import Connection
from rome.errors import Conflict, InterfaceError, OperationalError
from rome.locks import Lock, manager_of
from rome.orm.retry import retry_on_conflict

_T = TypeVar("_T", bound=Any)

Values = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None

_TTL = 10.0
_TIMEOUT = 60.0


def fence(session: orm.Session, lock: Lock, **bind_arguments: Any) -> None:
    """Fence the session's transaction with a lock that is held: its commit fails if the lock is lost by then.

    This begins the transaction if there is none; later transactions are not fenced. For a session with several
    databases, `bind_arguments` (`mapper=Model`) choose one. Raises the errors of `rome.dbapi.Connection.fence`.
    """
    _driver(session, bind_arguments).fence(lock)


def create_once(
    session: orm.Session,
    model: type[_T],
    key: Mapping[str, Any],
    values: Values = None,
    *,
    ttl: float = _TTL,
    timeout: float = _TIMEOUT,
) -> tuple[_T, bool]:
    """Return the object with the attributes in `key`, and True if this call created it, with `values`.

    Of all concurrent calls with an equal key, on any machine, one creates the object and the others get it, even if no
    constraint makes the key unique. An existing object is found without a lock. `values` may be a function.

    If the session is in no transaction, the object is created and committed. Otherwise it is created in the session's
    transaction, and the lock is held until that ends. Then this raises Conflict if the object was created after the
    transaction's snapshot, which therefore does not show it: run the transaction again.

    Raises LockTimeout, LockLost (from a commit: SQLAlchemy's OperationalError), and IntegrityError for other
    constraints.
    """
    joined = session.in_transaction()
    found = _find(session, model, key)
    if found is not None:
        return found, False
    mapper = inspect(model)
    named = ", ".join(f"{name}={key[name]!r}" for name in sorted(key))
    manager = manager_of(_driver(session, {"mapper": mapper}).database)
    lock = manager.lock(f"create_once {mapper.local_table}({named})", ttl, timeout)
    if joined:
        return _create_within(session, model, key, values, lock), True
    session.rollback()
    return retry_on_conflict(_create_alone)(session, model, key, values, lock)


def _create_alone(
    session: orm.Session, model: type[_T], key: Mapping[str, Any], values: Values, lock: Lock
) -> tuple[_T, bool]:
    """Look for the object again under the lock, else create it, and commit."""
    with lock:
        found = _find(session, model, key)
        if found is not None:
            return found, False
        try:
            fence(session, lock, mapper=inspect(model))
            created = _add(session, model, key, values)
            session.commit()
        except IntegrityError:
            # Another client may have created it without the lock.
            session.rollback()
            found = _find(session, model, key)
            if found is None:
                session.rollback()
                raise
            return found, False
        except BaseException:
            session.rollback()
            raise
    return created, True


def _create_within(session: orm.Session, model: type[_T], key: Mapping[str, Any], values: Values, lock: Lock) -> _T:
    """Create the object in the session's transaction, whose snapshot may not show commits of previous lock holders."""
    lock.acquire()
    _release_at_end(session, lock)
    mapper = inspect(model)
    with orm.Session(session.get_bind(mapper).engine) as other:
        if _find(other, model, key) is not None:
            raise Conflict(f"conflict: {lock.name} was created after this transaction began; run it again")
    _driver(session, {"mapper": mapper}).fence(lock, late=True)
    created = _add(session, model, key, values)
    session.flush()
    return created


_LOCKS = f"{__name__} locks"
"""The key in a session's `info` for the locks to release at the end of its transaction."""


def _release_at_end(session: orm.Session, lock: Lock) -> None:
    if _LOCKS not in session.info:
        session.info[_LOCKS] = []
        event.listen(session, "after_transaction_end", _release_all)
    session.info[_LOCKS].append(lock)


def _release_all(session: orm.Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        while session.info[_LOCKS]:
            # If the lock was lost, the commit has raised the error already.
            with contextlib.suppress(OperationalError):
                session.info[_LOCKS].pop().release()


def _find(session: orm.Session, model: type[_T], key: Mapping[str, Any]) -> _T | None:
    found: _T | None = session.scalars(select(model).filter_by(**key).limit(1)).first()
    return found


def _add(session: orm.Session, model: type[_T], key: Mapping[str, Any], values: Values) -> _T:
    created: _T = model(**key, **((values() if callable(values) else values) or {}))
    session.add(created)
    return created


def _driver(session: orm.Session, bind_arguments: dict[str, Any]) -> Connection:
    driver = session.connection(bind_arguments=bind_arguments).connection.driver_connection
    if not isinstance(driver, Connection):
        raise InterfaceError("ROME's locks fence sessions on ROME databases only")
    return driver
