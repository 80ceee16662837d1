"""ROME: a relational database over a key/value store, for applications written for SQLAlchemy.

`connect(url)` opens a DB-API connection. `create_engine("rome+redis://…")` works without importing this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rome.database import registry as _registry
from rome.dbapi import Connection, connect
from rome.url import parse_url

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sqlalchemy import Connection as _SQLAlchemyConnection
    from sqlalchemy import Engine, Executable
    from sqlalchemy.orm import Session

__all__ = ["Connection", "connect", "drop_database", "explain", "session_token"]


def drop_database(url: str) -> None:
    """Remove a database and everything in it. Dropping a database that does not exist does nothing.

    Raises InterfaceError for an invalid URL and OperationalError if the store can't be reached.
    """
    _registry.drop_database(parse_url(url))


def session_token(bind: Engine | _SQLAlchemyConnection | Session) -> str:
    """Return a token of what this process has committed to a database, for `rome_after` in another process.

    A transaction there with `execution_options(rome_after=token)` sees these commits, however stale its reads may be.
    """
    from rome.dialect.read_bound import session_token as token_of_bind

    return token_of_bind(bind)


def explain(statement: Executable, bind: Engine | _SQLAlchemyConnection | Session, *, analyze: bool = False) -> str:
    """Return ROME's plan for a SQLAlchemy statement as text. With `analyze`, run the statement and add what it took.

    `bind` is a SQLAlchemy engine, connection or session. For plain SQL use EXPLAIN PLAN FOR.
    """
    from rome.dialect.explain import explain as explain_statement

    return explain_statement(statement, bind, analyze=analyze)
