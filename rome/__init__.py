"""ROME: relational data in a key/value store, for applications written for SQLAlchemy.

`connect(url)` opens a DB-API connection; `create_engine("rome+redis://…")` needs no import of this package.
"""

from __future__ import annotations

from rome import database as _database
from rome.dbapi import Connection, connect
from rome.url import parse_url

__version__ = "0.1.0"

__all__ = ["Connection", "connect", "drop_database"]


def drop_database(url: str) -> None:
    """Remove a database with all that it holds. Dropping one that is not there does nothing.

    Raises InterfaceError for a wrong URL, OperationalError when the store can't be reached.
    """
    _database.drop_database(parse_url(url))
