"""Code as users write it, with the types that a checker must infer. `tests/typing/test_typing.py` checks it."""

from typing import assert_type

from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import rome
from rome import metrics
from rome.dbapi import Cursor
from rome.errors import Conflict
from rome.locks.manager import Lock, LockManager
from rome.metrics.recorder import Recorder
from rome.orm import Session, retry_on_conflict, run_transaction
from rome.testing import check_database


class Base(DeclarativeBase):
    """The base of the models."""


class Town(Base):
    """A model."""

    __tablename__ = "towns"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@retry_on_conflict
def rename(session: Session, town: int, name: str) -> str:
    """Rename a town."""
    found = session.get_one(Town, town)
    found.name = name
    return name


def use_the_driver() -> None:
    """Use the DB-API."""
    connection = rome.connect("rome+memory:///typed", isolation_level="SERIALIZABLE")
    assert_type(connection, rome.Connection)
    cursor = connection.execute("SELECT ?", (1,))
    assert_type(cursor, Cursor)
    assert_type(cursor.rowcount, int)
    assert_type(connection.in_transaction, bool)
    for row in cursor:
        assert_type(len(row), int)
    try:
        connection.commit()
    except Conflict as conflict:
        assert_type(str(conflict), str)
    connection.close()


def use_the_orm() -> None:
    """Use SQLAlchemy and rome.orm."""
    engine = create_engine("rome+memory:///typed")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert_type(rome.explain(select(Town), engine), str)
    session = Session(url="rome+memory:///typed")
    assert_type(rename(session, 1, "Roma"), str)
    town = run_transaction(lambda: Session(url="rome+memory:///typed"), lambda session: session.get(Town, 1))
    assert_type(town, Town | None)


def use_locks() -> None:
    """Use distributed locks."""
    manager = LockManager("rome+memory:///typed")
    with manager.lock("name", ttl=5, timeout=1) as lock:
        assert_type(lock, Lock)
        assert_type(lock.token, int)
    manager.close()


def use_metrics_and_checks() -> None:
    """Use metrics and the checker."""
    recorder = metrics.record()
    assert_type(recorder, Recorder)
    assert_type(recorder.count(metrics.ROWS), float)
    metrics.stop()
    for fault in check_database("rome+memory:///typed"):
        assert_type(fault, str)
