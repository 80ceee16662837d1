"""The records that a database has of its schema.

alembic_version      the release that it is expanded to, as Alembic records it
rome_contracted      the release that it is contracted to; both are the same if no upgrade is under way
rome_migrations      the progress of each mirror's migration
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgpack
import sqlalchemy as sa

from rome_objects.schema.mirrors import Key, Mirror

_metadata = sa.MetaData()


def _version_table(name: str) -> sa.Table:
    return sa.Table(name, _metadata, sa.Column("version_num", sa.String(32), primary_key=True))


EXPANDED = _version_table("alembic_version")
CONTRACTED = _version_table("rome_contracted")

MIGRATIONS = sa.Table(
    "rome_migrations",
    _metadata,
    sa.Column("mirror", sa.String(255), primary_key=True),
    sa.Column("last_key", sa.LargeBinary),
    sa.Column("visited", sa.Integer, nullable=False, default=0),
    sa.Column("migrated", sa.Integer, nullable=False, default=0),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False, default=False),
)


@dataclass(frozen=True)
class Progress:
    """How far the migration of a mirror is.

    `visited` of about `total` rows were seen, up to `last_key`; `migrated` of them were changed. The new release had
    changed the others before, when it loaded them.
    """

    last_key: Key | None
    visited: int
    migrated: int
    total: int
    done: bool


@dataclass(frozen=True)
class State:
    """The releases of a database; None before the first. `progress` has the mirrors of the expanded release."""

    expanded: str | None
    contracted: str | None
    progress: Mapping[str, Progress]


def read(connection: sa.Connection) -> State:
    """Return the state of a database."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(MIGRATIONS.name):
        # A database that Alembic upgraded so far has both forms of nothing.
        known = inspector.has_table(EXPANDED.name)
        release = connection.execute(sa.select(EXPANDED.c.version_num)).scalar() if known else None
        return State(release, release, {})
    rows = connection.execute(sa.select(MIGRATIONS).order_by(MIGRATIONS.c.mirror))
    return State(
        connection.execute(sa.select(EXPANDED.c.version_num)).scalar(),
        connection.execute(sa.select(CONTRACTED.c.version_num)).scalar(),
        {row.mirror: _progress(row) for row in rows},
    )


def read_progress(connection: sa.Connection, mirror: Mirror) -> Progress | None:
    """Return the progress of a mirror's migration; None if the database is contracted."""
    row = connection.execute(sa.select(MIGRATIONS).where(MIGRATIONS.c.mirror == mirror.name)).one_or_none()
    return None if row is None else _progress(row)


def prepare(connection: sa.Connection) -> None:
    """Create the tables that are missing."""
    release = read(connection).contracted
    _metadata.create_all(connection)
    if release is not None:
        set_release(connection, CONTRACTED, release)


def set_release(connection: sa.Connection, table: sa.Table, name: str) -> None:
    """Record the release of a database in one of the version tables."""
    connection.execute(sa.delete(table))
    connection.execute(sa.insert(table).values(version_num=name))


def begin(connection: sa.Connection, mirror: Mirror, total: int) -> None:
    """Record that a migration is to be done, of about `total` rows."""
    connection.execute(sa.insert(MIGRATIONS).values(mirror=mirror.name, total=total))


def advance(connection: sa.Connection, mirror: Mirror, last_key: Key | None, visited: int, migrated: int) -> None:
    """Record a batch. Without a last key, the migration is done."""
    values = {
        "visited": MIGRATIONS.c.visited + visited,
        "migrated": MIGRATIONS.c.migrated + migrated,
        "done": last_key is None,
    }
    if last_key is not None:
        values["last_key"] = msgpack.packb(last_key)
    connection.execute(sa.update(MIGRATIONS).where(MIGRATIONS.c.mirror == mirror.name).values(values))


def forget(connection: sa.Connection) -> None:
    """Forget the migrations, whose old forms are dropped."""
    connection.execute(sa.delete(MIGRATIONS))


def _progress(row: sa.Row[tuple[object, ...]]) -> Progress:
    last_key = None if row.last_key is None else tuple(msgpack.unpackb(row.last_key))
    return Progress(last_key, row.visited, row.migrated, row.total, row.done)
