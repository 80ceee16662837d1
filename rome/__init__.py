"""ROME: relational data in a key/value store, for applications written for SQLAlchemy.

`connect(url)` opens a DB-API connection; `create_engine("rome+redis://…")` needs no import of this package.
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

__all__ = ["Connection", "connect", "drop_database", "explain"]


def drop_database(url: str) -> None:
    """Remove a database with all that it holds. Dropping one that is not there does nothing.

    Raises InterfaceError for a wrong URL, OperationalError when the store can't be reached.
    """
    _registry.drop_database(parse_url(url))


def explain(statement: Executable, bind: Engine | _SQLAlchemyConnection | Session, *, analyze: bool = False) -> str:
    """How ROME would run a SQLAlchemy statement, as text; with `analyze`, it is run, and what that took is added.

    `bind` is an engine, connection or session of SQLAlchemy's. For plain SQL there is EXPLAIN PLAN FOR.
    """
    from rome.dialect.explain import explain as explain_statement

    return explain_statement(statement, bind, analyze=analyze)
