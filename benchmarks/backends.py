"""The databases that the benchmarks compare: ROME's stores, and SQL servers with their drivers.

Each database is in one of two durability classes, so that only like is compared with like:

    relaxed   a commit is acknowledged before it is on the disk. Valkey: appendfsync everysec; PostgreSQL:
              synchronous_commit=off; MariaDB: innodb_flush_log_at_trx_commit=2; SQLite and ROME's file: WAL, not synced
    synced    a commit is on the disk before it is acknowledged

SQL servers are used where they run: ROME_BENCH_POSTGRESQL and ROME_BENCH_MYSQL name a server and its user, by default
postgresql://postgres@127.0.0.1:5432 and mysql://root@127.0.0.1:3306. Each benchmark makes a database of its own there
and drops it. What is missing is reported with the reason.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util import greenlet_spawn

import rome
from rome.testing.servers import own_valkey_server

_T = TypeVar("_T")

RELAXED, SYNCED = "relaxed", "synced"


class Missing(Exception):
    """A database can't be measured here; the message is the reason."""


@dataclass(frozen=True)
class Backend:
    """A database with a driver. `kind`: rome, server or embedded (a SQL engine within the process)."""

    name: str
    kind: str
    url: str
    driver_module: str = ""
    asynchronous: bool = False

    @property
    def missing(self) -> str | None:
        """The reason why this database can't be measured here, as far as it can be known without connecting."""
        if self.driver_module and find_spec(self.driver_module) is None:
            return f"the driver {self.driver_module} is not installed"
        return None

    @property
    def server(self) -> str:
        """The name of the database without that of the driver."""
        return self.name.partition(",")[0] if self.kind == "server" else self.name

    def through(self, url: str) -> str:
        """Return the URL of a database of this server, opened through this driver."""
        if self.kind != "server":
            return url
        driver = make_url(self.url).drivername
        return make_url(url).set(drivername=driver).render_as_string(hide_password=False)


_POSTGRESQL = os.environ.get("ROME_BENCH_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432")
_MYSQL = os.environ.get("ROME_BENCH_MYSQL", "mysql://root@127.0.0.1:3306")


def _with_driver(url: str, driver: str) -> str:
    return make_url(url).set(drivername=driver).render_as_string(hide_password=False)


BACKENDS = [
    Backend("ROME on Valkey", "rome", "valkey"),
    Backend("ROME on Valkey, cache", "rome", "valkey?staleness=1"),
    Backend("ROME in a file", "rome", "rome+file://"),
    Backend("ROME in memory", "rome", "rome+memory://"),
    Backend("PostgreSQL, psycopg", "server", _with_driver(_POSTGRESQL, "postgresql+psycopg"), "psycopg"),
    Backend("PostgreSQL, psycopg2", "server", _with_driver(_POSTGRESQL, "postgresql+psycopg2"), "psycopg2"),
    Backend("PostgreSQL, asyncpg", "server", _with_driver(_POSTGRESQL, "postgresql+asyncpg"), "asyncpg", True),
    Backend("MariaDB, mysqlclient", "server", _with_driver(_MYSQL, "mysql+mysqldb"), "MySQLdb"),
    Backend("MariaDB, PyMySQL", "server", _with_driver(_MYSQL, "mysql+pymysql"), "pymysql"),
    Backend("SQLite file", "embedded", "sqlite://"),
    Backend("SQLite memory", "embedded", "sqlite+memory://"),
]

NAMES = {backend.name: backend for backend in BACKENDS}


@dataclass(frozen=True)
class Opened:
    """A database that is open. `url` opens it again, for other processes."""

    backend: Backend
    engine: Engine
    url: str
    call: Callable[[Callable[[], Any]], Any]
    """Calls a function where the driver expects it: in a greenlet of an event loop for asyncpg."""

    def run(self, work: Callable[[], _T]) -> _T:
        """Return what a function that uses the engine returns."""
        result: _T = self.call(work)
        return result


@contextmanager
def open_backend(backend: Backend, durability: str = RELAXED) -> Iterator[Opened]:
    """Open a new, empty database. Raise Missing with the reason if it can't be had here."""
    if backend.missing:
        raise Missing(backend.missing)
    with ExitStack() as stack:
        url = stack.enter_context(_place(backend, durability))
        engine, call = stack.enter_context(_engine(backend, url, durability))
        yield Opened(backend, engine, url, call)


@contextmanager
def _engine(backend: Backend, url: str, durability: str) -> Iterator[tuple[Engine, Callable[..., Any]]]:
    if backend.asynchronous:
        from sqlalchemy.ext.asyncio import create_async_engine

        loop = asyncio.new_event_loop()
        asynchronous = create_async_engine(url)
        set_durability(asynchronous.sync_engine, durability)
        try:
            yield asynchronous.sync_engine, lambda work: loop.run_until_complete(greenlet_spawn(work))
        finally:
            loop.run_until_complete(asynchronous.dispose())
            loop.close()
        return
    engine = create_engine(url)
    set_durability(engine, durability)
    try:
        yield engine, lambda work: work()
    finally:
        engine.dispose()


def set_durability(engine: Engine, durability: str) -> None:
    """Let each connection of an engine to a SQL database have the durability."""
    off = durability == RELAXED
    statements = {
        "postgresql": [f"SET synchronous_commit = {'off' if off else 'on'}"],
        "sqlite": ["PRAGMA journal_mode = WAL", f"PRAGMA synchronous = {'OFF' if off else 'FULL'}"],
    }.get(engine.dialect.name, [])

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        if engine.dialect.name == "postgresql":
            connection.commit()


@contextmanager
def _place(backend: Backend, durability: str) -> Iterator[str]:
    """Make an empty database, and yield its URL."""
    name = f"rome_benchmark_{uuid.uuid4().hex[:8]}"
    store, _, query = backend.url.partition("?")
    if store == "valkey":
        fsync = "everysec" if durability == RELAXED else "always"
        with own_valkey_server(appendonly="yes", appendfsync=fsync) as server:
            yield server.url(name) + "?" * bool(query) + query
    elif backend.url == "rome+memory://":
        yield f"rome+memory:///{name}"
        rome.drop_database(f"rome+memory:///{name}")
    elif backend.url == "sqlite+memory://":
        yield f"sqlite:///file:{name}?mode=memory&cache=shared&uri=true"
    elif backend.kind == "server":
        with _server_database(make_url(backend.url), name, durability) as url:
            yield url
    else:
        with tempfile.TemporaryDirectory(prefix="rome-benchmark-") as folder:
            path = Path(folder, "benchmark.db")
            option = "?durability=normal" if durability == RELAXED else ""
            yield f"rome+file://{path}{option}" if backend.kind == "rome" else f"sqlite:///{path}"


@contextmanager
def _server_database(url: URL, name: str, durability: str) -> Iterator[str]:
    drivers = {"postgresql": ("psycopg", "psycopg2"), "mysql": ("pymysql", "MySQLdb")}[url.get_backend_name()]
    driver = next((each for each in drivers if find_spec(each)), None)
    if driver is None:
        raise Missing(f"no driver of {', '.join(drivers)} is installed, to create a database with")
    scheme = f"{url.get_backend_name()}+{driver.replace('MySQLdb', 'mysqldb')}"
    database = "postgres" if url.get_backend_name() == "postgresql" else None
    server = url.set(drivername=scheme, database=database)
    administrator = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        with administrator.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
            flush = _flush_of_mysql(connection, durability) if database is None else None
    except SQLAlchemyError as error:
        raise Missing(f"no server at {url.host}:{url.port}: {str(error.__cause__ or error).splitlines()[0]}") from error
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with administrator.connect() as connection:
            if flush is not None:
                connection.execute(text(f"SET GLOBAL innodb_flush_log_at_trx_commit = {flush}"))
            force = " WITH (FORCE)" if url.get_backend_name() == "postgresql" else ""
            connection.execute(text(f"DROP DATABASE {name}{force}"))
        administrator.dispose()


def _flush_of_mysql(connection: Any, durability: str) -> int:
    """Set when the server syncs its log. Return the setting of before."""
    before = int(connection.scalar(text("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit")))
    connection.execute(text(f"SET GLOBAL innodb_flush_log_at_trx_commit = {2 if durability == RELAXED else 1}"))
    return before
