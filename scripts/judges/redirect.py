"""Redirect a service's tests from SQLite to ROME, without changing its files.

Services built on oslo.db create every engine by `oslo_db.sqlalchemy.engines.create_engine`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from databases import Databases
from sqlalchemy import Engine, MetaData


def redirect(service: str, databases: Databases) -> None:
    """Redirect the tests of this service in this process."""
    _redirect_engines(databases, connect=service not in ("cinder", "ironic", "keystone", "manila", "nova"))
    _redirect_fixture(databases)
    redirect_fixtures = _OF_SERVICE.get(service)
    if redirect_fixtures is not None:
        redirect_fixtures(databases)


def discover(module: str, databases: Databases) -> None:
    """Load and configure a discovery module as an operator does.

    The option is set by an environment variable, because the tests reset other configuration.
    """
    url = databases.replacement("sqlite://")
    os.environ["OS_DISCOVERY__CONNECTION"] = url.render_as_string(hide_password=False)
    import_module(module)


def _redirect_engines(databases: Databases, connect: bool) -> None:
    """Replace oslo.db's function. Without `connect`, it does not connect: the target of a copy must be empty."""
    from oslo_db.sqlalchemy import engines

    original = engines.create_engine

    def create_engine(sql_connection: Any, *args: Any, **options: Any) -> Any:
        if not connect:
            options["max_retries"] = 0
        url = databases.replacement(sql_connection)
        return original(url.render_as_string(hide_password=False), *args, **options)

    engines.create_engine = create_engine


def _redirect_fixture(databases: Databases) -> None:
    """Redirect oslo.db's fixture for one database, which selects the kind of database by the URL."""
    from oslo_db.sqlalchemy import provision, test_fixtures

    original = test_fixtures.AdHocDbFixture.__init__

    def init(fixture: Any, url: Any = None) -> None:
        if url is not None:
            url = databases.replacement(url)
            provision.BackendImpl.impl(url.get_backend_name())  # loads ROME's dialect, which registers its backend
        original(fixture, url)

    test_fixtures.AdHocDbFixture.__init__ = init


def _redirect_schemas_of_nova(databases: Databases) -> None:
    """Replace the SQLite dumps in which Nova's fixtures cache schemas by copies of databases."""
    from nova.db import migration

    import_module("nova.tests.fixtures")
    fixtures = sys.modules["nova.tests.fixtures.nova"]

    def apply_schema(fixture: Any) -> None:
        databases.create_schema(
            fixture.get_engine(),
            (fixture.database, fixture.version),
            lambda: migration.db_sync(database=fixture.database, version=fixture.version),
        )

    def cache_schema(fixture: Any, connection_str: str) -> None:
        engine = fixture._ctxt_mgrs[connection_str].writer.get_engine()
        databases.create_schema(engine, ("main", None), lambda: migration.db_sync(database="main"))

    fixtures.Database._apply_schema = apply_schema
    fixtures.CellDatabases._cache_schema = cache_schema


def _redirect_schemas_of_cinder(databases: Databases) -> None:
    """Replace the SQLite dump in which Cinder's fixture caches the schema; its database ends with the connection."""
    from cinder.db import api, migration
    from cinder.tests.unit.test import Database

    def set_up(fixture: Any) -> None:
        super(Database, fixture).setUp()
        databases.recreate_schema(api.get_engine(), "cinder", migration.db_sync)

    Database.setUp = set_up


def _redirect_schemas_of_keystone(databases: Databases) -> None:
    """Replace Keystone's fixture, which creates and drops all tables for each test."""
    from keystone.common import sql
    from keystone.tests.unit.ksfixtures.database import Database

    def set_up(fixture: Any) -> None:
        super(Database, fixture).setUp()
        with sql.session_for_write() as session:
            fixture.engine = session.get_bind()
        fixture.addCleanup(sql.cleanup)
        databases.recreate_schema(
            fixture.engine, "keystone", lambda: sql.ModelBase.metadata.create_all(bind=fixture.engine)
        )

    Database.setUp = set_up


def _redirect_schemas_of_ironic(databases: Databases) -> None:
    from ironic.db.sqlalchemy import migration, models
    from ironic.tests.unit.db.base import Database, dbapi_parent, enginefacade

    dbapi_parent.LOAD_JOURNAL_MODE = False
    _redirect_dump(databases, Database, enginefacade.writer.get_engine, models.Base.metadata, migration)


def _redirect_schemas_of_manila(databases: Databases) -> None:
    from manila.db import migration
    from manila.db.sqlalchemy import api, models
    from manila.test import DatabaseFixture

    _redirect_dump(databases, DatabaseFixture, api.get_engine, models.BASE.metadata, migration)


def _redirect_dump(
    databases: Databases, fixture_class: Any, get_engine: Callable[[], Engine], metadata: MetaData, migration: Any
) -> None:
    """Replace the SQLite dump in which a fixture caches the schema; its database ends with the connection."""

    def init(fixture: Any, *_modules: Any, **_options: Any) -> None:
        super(fixture_class, fixture).__init__()
        fixture.engine = get_engine()

    def build(engine: Engine) -> None:
        metadata.create_all(engine)
        migration.stamp("head")

    def set_up(fixture: Any) -> None:
        super(fixture_class, fixture).setUp()
        databases.recreate_schema(fixture.engine, fixture_class.__module__, lambda: build(fixture.engine))
        fixture.addCleanup(fixture.engine.dispose)

    fixture_class.__init__ = init
    fixture_class.setUp = set_up


def _redirect_reset_of_barbican(databases: Databases) -> None:
    """Drop the database where Barbican's tests close the connection, with which SQLite's database in memory ends."""
    from barbican.model import repositories

    original = repositories.hard_reset

    def hard_reset() -> None:
        if repositories._ENGINE is not None:
            databases.drop(repositories._ENGINE)
        original()

    repositories.hard_reset = hard_reset


def _redirect_schemas_of_designate(databases: Databases) -> None:
    """Replace the SQLite file that Designate's fixture migrates once, and copies for each test."""
    from designate.tests.base_fixtures import DatabaseFixture, db_commands
    from oslo_db.sqlalchemy import engines

    def init(fixture: Any) -> None:
        super(DatabaseFixture, fixture).__init__()
        fixture.url = "sqlite:///designate"

    def set_up(fixture: Any) -> None:
        super(DatabaseFixture, fixture).setUp()
        engine = engines.create_engine(fixture.url)
        url = engine.url.render_as_string(hide_password=False)
        databases.recreate_schema(
            engine, "designate", lambda: db_commands.DatabaseCommands().upgrade("head", db_url=url)
        )

    DatabaseFixture.__init__ = init
    DatabaseFixture.setUp = set_up


_OF_SERVICE: dict[str, Callable[[Databases], None]] = {
    "barbican": _redirect_reset_of_barbican,
    "cinder": _redirect_schemas_of_cinder,
    "designate": _redirect_schemas_of_designate,
    "ironic": _redirect_schemas_of_ironic,
    "keystone": _redirect_schemas_of_keystone,
    "manila": _redirect_schemas_of_manila,
    "nova": _redirect_schemas_of_nova,
}
"""Changes to the fixtures of a service, besides the redirected engines."""
