"""`rome.explain`: the plan of a SQLAlchemy statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from sqlalchemy import Executable


class _Intercepted(Exception):
    """Raised in place of running a statement; has its text and parameters."""

    def __init__(self, text: str, parameters: Any) -> None:
        super().__init__(text)
        self.text = text
        self.parameters = parameters


def explain(statement: Executable, bind: Engine | Connection | Session, *, analyze: bool = False) -> str:
    """Return the plan of a Core or ORM statement as text. With `analyze`, run the statement and add what it took.

    Raises sqlalchemy.exc.DBAPIError, or ROME's own errors, for a statement that fails.
    """
    with _connection(bind) as connection:
        intercepted = _compile(statement, connection)
        cursor = connection.connection.cursor()
        verb = "EXPLAIN ANALYZE" if analyze else "EXPLAIN PLAN FOR"
        cursor.execute(f"{verb} {intercepted.text}", intercepted.parameters)
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


def _compile(statement: Executable, connection: Connection) -> _Intercepted:
    """Return the SQL and parameters that SQLAlchemy would send, by stopping it just before it does."""

    def stop(_connection: Any, _cursor: Any, text: str, parameters: Any, _context: Any, _many: bool) -> None:
        raise _Intercepted(text, parameters)

    event.listen(connection, "before_cursor_execute", stop)
    try:
        # A session adds eager loading to the text.
        Session(connection).execute(statement)
    except _Intercepted as intercepted:
        return intercepted
    finally:
        event.remove(connection, "before_cursor_execute", stop)
    raise AssertionError("SQLAlchemy executed nothing")
