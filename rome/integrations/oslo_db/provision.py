"""Databases for the tests of services, which oslo.db makes and drops. Importing this module registers the backend.

A database of ROME's comes into being with its first table, so there is nothing to create. Tests that ask oslo.db for
the driver `rome` get databases beside that of the URL that `OS_TEST_DBAPI_ADMIN_CONNECTION` names, or in memory. Such
a URL leads to a server, and need not name a database.
"""

from __future__ import annotations

import sqlalchemy
from oslo_db.sqlalchemy import provision
from sqlalchemy.engine import URL, Engine

import rome
from rome.dialect import RomeDialect

_NAME = "rome"
_DATABASE = "openstack_citest"
_HERE = f"rome+memory:///{_DATABASE}"


@provision.BackendImpl.impl.dispatch_for(_NAME)
class RomeBackendImpl(provision.BackendImpl):
    """What oslo.db asks of a kind of database."""

    supports_drop_fk = False

    def create_opportunistic_driver_url(self) -> str:
        """The database to try when none was named: one in this process is always there."""
        return _HERE

    def create_named_database(self, engine: Engine, ident: str, conditional: bool = False) -> None:
        """Make an empty database; `conditional`: leave one that is there as it is."""
        if not conditional:
            self.drop_named_database(engine, ident)

    def drop_named_database(self, engine: Engine, ident: str, conditional: bool = False) -> None:
        """Drop a database with all that it holds, if it is there."""
        rome.drop_database(_text(self.provisioned_database_url(engine.url, ident)))

    def drop_all_objects(self, engine: Engine) -> None:
        """Empty the engine's database: nothing is left of its schema."""
        (url,), _ = engine.dialect.create_connect_args(engine.url)  # names also the database that is the engine's own
        rome.drop_database(url)

    def database_exists(self, engine: Engine, ident: str) -> bool:
        """Whether the database has a table."""
        other = sqlalchemy.create_engine(self.provisioned_database_url(engine.url, ident))
        try:
            return bool(sqlalchemy.inspect(other).get_table_names())
        finally:
            other.dispose()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


RomeDialect.default_database = _DATABASE
if _NAME not in provision.Backend.backends_by_database_type:
    provision.Backend.backends_by_database_type[_NAME] = provision.Backend(_NAME, sqlalchemy.engine.make_url(_HERE))
