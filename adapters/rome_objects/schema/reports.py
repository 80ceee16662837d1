"""The services of other releases that report to a database.

A service reports by a row of the table `services`, with its release in the column `release`, see
`rome_objects.services.state`. A service that is not up has stopped.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

from rome_objects.services.state import is_up

_SERVICES = sa.table(
    "services", sa.column("host"), sa.column("binary"), sa.column("release"), sa.column("updated_at", sa.DateTime())
)


def of_other_releases(connection: sa.Connection, release: str, down_time: float) -> list[str]:
    """Return a sentence for each service that runs in another release, or that does not say in which."""
    inspector = sa.inspect(connection)
    found = {column["name"] for column in inspector.get_columns("services")} if inspector.has_table("services") else ()
    if not {column.name for column in _SERVICES.c} <= set(found):
        return []
    now = dt.datetime.now(dt.UTC)
    column = _SERVICES.c.release
    # As ranges of an index, so that reports of services in this release are no conflicts.
    of_others = sa.or_(column < release, column > release, column.is_(None))
    services = connection.execute(sa.select(_SERVICES).where(of_others).order_by(_SERVICES.c.binary, _SERVICES.c.host))
    return [_sentence(row, now) for row in services if is_up(row.updated_at, down_time, now)]


def _sentence(row: sa.Row[Any], now: dt.datetime) -> str:
    release = f"release {row.release}" if row.release else "no release"
    age = now.replace(tzinfo=None) - row.updated_at
    return f"service {row.binary} on {row.host} has {release}, and reported {age.total_seconds():.0f} s ago"
