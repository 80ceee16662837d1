"""The services of other releases that report to a database.

A service reports by a row of the table `services`, with its release in the column `release`, see
`rome_objects.services.state`. A service that is not up has stopped.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from rome_objects.services.state import is_up

DOWN_TIME = 60.0
"""The default of `[service] down_time`."""

_SERVICES = sa.table(
    "services", sa.column("host"), sa.column("binary"), sa.column("release"), sa.column("updated_at", sa.DateTime())
)


def of_other_releases(connection: sa.Connection, release: str) -> list[str]:
    """Return a sentence for each service that runs in another release."""
    inspector = sa.inspect(connection)
    found = {column["name"] for column in inspector.get_columns("services")} if inspector.has_table("services") else ()
    if not {column.name for column in _SERVICES.c} <= set(found):
        return []
    now = dt.datetime.now(dt.UTC)
    services = connection.execute(
        sa.select(_SERVICES).where(_SERVICES.c.release != release).order_by(_SERVICES.c.binary, _SERVICES.c.host)
    )
    return [
        f"service {row.binary} on {row.host} has release {row.release}, and reported "
        f"{(now.replace(tzinfo=None) - row.updated_at).total_seconds():.0f} s ago"
        for row in services
        if is_up(row.updated_at, DOWN_TIME, now)
    ]
