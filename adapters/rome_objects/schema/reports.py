"""The services of other releases that report to a database.

A service reports by a row of the table `services`, with its release in the column `release`, see
`rome_objects.services`. A service that has not reported for `DOWN_AFTER` is taken for stopped.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

DOWN_AFTER = dt.timedelta(seconds=60)

_SERVICES = sa.table(
    "services", sa.column("host"), sa.column("binary"), sa.column("release"), sa.column("updated_at", sa.DateTime())
)


def of_other_releases(connection: sa.Connection, release: str) -> list[str]:
    """Return a sentence for each service that runs in another release."""
    inspector = sa.inspect(connection)
    found = {column["name"] for column in inspector.get_columns("services")} if inspector.has_table("services") else ()
    if not {column.name for column in _SERVICES.c} <= set(found):
        return []
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    services = connection.execute(
        sa.select(_SERVICES)
        .where(_SERVICES.c.release != release, _SERVICES.c.updated_at > now - DOWN_AFTER)
        .order_by(_SERVICES.c.binary, _SERVICES.c.host)
    )
    return [
        f"service {row.binary} on {row.host} has release {row.release}, and reported "
        f"{(now - row.updated_at).total_seconds():.0f} s ago"
        for row in services
    ]
