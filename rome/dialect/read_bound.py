"""The execution options `rome_fresh`, `rome_staleness` and `rome_after`: how fresh a transaction reads.

    session.connection(execution_options={"rome_fresh": True})      the newest version
    select(Host).execution_options(rome_staleness=0.1)              if it is the first statement of its transaction
    connection.execution_options(rome_after=token)                  not before a commit of another process

They are for URLs with `staleness`; others always read the newest version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.orm import Session

from rome.cache.bound import DEFAULT, make_bound, token_of

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExecutionContext

    import rome.dbapi

_OPTIONS = frozenset({"rome_fresh", "rome_staleness", "rome_after"})


def take_options(dialect: Dialect) -> None:
    """Let an engine's dialect take the options. Other engines don't pay for it."""
    if "do_execute" in vars(dialect):
        return
    execute, executemany = dialect.do_execute, dialect.do_executemany

    def do_execute(cursor: Any, statement: str, parameters: Any, context: ExecutionContext | None = None) -> None:
        _set_read_bound(cursor.connection, context)
        execute(cursor, statement, parameters, context)

    def do_executemany(cursor: Any, statement: str, parameters: Any, context: ExecutionContext | None = None) -> None:
        _set_read_bound(cursor.connection, context)
        executemany(cursor, statement, parameters, context)

    dialect.do_execute = do_execute  # type: ignore[method-assign]
    dialect.do_executemany = do_executemany  # type: ignore[method-assign]


def _set_read_bound(connection: rome.dbapi.Connection, context: ExecutionContext | None) -> None:
    """Let a driver's connection read as the execution options of a statement want. Raise InterfaceError."""
    options = context.execution_options if context is not None else {}
    wanted = DEFAULT
    if not _OPTIONS.isdisjoint(options):
        wanted = make_bound(
            fresh=options.get("rome_fresh", False),
            staleness=options.get("rome_staleness"),
            after=options.get("rome_after"),
        )
    connection.read_bound = wanted


def session_token(bind: Engine | Connection | Session) -> str:
    """Return the token of the last commit of this process to a database."""
    if isinstance(bind, Session):
        bind = bind.get_bind()
    if isinstance(bind, Engine):
        with bind.connect() as connection:
            return session_token(connection)
    driver: Any = bind.connection.dbapi_connection
    return token_of(driver.database.committed)
