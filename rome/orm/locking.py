"""Sessions and locks: commits that a lock guards, and objects that are created once.

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
    """Let a lock that is held guard the session's transaction: `rome.dbapi.Connection.fence`, whose errors it raises.

    The transaction begins here, if there is none; a later one is not guarded. `bind_arguments` (`mapper=Model`) tell
    which database is meant, where a session has several.
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
    """The object whose attributes are as `key` says, and whether it was created, by this call, with `values`.

    Of all who call it with an equal key at a time, on any machine, one creates the object and the others get it,
    whether or not a constraint says that the key is unique. An object that is there is found without a lock.

    With a session in no transaction, it is created and committed here. With one that is in a transaction, the object
    is part of that, and the lock is kept to its end; there, Conflict is raised if the object has been created since
    the transaction began to read, so that it can't see it: run the transaction again. `values` may be a function.
    Raises LockTimeout, LockLost (from a commit as SQLAlchemy's OperationalError), IntegrityError for other constraints.
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
    """Look again under the lock; create and commit."""
    with lock:
        found = _find(session, model, key)
        if found is not None:
            return found, False
        try:
            fence(session, lock, mapper=inspect(model))
            created = _add(session, model, key, values)
            session.commit()
        except IntegrityError:
            # Perhaps somebody has created it without asking for the lock.
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
    """Create in the session's transaction, which may be older than what former holders of the lock have committed."""
    lock.acquire()
    _release_at_end(session, lock)
    mapper = inspect(model)
    with orm.Session(session.get_bind(mapper).engine) as newest:
        if _find(newest, model, key) is not None:
            raise Conflict(f"conflict: {lock.name} has been created since this transaction began; run it again")
    _driver(session, {"mapper": mapper}).fence(lock, late=True)
    created = _add(session, model, key, values)
    session.flush()
    return created


_LOCKS = f"{__name__} locks"
"""Where a session's `info` has the locks to be released at the end of its transaction."""


def _release_at_end(session: orm.Session, lock: Lock) -> None:
    if _LOCKS not in session.info:
        session.info[_LOCKS] = []
        event.listen(session, "after_transaction_end", _release_all)
    session.info[_LOCKS].append(lock)


def _release_all(session: orm.Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        while session.info[_LOCKS]:
            # The commit has told already whether the lock was lost.
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
        raise InterfaceError("locks of ROME guard sessions on ROME databases only")
    return driver
