"""CREATE DATABASE and DROP DATABASE, for tools that set up databases by SQL.

    CREATE DATABASE [IF NOT EXISTS] name
    DROP DATABASE [IF EXISTS] name

Both are about the store that the connection is to. They take effect at once and are not part of a transaction. A
database also begins to exist with the first commit to it, so nothing needs CREATE DATABASE.
"""

from __future__ import annotations

from rome.database.registry import create_database, database_exists, drop_database
from rome.errors import OperationalError
from rome.sql.syntax.statement import Statement
from rome.url import URL


def run_database_statement(server: URL, statement: Statement) -> None:
    """Run one of the statements. `server`: the URL of any database of the store.

    Raise OperationalError if the database exists already, or does not exist.
    """
    url = server.with_database(str(statement.name))
    exists, creates = database_exists(url), statement.verb == "create"
    if exists == creates:
        if not statement.is_conditional:
            raise OperationalError(f"database {statement.name} {'already exists' if exists else 'does not exist'}")
    elif creates:
        create_database(url)
    else:
        drop_database(url)
