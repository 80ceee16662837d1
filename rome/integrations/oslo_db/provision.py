"""Databases for the tests of services, which oslo.db creates and drops. Importing this module registers the backend.

A ROME database is created with its first table. Tests that request the driver `rome` from oslo.db get databases in the
store of the URL in `OS_TEST_DBAPI_ADMIN_CONNECTION`, or in memory if it is not set. That URL need not name a database.
"""

from __future__ import annotations

import sqlalchemy
from oslo_db.sqlalchemy import provision
from sqlalchemy.engine import URL, Engine

import rome
from rome.dialect import RomeDialect
from rome.dialect.databases import other_database

_NAME = "rome"
_DATABASE = "openstack_citest"
_IN_MEMORY = f"rome+memory:///{_DATABASE}"


@provision.BackendImpl.impl.dispatch_for(_NAME)
class RomeBackendImpl(provision.BackendImpl):
    """oslo.db's interface to a kind of database."""

    supports_drop_fk = False

    def create_opportunistic_driver_url(self) -> str:
        """Return the URL to use when none is configured: a database in memory is always available."""
        return _IN_MEMORY

    def provisioned_database_url(self, base_url: URL | str, ident: str) -> URL:
        """Return the URL of another database in the store of a URL."""
        return other_database(sqlalchemy.engine.make_url(base_url), ident)

    def create_named_database(self, engine: Engine, ident: str, conditional: bool = False) -> None:
        """Create an empty database. With `conditional`, keep an existing one as it is."""
        if not conditional:
            self.drop_named_database(engine, ident)

    def drop_named_database(self, engine: Engine, ident: str, conditional: bool = False) -> None:
        """Drop a database and everything in it, if it exists."""
        rome.drop_database(_text(self.provisioned_database_url(engine.url, ident)))

    def drop_all_objects(self, engine: Engine) -> None:
        """Drop everything in the engine's database, the schema included."""
        (url,), _ = engine.dialect.create_connect_args(engine.url)  # names the private database, too
        rome.drop_database(url)

    def database_exists(self, engine: Engine, ident: str) -> bool:
        """Return True if the database has a table."""
        other = sqlalchemy.create_engine(self.provisioned_database_url(engine.url, ident))
        try:
            return bool(sqlalchemy.inspect(other).get_table_names())
        finally:
            other.dispose()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


RomeDialect.default_database = _DATABASE
if _NAME not in provision.Backend.backends_by_database_type:
    provision.Backend.backends_by_database_type[_NAME] = provision.Backend(
        _NAME, sqlalchemy.engine.make_url(_IN_MEMORY)
    )
