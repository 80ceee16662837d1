"""The migration of all rows, in batches.

Each batch is a transaction that migrates rows and records the last key. A process that is killed leaves whole batches,
and the next one continues after them.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from rome.orm import retry_on_conflict
from rome_objects.rows.query import after, order_by
from rome_objects.schema import state
from rome_objects.schema.keys import source_key
from rome_objects.schema.mirrors import Mirror

ROWS = 500
"""How many rows a batch has."""

Report = Callable[[Mirror, state.Progress], None]


def migrate(engine: sa.Engine, mirror: Mirror, rows: int = ROWS, report: Report | None = None) -> None:
    """Migrate the remaining rows of a mirror. `report` is called after each batch."""
    while True:
        progress = retry_on_conflict(migrate_batch)(engine, mirror, rows)
        if progress is None:
            return
        if report is not None:
            report(mirror, progress)
        if progress.done:
            return


def migrate_batch(engine: sa.Engine, mirror: Mirror, rows: int) -> state.Progress | None:
    """Migrate the next rows. Return the progress afterwards; None if the database is contracted."""
    with engine.begin() as connection:
        progress = state.read_progress(connection, mirror)
        if progress is None or progress.done:
            return progress
        key = source_key(connection, mirror)
        columns = list(sa.table(mirror.source, *map(sa.column, key)).c)
        statement = sa.select(*columns).limit(rows)
        order = [(column, False) for column in columns]
        statement = statement.order_by(*order_by(order))  # type: ignore[arg-type]
        if progress.last_key is not None:
            statement = statement.where(after(order, progress.last_key))  # type: ignore[arg-type]
        found = [tuple(row) for row in connection.execute(statement)]
        migrated = connection.execute(mirror.fill(key, found)).rowcount if found else 0
        last_key = found[-1] if len(found) == rows else None
        state.advance(connection, mirror, last_key, len(found), migrated)
        return state.read_progress(connection, mirror)
