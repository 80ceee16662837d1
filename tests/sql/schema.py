"""Catalogs for tests: the DDL is run in SQLite, and read back from it."""

import itertools

import apsw

from rome.catalog.model import Catalog
from rome.sqlite.catalog_reader import Renames, read_catalog


def open_sqlite() -> apsw.Connection:
    """A plain SQLite in memory, with a `rome_next` that counts from 101."""
    connection = apsw.Connection(":memory:")
    numbers = itertools.count(101)
    connection.create_scalar_function("rome_next", lambda name: next(numbers), 1)
    return connection


def catalog_of(connection: apsw.Connection) -> Catalog:
    """The catalog of what was created in a connection."""
    ids = itertools.count(1)
    return read_catalog(connection, Catalog(), Renames(), lambda: next(ids), {})


def catalog_from(ddl: str) -> Catalog:
    """The catalog of a script."""
    connection = open_sqlite()
    connection.execute(ddl)
    return catalog_of(connection)
