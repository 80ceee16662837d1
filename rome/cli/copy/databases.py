"""The databases of a copy: SQLAlchemy connections, and the rows of their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from operator import gt, le
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, and_, create_engine, event, func, select, tuple_
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.elements import ColumnElement

import rome
from rome.cli.copy.plan import ordered_by
from rome.cli.copy.stored import RowsInStore, stored_rows_of
from rome.cli.copy.values import Row, Rows, binder
from rome.cli.failures import CommandFailure
from rome.cli.opened import Opened, newest
from rome.cli.options import as_rome_url, file_of, is_plain_sqlite
from rome.url import with_one_host

_NATIVE = frozenset({"rome", "sqlite"})
_WITH_SNAPSHOTS = frozenset({"postgresql", "mysql", "mariadb"})
"""Databases whose transactions may read one state for hours, without holding up those that write."""


def engine_of(text: str) -> Engine:
    """Return an engine for a URL or a path: of an SQLite file if there is one, else of a ROME file.

    Foreign keys are not enforced in ROME and SQLite, so that tables may refer to each other and to themselves.
    """
    url = as_rome_url(text)
    if url.startswith("rome+file:") and is_plain_sqlite(Path(text).expanduser()):
        url = f"sqlite:///{Path(text).expanduser()}"
    try:
        engine = create_engine(with_one_host(url), poolclass=NullPool)
    except (ArgumentError, NoSuchModuleError) as error:
        raise CommandFailure(f"not a database URL: {text}: {error}", "InvalidURL") from None
    except ModuleNotFoundError as error:
        raise CommandFailure(
            f"the package {error.name} is needed for {text.partition(':')[0]}: pip install it"
        ) from None
    if engine.dialect.name == "rome":
        event.listen(engine, "connect", _switch_foreign_keys_off)
    return engine


@dataclass(frozen=True)
class Side:
    """The source or the target of a copy. `state`: what all reads of a ROME database see, if they see one version."""

    connection: Connection
    state: Opened | None = None

    @property
    def rome(self) -> rome.Connection | None:
        """The driver's connection, if this is a ROME database."""
        driver = self.connection.connection.dbapi_connection
        return driver if isinstance(driver, rome.Connection) else None

    @property
    def batch_size(self) -> int:
        """The number of rows that are best written as one transaction.

        A file writes each page of an index once for all rows of a transaction. A server lets others wait meanwhile.
        """
        driver = self.rome
        is_file = self.connection.dialect.name == "sqlite" or (driver and driver.database.url.store == "file")
        return 10_000 if is_file else 2_000

    def count(self, table: Table) -> int:
        """Return the number of a table's rows."""
        stored = self._stored(table, ())
        if stored is not None:
            return stored.count()
        return int(self.connection.execute(select(func.count()).select_from(table)).scalar_one())

    def last_key(self, table: Table, key: Sequence[str]) -> Row | None:
        """Return the greatest key; None if there is no row."""
        order = [term.desc() for term in ordered_by(table, key, self.connection.dialect.name)]
        query = select(*(table.c[name] for name in key)).order_by(*order).limit(1)
        row = self.connection.execute(query).first()
        return None if row is None else tuple(row)

    def batches(
        self, table: Table, key: Sequence[str], size: int, *, after: Row | None = None, until: Row | None = None
    ) -> Iterator[Rows]:
        """Yield the rows after a key and until another one, in the order of the key if there is one."""
        stored = self._stored(table, key)
        if stored is not None:
            bind = binder(table, key, self.connection.dialect)
            yield from stored.batches(size, after and bind([after])[0], until and bind([until])[0])
            return
        query = select(*table.columns)
        if key:
            terms = ordered_by(table, key, self.connection.dialect.name)
            query = query.order_by(*terms)
            if after is not None:
                query = query.where(_compared(gt, table, key, terms, after))
            if until is not None:
                query = query.where(_compared(le, table, key, terms, until))
        result = self.connection.execute(query, execution_options={"yield_per": size})
        with closing(result):
            for some in result.partitions(size):
                yield list(map(tuple, some))

    def check_schema(self) -> None:
        """Raise CommandFailure if the schema of a ROME source is not any more that of the state."""
        if self.state and self.rome and newest(self.rome.database).catalog.digest != self.state.catalog.digest:
            raise CommandFailure("the schema of the source was changed just now; run the command again", "Conflict")

    def _stored(self, table: Table, key: Sequence[str]) -> RowsInStore | None:
        driver = self.rome
        if driver is None:
            return None
        return stored_rows_of(self.state or newest(driver.database), table, key, self.connection.dialect)


@contextmanager
def opened_source(text: str) -> Iterator[Side]:
    """Open a source, whose reads see one state until the end of the block."""
    engine = engine_of(text)
    name = engine.url.database or ""
    path = file_of(as_rome_url(text)) if engine.dialect.name == "rome" else Path(name)
    if path is not None and is_native(engine) and not name.startswith((":", "file:")) and not path.exists():
        raise CommandFailure(f"no such file: {path}", "FileNotFoundError")
    with engine.connect() as connection:
        if connection.dialect.name in _WITH_SNAPSHOTS:
            connection.execution_options(isolation_level="REPEATABLE READ")
        elif connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        driver = Side(connection).rome
        yield Side(connection, newest(driver.database) if driver else None)


@contextmanager
def opened_target(text: str) -> Iterator[Side]:
    """Open a target for the length of the block."""
    with engine_of(text).connect() as connection:
        yield Side(connection)


def _compared(
    compare: Callable[[Any, Any], Any],
    table: Table,
    key: Sequence[str],
    terms: Sequence[ColumnElement[Any]],
    values: Row,
) -> ColumnElement[bool]:
    """Return the condition of the rows whose key compares so with some values."""
    if len(terms) == 1:
        return and_(compare(terms[0], values[0]))
    return and_(compare(tuple_(*terms), tuple_(*values, types=[table.c[name].type for name in key])))


def _switch_foreign_keys_off(connection: Any, _: object) -> None:
    connection.foreign_keys = False


def is_native(engine: Engine) -> bool:
    """Return True if a database has SQLite's dialect and storage classes."""
    return engine.dialect.name in _NATIVE
