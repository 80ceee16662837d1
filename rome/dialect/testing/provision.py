"""Provisioning hooks by which SQLAlchemy's test suite creates and drops ROME databases.

A database is created with its first table, so `create_db` does nothing. Each worker of pytest-xdist has a database that
is named after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.schema import MetaData
from sqlalchemy.sql.ddl import sort_tables_and_constraints
from sqlalchemy.testing import provision

import rome
from rome.dialect.databases import other_database
from rome.dialect.dml import Insert, insert

_NAMES = ("rome", "sqlite")
"""`load_provisioning` imports these hooks, and not those of SQLite's own drivers, for `sqlite+rome://`, too."""


@provision.generate_driver_url.for_db(*_NAMES)
def _generate_driver_url(url: URL, driver: str, query: str) -> URL | None:
    """Return the URL if it is for this driver: the driver is the store, and a database is in one store only."""
    return url if driver == url.get_driver_name() else None


@provision.follower_url_from_main.for_db(*_NAMES)
def _follower_url_from_main(url: URL | str, ident: str) -> URL:
    """Return the URL of a worker's database."""
    return other_database(make_url(url), ident)


@provision.create_db.for_db(*_NAMES)
def _create_db(cfg: Any, engine: Engine, ident: str) -> None:
    """Do nothing: the first table creates the database."""


@provision.drop_db.for_db(*_NAMES)
def _drop_db(cfg: Any, engine: Engine, ident: str) -> None:
    _drop(engine.url, ident)


@provision.run_reap_dbs.for_db(*_NAMES)
def _run_reap_dbs(url: URL | str, idents: Iterable[str]) -> None:
    """Drop the databases that killed workers left."""
    for ident in idents:
        _drop(make_url(url), ident)


def _drop(url: URL, database: str) -> None:
    rome.drop_database(other_database(url, database).render_as_string(hide_password=False))


@provision.stop_test_class_outside_fixtures.for_db(*_NAMES)
def _stop_test_class_outside_fixtures(config: Any, db: Engine, cls: type) -> None:
    """Drop a test class's temporary tables by closing its connections."""
    db.dispose()


@provision.temp_table_keyword_args.for_db(*_NAMES)
def _temp_table_keyword_args(cfg: Any, engine: Engine) -> dict[str, list[str]]:
    return {"prefixes": ["TEMPORARY"]}


@provision.delete_from_all_tables.for_db(*_NAMES)
def _delete_from_all_tables(connection: Connection, cfg: Any, metadata: MetaData) -> None:
    """Empty the existing tables, children before parents, with one catalog query instead of one per table."""
    existing = set(connection.dialect.get_table_names(connection))
    # Not `sorted_tables`, which refuses foreign keys in a circle.
    for table, _ in reversed(sort_tables_and_constraints(metadata.tables.values())):
        if table is not None and table.name in existing:
            connection.execute(table.delete())


@provision.upsert.for_db(*_NAMES)
def _upsert(
    cfg: Any,
    table: Any,
    returning: Iterable[Any],
    *,
    set_lambda: Callable[[Any], Any] | None = None,
    sort_by_parameter_order: bool = False,
    index_elements: Any = None,
) -> Any:
    statement: Insert = insert(table)
    if set_lambda is None:
        statement = statement.on_conflict_do_nothing()
    else:
        statement = statement.on_conflict_do_update(set_=set_lambda(statement.excluded))
    return statement.returning(*returning, sort_by_parameter_order=sort_by_parameter_order)
