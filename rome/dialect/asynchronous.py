"""`create_async_engine`: the dialects for SQLAlchemy's asyncio extension.

The driver is the same as that of `create_engine`. It runs in a greenlet of the task, and where it waits, other tasks
run (`rome.waits`): a round of the Redis store waits for its socket. The memory store, and reads of a file, take their
time in place; writes to a file, and the opening of a database, are done in a thread.

A statement of another task on the same connection is refused, as one of another thread is. A task that is cancelled
within a statement or a commit leaves the connection as a lost connection to the server would: the commit was applied
once, or not at all. SQLAlchemy then discards the connection.

`AsyncConnection.stream` and `AsyncSession.stream` work. The result is complete in the client before the first row is
handed out, because a statement reads one version of the database.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import pool
from sqlalchemy.dialects.sqlite.base import SQLiteExecutionContext
from sqlalchemy.engine import URL

from rome import waits
from rome.dbapi.connection import Connection, Cursor
from rome.dialect.base import RomeDialect
from rome.dialect.sqlite_name import SqliteRomeDialect
from rome.dialect.tasks import run_and_give_way


class TaskCursor(Cursor):
    """A cursor with what SQLAlchemy asks for of a cursor of an asyncio driver."""

    server_side = False
    """True if its rows are streamed."""

    async def _async_soft_close(self) -> None:
        """Do nothing: the cursor holds nothing but the rows."""


class TaskExecutionContext(SQLiteExecutionContext):
    """Makes the cursors of statements."""

    def create_default_cursor(self) -> Any:
        """Return a cursor."""
        return TaskCursor(cast("Connection", self._dbapi_connection.dbapi_connection))

    def create_server_side_cursor(self) -> Any:
        """Return a cursor whose rows are streamed."""
        cursor = self.create_default_cursor()
        cursor.server_side = True
        return cursor


class RomeAsyncDialect(RomeDialect):
    """ROME's dialect for asyncio."""

    is_async = True
    has_terminate = True
    supports_server_side_cursors = True
    supports_statement_cache = True
    execution_ctx_cls = TaskExecutionContext

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.AsyncAdaptedQueuePool

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement, in a task."""
        run_and_give_way(super().do_execute, cursor, statement, parameters, context)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement for several sets of parameters, in a task."""
        run_and_give_way(super().do_executemany, cursor, statement, parameters, context)

    def do_commit(self, dbapi_connection: Any) -> None:
        """Commit, in a task."""
        run_and_give_way(super().do_commit, dbapi_connection)

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Close a connection that SQLAlchemy discards. The garbage collector, which is no task, only drops it."""
        if waits.in_task():
            super().do_close(dbapi_connection)


class SqliteRomeAsyncDialect(RomeAsyncDialect, SqliteRomeDialect):
    """The same under the name of SQLite's dialect."""

    supports_statement_cache = True
