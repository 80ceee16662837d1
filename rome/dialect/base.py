"""The SQLAlchemy dialect.

Everything about SQL is inherited from SQLite's dialect. This module has what depends on the driver and the store: how a
URL becomes a connection, isolation levels, RETURNING, pooling, and the detection of lost connections.
"""

from __future__ import annotations

import itertools
import os
import re
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from sqlalchemy import pool, types
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import URL
from sqlalchemy.types import TypeEngine

from rome.dialect import compat14, isolation, plugins, read_bound
from rome.dialect.constraint_reflection import NamedConstraints
from rome.dialect.numeric import RomeNumeric
from rome.dialect.stmt_compiler import RomeCompiler
from rome.dialect.type_compiler import RomeTypeCompiler, select_variant
from rome.url import DIALECT, parse_url

_private_names = itertools.count(1)
_abandoned: deque[URL] = deque()
"""Private databases whose engine was garbage-collected. A finalizer may run at any point, with any lock held, so their
databases are dropped when the next private database is made."""


@compat14.adapt
class RomeDialect(NamedConstraints):
    """SQLAlchemy's view of a ROME database."""

    name = "rome"
    driver = "rome"
    supports_statement_cache = True
    default_paramstyle = "qmark"
    returns_native_bytes = True
    statement_compiler = RomeCompiler
    type_compiler_cls = RomeTypeCompiler
    async_class = "RomeAsyncDialect"
    """The name of the class for asyncio."""
    default_database: str | None = None
    """The database for a server's URL that names none. None: a connection is to no database, and can create one."""
    colspecs = {**SQLiteDialect.colspecs, types.Numeric: RomeNumeric, types.Float: types.Float}
    construct_arguments: list[Any] = []  # a `rome_…` argument raises an error; it is not ignored silently

    # A batch reaches the driver as one executemany, which returns its RETURNING rows in the order of the parameters.
    # insertmanyvalues would only add sentinel columns and another SQL text for every batch size.
    use_insertmanyvalues = False
    insert_executemany_returning = True
    insert_executemany_returning_sort_by_parameter_order = True
    favor_returning_over_lastrowid = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._private_database: str | None = None
        self._names_no_database = False

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        from rome import dbapi

        return dbapi

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.QueuePool

    @classmethod
    def get_dialect_cls(cls, url: URL) -> type[RomeDialect]:
        """Return the class of the dialect. SQLAlchemy, and oslo.db, call this each time they resolve a ROME URL."""
        plugins.register()
        return cls._class_for(url)

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[RomeDialect]:
        """Return the class for `create_async_engine`."""
        plugins.register()
        name = cls._class_for(url).async_class
        return cast("type[RomeDialect]", getattr(import_module("rome.dialect.asynchronous"), name))

    @classmethod
    def _class_for(cls, url: URL) -> type[RomeDialect]:
        """Return the class with the name that the URL asks for."""
        if url.query.get(DIALECT) == "sqlite":
            return cast("type[RomeDialect]", import_module("rome.dialect.sqlite_name").SqliteRomeDialect)
        return cls

    @classmethod
    def load_provisioning(cls) -> None:
        """Import the provisioning hooks of SQLAlchemy's dialect suite."""
        import_module("rome.dialect.testing.provision")

    def create_connect_args(self, url: URL) -> tuple[Sequence[Any], dict[str, Any]]:
        """Return the arguments of `rome.connect`. Raises InterfaceError for a URL that is not one of ROME's."""
        parsed = parse_url(url.render_as_string(hide_password=False))
        self._note_store(parsed.store)
        if "staleness" in parsed.options:
            read_bound.take_options(self)
        if not parsed.database:
            name = self._own_database(url) if parsed.store == "memory" else self.default_database
            self._names_no_database = name is None
            url = url if name is None else url.set(database=name)
        return [url.render_as_string(hide_password=False)], {}

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """Return a connection of the driver."""
        if self._names_no_database:
            return cast("Any", self.dbapi).connect_to_server(*arguments, **options)
        return super().connect(*arguments, **options)

    def _note_store(self, store: str) -> None:
        """Let `driver` be the name of the store."""
        self.driver = store

    def _own_database(self, url: URL) -> str:
        """Return the database name for `rome+memory://`: one per engine, which lives as long as the engine."""
        if self._private_database is None:
            _drop_abandoned()
            name = f"private-{os.getpid()}-{next(_private_names)}"
            self._private_database = name
            weakref.finalize(self, _abandoned.append, url.set(database=name))
        return self._private_database

    def on_connect(self) -> Callable[[Any], None]:
        """Return a hook that gives a new connection the function for SQLAlchemy's `regexp_match()`."""

        def prepare(connection: Any) -> None:
            connection.create_function("regexp", 2, _regexp, deterministic=True)

        return prepare

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Return True if the connection is open. No round trip: the store's client replaces lost sockets itself."""
        dbapi_connection.cursor().close()
        return True

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        """Return True if the connection was closed.

        When a store can't be reached, the statement fails, but the same connection works again afterwards.
        """
        return isinstance(e, cast("Any", self.dbapi).Error) and bool(_CLOSED.search(str(e)))

    def get_isolation_level_values(self, dbapi_connection: Any) -> Sequence[Any]:
        return isolation.LEVELS

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        return isolation.sqlalchemy_name(dbapi_connection.isolation_level)

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        dbapi_connection.isolation_level = isolation.driver_name(level)

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return bool(dbapi_conn.isolation_level == isolation.AUTOCOMMIT)

    def type_descriptor(self, typeobj: TypeEngine[Any]) -> TypeEngine[Any]:
        """Return the type's variant for ROME or SQLite if it has one, else the type as SQLite's dialect adapts it."""
        variant = select_variant(typeobj)
        return super().type_descriptor(typeobj) if variant is typeobj else variant._gen_dialect_impl(self)

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        """Return the version of SQLite that evaluates statements; SQLAlchemy decides by it which SQL it may send."""
        return tuple(cast("Any", self.dbapi).sqlite_version_info)


_CLOSED = re.compile(r"closed (connection|database)|connection is closed")


def _drop_abandoned() -> None:
    """Drop private databases that can't be opened any more, to free their memory."""
    import rome

    while _abandoned:
        rome.drop_database(_abandoned.pop().render_as_string(hide_password=False))


def _regexp(pattern: str | None, value: object) -> bool | None:
    """Evaluate `value REGEXP pattern`. NULL on either side returns NULL; a number is matched as text."""
    if pattern is None or value is None:
        return None
    return re.search(pattern, value if isinstance(value, str) else str(value)) is not None
