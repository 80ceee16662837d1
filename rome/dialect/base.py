"""The SQLAlchemy dialect.

Everything that has to do with SQL is SQLite's and inherited. What stands here is what follows from the driver and the
store: how a URL becomes a connection, isolation levels, what RETURNING can do, pooling, and what a lost connection is.
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

from sqlalchemy import pool
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import URL
from sqlalchemy.types import TypeEngine

from rome.dialect import compat14, isolation, plugins
from rome.dialect.in_lists import RomeCompiler
from rome.dialect.type_compiler import RomeTypeCompiler
from rome.dialect.variants import chosen_type
from rome.url import parse_url

_private_names = itertools.count(1)
_abandoned: deque[URL] = deque()
"""Private databases whose engine is gone. Engines are found dead in the middle of anything, with any lock held, so
their databases are dropped when the next one is made."""


@compat14.adapt
class RomeDialect(SQLiteDialect):
    """SQLAlchemy's view of a ROME database."""

    name = "rome"
    driver = "rome"
    supports_statement_cache = True
    default_paramstyle = "qmark"
    returns_native_bytes = True
    statement_compiler = RomeCompiler
    type_compiler_cls = RomeTypeCompiler
    default_database: str | None = None
    """The database of a URL of a server that names none; None: such a URL is wrong."""
    construct_arguments: list[Any] = []  # a `rome_…` argument is an error, not something that is quietly ignored

    # A batch reaches the driver as one executemany, whose RETURNING rows come back in the order of the parameters. The
    # rewriting of insertmanyvalues would only bring sentinel columns, and a new text for every size of a batch.
    use_insertmanyvalues = False
    insert_executemany_returning = True
    insert_executemany_returning_sort_by_parameter_order = True
    favor_returning_over_lastrowid = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._private_database: str | None = None

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        from rome import dbapi

        return dbapi

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.QueuePool

    @classmethod
    def get_dialect_cls(cls, url: URL) -> type[RomeDialect]:
        """Called by SQLAlchemy, and through it by oslo.db, whenever the dialect of a ROME URL is asked for."""
        plugins.register()
        return cls

    @classmethod
    def load_provisioning(cls) -> None:
        """Import what SQLAlchemy's dialect suite asks of this dialect."""
        import_module("rome.dialect.testing.provision")

    def create_connect_args(self, url: URL) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments of `rome.connect`. Raises InterfaceError for a URL that is none of ROME's."""
        text = url.render_as_string(hide_password=False)
        parsed = parse_url(text)
        self.driver = parsed.store
        if not parsed.database:
            name = self._own_database(url) if parsed.store == "memory" else self.default_database
            text = url.set(database=name).render_as_string(hide_password=False)
        return [text], {}

    def _own_database(self, url: URL) -> str:
        """The database behind `rome+memory://`: one for all connections of an engine, as long as it lives."""
        if self._private_database is None:
            _drop_abandoned()
            name = f"private-{os.getpid()}-{next(_private_names)}"
            self._private_database = name
            weakref.finalize(self, _abandoned.append, url.set(database=name))
        return self._private_database

    def on_connect(self) -> Callable[[Any], None]:
        """What a new connection gets: the function behind SQLAlchemy's `regexp_match()`."""

        def prepare(connection: Any) -> None:
            connection.create_function("regexp", 2, _regexp, deterministic=True)

        return prepare

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Whether the connection is open. The store's own client sees to lost sockets, so no round trip is made."""
        dbapi_connection.cursor().close()
        return True

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        """Only a closed connection is lost. A store out of reach says so, and its connection works again afterwards."""
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
        """The form that a type has here: a variant of it if it has one for ROME or SQLite, else as SQLite adapts it."""
        chosen = chosen_type(typeobj)
        return super().type_descriptor(typeobj) if chosen is typeobj else chosen._gen_dialect_impl(self)

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        """The version of the SQLite that evaluates, by which SQLAlchemy decides what SQL it may send."""
        return tuple(cast("Any", self.dbapi).sqlite_version_info)


_CLOSED = re.compile(r"closed (connection|database)|connection is closed")


def _drop_abandoned() -> None:
    """Give back the memory of private databases that nobody can open any more."""
    import rome

    while _abandoned:
        rome.drop_database(_abandoned.pop().render_as_string(hide_password=False))


def _regexp(pattern: str | None, value: object) -> bool | None:
    """`value REGEXP pattern`. NULL on either side gives NULL, and a number is compared as its text."""
    if pattern is None or value is None:
        return None
    return re.search(pattern, value if isinstance(value, str) else str(value)) is not None
