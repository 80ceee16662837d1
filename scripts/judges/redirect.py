"""Give a service's tests ROME databases where they ask for SQLite's. No file of the service is edited.

Every engine of a service built on oslo.db comes from `oslo_db.sqlalchemy.engines.create_engine`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from databases import Databases


def redirect(service: str, databases: Databases) -> None:
    """Redirect what the tests of this service will do in this process."""
    _redirect_engines(databases, connect=service not in ("cinder", "keystone", "nova"))
    _redirect_fixture(databases)
    if service == "nova":
        _redirect_schemas_of_nova(databases)
    if service == "cinder":
        _redirect_schemas_of_cinder(databases)
    if service == "keystone":
        _redirect_schemas_of_keystone(databases)


def discover(module: str, databases: Databases) -> None:
    """Put a discovery module in place of the service's own API, as an operator does, and configure it.

    By the environment, since the tests reset what is configured otherwise.
    """
    url = databases.instead_of("sqlite://")
    os.environ["OS_DISCOVERY__CONNECTION"] = url.render_as_string(hide_password=False)
    import_module(module)


def _redirect_engines(databases: Databases, connect: bool) -> None:
    """`connect`: as usual, oslo.db tries the connection at once. (A database that is to be copied must be empty.)"""
    from oslo_db.sqlalchemy import engines

    original = engines.create_engine

    def create_engine(sql_connection: Any, *args: Any, **options: Any) -> Any:
        if not connect:
            options["max_retries"] = 0
        url = databases.instead_of(sql_connection)
        return original(url.render_as_string(hide_password=False), *args, **options)

    engines.create_engine = create_engine


def _redirect_fixture(databases: Databases) -> None:
    """oslo.db's fixture for one database decides by the URL what kind of database it is."""
    from oslo_db.sqlalchemy import provision, test_fixtures

    original = test_fixtures.AdHocDbFixture.__init__

    def init(fixture: Any, url: Any = None) -> None:
        if url is not None:
            url = databases.instead_of(url)
            provision.BackendImpl.impl(url.get_backend_name())  # loads ROME's dialect, which brings its backend
        original(fixture, url)

    test_fixtures.AdHocDbFixture.__init__ = init


def _redirect_schemas_of_nova(databases: Databases) -> None:
    """Nova's fixtures keep built schemas as SQLite dumps; let them be copies of databases instead."""
    from nova.db import migration

    import_module("nova.tests.fixtures")
    fixtures = sys.modules["nova.tests.fixtures.nova"]

    def apply_schema(fixture: Any) -> None:
        databases.give_schema(
            fixture.get_engine(),
            (fixture.database, fixture.version),
            lambda: migration.db_sync(database=fixture.database, version=fixture.version),
        )

    def cache_schema(fixture: Any, connection_str: str) -> None:
        engine = fixture._ctxt_mgrs[connection_str].writer.get_engine()
        databases.give_schema(engine, ("main", None), lambda: migration.db_sync(database="main"))

    fixtures.Database._apply_schema = apply_schema
    fixtures.CellDatabases._cache_schema = cache_schema


def _redirect_schemas_of_cinder(databases: Databases) -> None:
    """Cinder's fixture keeps the built schema as a SQLite dump, and its database ends with the connection."""
    from cinder.db import api, migration
    from cinder.tests.unit.test import Database

    def set_up(fixture: Any) -> None:
        super(Database, fixture).setUp()
        databases.give_anew(api.get_engine(), "cinder", migration.db_sync)

    Database.setUp = set_up


def _redirect_schemas_of_keystone(databases: Databases) -> None:
    """Keystone's fixture makes and drops all tables for each test."""
    from keystone.common import sql
    from keystone.tests.unit.ksfixtures.database import Database

    def set_up(fixture: Any) -> None:
        super(Database, fixture).setUp()
        with sql.session_for_write() as session:
            fixture.engine = session.get_bind()
        fixture.addCleanup(sql.cleanup)
        databases.give_anew(fixture.engine, "keystone", lambda: sql.ModelBase.metadata.create_all(bind=fixture.engine))

    Database.setUp = set_up
