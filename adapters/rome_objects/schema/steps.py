"""The steps of an upgrade: expand, migrate, contract.

Expand and contract are one transaction each, the migration one for each batch. A step that is repeated does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from rome.orm import retry_on_conflict
from rome_objects.errors import SchemaError
from rome_objects.schema import background, reports, state, triggers, validation
from rome_objects.schema.keys import source_key
from rome_objects.schema.mirrors import Mirror, Move
from rome_objects.schema.releases import Release
from rome_objects.services.options import DOWN_TIME


def expand(engine: sa.Engine, releases: Sequence[Release]) -> list[str]:
    """Expand the database for the newest release. Return the releases that it was expanded for.

    A database that lacks several releases is migrated and contracted for those between. Raise SchemaError if an
    earlier release is not contracted, or if a mirror is not valid.
    """
    with engine.connect() as connection:
        missing = _after(releases, state.read(connection).expanded)
    for release in missing:
        retry_on_conflict(_expand)(engine, release)
        if release is not missing[-1] or release is releases[0]:  # the first release has nothing to contract
            migrate(engine, [release])
            contract(engine, [release])
    return [release.name for release in missing]


def migrate(
    engine: sa.Engine,
    releases: Sequence[Release],
    rows: int = background.ROWS,
    report: background.Report | None = None,
) -> None:
    """Migrate all rows to the newest release. Raise SchemaError if the database is not expanded."""
    release = releases[-1]
    with engine.connect() as connection:
        found = state.read(connection)
    _check_expanded(found, release)
    for mirror in release.mirrors:
        background.migrate(engine, mirror, rows, report)


def contract(engine: sa.Engine, releases: Sequence[Release], down_time: float = DOWN_TIME) -> bool:
    """Drop what only the releases before the newest one used. Return false if that was done before.

    Raise SchemaError if rows are not migrated, or if a service of another release has reported within the last
    `down_time` seconds.
    """
    # SERIALIZABLE, so that a service that reports meanwhile is a conflict.
    strict = engine.execution_options(isolation_level="SERIALIZABLE")
    return retry_on_conflict(_contract)(strict, releases[-1], down_time)


def _expand(engine: sa.Engine, release: Release) -> None:
    with engine.begin() as connection:
        state.prepare(connection)
        found = state.read(connection)
        if found.expanded == release.name:
            return
        if found.expanded != found.contracted:
            raise SchemaError(
                reason=f"the database is expanded for release {found.expanded} and not contracted: run "
                f"`rome-schema contract` before you expand it for {release.name}"
            )
        _run(connection, release.expand)
        for mirror in release.mirrors:
            _install(connection, mirror)
        state.set_release(connection, state.EXPANDED, release.name)


def _install(connection: sa.Connection, mirror: Mirror) -> None:
    """Create the triggers of a mirror, and record that its rows are to be migrated."""
    validation.check(connection, mirror)
    key = source_key(connection, mirror)
    source = sa.table(mirror.source, *map(sa.column, key))
    total = connection.execute(sa.select(sa.func.count()).select_from(source)).scalar_one()
    if isinstance(mirror, Move):
        # The row with the last key comes first, so that new rows get ids after those of all old ones.
        last = sa.select(*source.c).order_by(*(column.desc() for column in source.c)).limit(1)
        rows = [tuple(row) for row in connection.execute(last)]
        if rows:
            connection.execute(mirror.fill(key, rows))
    for statement in triggers.create(mirror, key, connection.dialect.identifier_preparer.quote):
        connection.exec_driver_sql(statement)
    state.begin(connection, mirror, total)


def _contract(engine: sa.Engine, release: Release, down_time: float) -> bool:
    with engine.begin() as connection:
        found = state.read(connection)
        if found.contracted == release.name:
            return False
        _check_expanded(found, release)
        for name, progress in found.progress.items():
            if not progress.done:
                raise SchemaError(
                    reason=f"{progress.visited} of about {progress.total} rows of {name} are migrated: run "
                    "`rome-schema migrate` before you contract"
                )
        old = reports.of_other_releases(connection, release.name, down_time)
        if old:
            raise SchemaError(
                reason=f"{'; '.join(old)}: upgrade or stop it before you contract the database to {release.name}"
            )
        quote = connection.dialect.identifier_preparer.quote
        for mirror in release.mirrors:
            for trigger in triggers.names(mirror, quote):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}")
        _run(connection, release.contract)
        state.forget(connection)
        state.set_release(connection, state.CONTRACTED, release.name)
        return True


def _run(connection: sa.Connection, change: Callable[[], None]) -> None:
    """Call a function of a revision script, with `alembic.op` bound to this connection."""
    with Operations.context(MigrationContext.configure(connection)):
        change()


def _after(releases: Sequence[Release], name: str | None) -> Sequence[Release]:
    """Return the releases after the one of this name. Raise SchemaError if there is none of this name."""
    if name is None:
        return releases
    known = [release.name for release in releases]
    if name not in known:
        raise SchemaError(
            reason=f"the database is expanded for release {name}, which is none of {', '.join(known)}: use the scripts "
            "of the newest release"
        )
    return releases[known.index(name) + 1 :]


def _check_expanded(found: state.State, release: Release) -> None:
    if found.expanded != release.name:
        raise SchemaError(
            reason=f"the database is expanded for release {found.expanded}, not {release.name}: run "
            "`rome-schema expand` first"
        )
