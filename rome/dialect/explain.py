"""`rome.explain`: the plan of a SQLAlchemy statement.

    print(rome.explain(select(Server).where(Server.id == 7), engine))

    SELECT, compiled
    round 1
      primary key lookup on servers (id = ?1)    rows: 1

`rome.session.explain` describes the lines.
"""

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
    """Carries the text and the parameters that SQLAlchemy was about to execute."""

    def __init__(self, text: str, parameters: Any) -> None:
        super().__init__(text)
        self.text = text
        self.parameters = parameters


def explain(statement: Executable, bind: Engine | Connection | Session, *, analyze: bool = False) -> str:
    """Return the plan of a Core or ORM statement as text. With `analyze`, execute it and add what that took.

    Raise sqlalchemy.exc.DBAPIError, or ROME's own errors, for a statement that can't be executed.
    """
    with _connection(bind) as connection:
        compiled = _intercept(statement, connection)
        cursor = connection.connection.cursor()
        verb = "EXPLAIN ANALYZE" if analyze else "EXPLAIN PLAN FOR"
        cursor.execute(f"{verb} {compiled.text}", compiled.parameters)
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


def _intercept(statement: Executable, connection: Connection) -> _Intercepted:
    """Return the text and parameters that SQLAlchemy makes of a statement, by stopping it before the execution."""

    def stop(_connection: Any, _cursor: Any, text: str, parameters: Any, _context: Any, _many: bool) -> None:
        raise _Intercepted(text, parameters)

    event.listen(connection, "before_cursor_execute", stop)
    try:
        # A session compiles the statement with its eager loads.
        Session(connection).execute(statement)
    except _Intercepted as intercepted:
        return intercepted
    finally:
        event.remove(connection, "before_cursor_execute", stop)
    raise AssertionError("SQLAlchemy executed nothing")
