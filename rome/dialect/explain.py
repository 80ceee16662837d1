"""`rome.explain`: how ROME would run a SQLAlchemy statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from sqlalchemy import Executable


class _Caught(Exception):
    """The text and parameters that were about to be run."""

    def __init__(self, text: str, parameters: Any) -> None:
        super().__init__(text)
        self.text = text
        self.parameters = parameters


def explain(statement: Executable, bind: Engine | Connection | Session, *, analyze: bool = False) -> str:
    """The plan of a statement, Core or ORM, as text; with `analyze`, it is run, and what that took is added.

    Raises sqlalchemy.exc.DBAPIError, or ROME's own errors, for a statement that can't be run.
    """
    with _connection(bind) as connection:
        caught = _catch(statement, connection)
        cursor = connection.connection.cursor()
        verb = "EXPLAIN ANALYZE" if analyze else "EXPLAIN PLAN FOR"
        cursor.execute(f"{verb} {caught.text}", caught.parameters)
        return "\n".join(line for (line,) in cursor.fetchall())


@contextmanager
def _connection(bind: Engine | Connection | Session) -> Iterator[Connection]:
    if isinstance(bind, Session):
        yield bind.connection()
    elif isinstance(bind, Engine):
        with bind.connect() as connection:
            yield connection
    else:
        yield bind


def _catch(statement: Executable, connection: Connection) -> _Caught:
    """What SQLAlchemy would run, found out by stopping it just before."""

    def stop(_connection: Any, _cursor: Any, text: str, parameters: Any, _context: Any, _many: bool) -> None:
        raise _Caught(text, parameters)

    event.listen(connection, "before_cursor_execute", stop)
    try:
        # Through a session, so that eager loading is part of the text.
        Session(connection).execute(statement)
    except _Caught as caught:
        return caught
    finally:
        event.remove(connection, "before_cursor_execute", stop)
    raise AssertionError("SQLAlchemy ran nothing")
