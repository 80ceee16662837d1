"""Cinder's database API on ROME: `cinder.db.sqlalchemy.api`, or `cinder.db.api` in newer releases.

Where Cinder loads its API through oslo.db's DBAPI, set `[database] backend = rome_discovery.cinder.api`. Newer releases
have their module hard-coded: add `import rome_discovery.cinder.api` at its end.
"""

from __future__ import annotations

from typing import Any

from rome_discovery.port import Port

PORT = Port("cinder", ("cinder.db.sqlalchemy.api", "cinder.db.api"), ("main_context_manager",))


def _existing_service(context: Any, values: dict[str, Any]) -> Any:
    """Return the row of the same host and binary, if there is one."""
    host, binary = values.get("host"), values.get("binary")
    if not host or not binary:
        return None
    services = PORT.module.service_get_all(context, host=host, binary=binary)
    return next((service for service in services if service.host == host), None)


PORT.once(
    "service_create",
    lambda context, values: (values.get("host"), values.get("binary")),
    reason="Cinder has no unique constraint on (host, binary): two processes that start at the same time, or recreate "
    "a deleted row, would create two. The second caller gets the first one's row.",
    existing=_existing_service,
)
PORT.once(
    "cluster_create",
    lambda context, values: (values.get("name"), values.get("binary")),
    reason="The members of a cluster start at the same time. The second caller gets Cinder's ClusterExists instead of "
    "a conflict.",
)
PORT.again(
    "conditional_update",
    "transfer_accept",
    reason="Compare and swap: the second caller is run again, sees the first one's change, and does nothing.",
)
PORT.again(
    "service_update",
    reason="A heartbeat must not be lost when another transaction updates its row. Cinder retries the statement, but "
    "on ROME the commit gets the conflict.",
)
PORT.again(
    "backup_update",
    "driver_initiator_data_insert_by_key",
    "image_volume_cache_get_and_update_last_used",
    "snapshot_update",
    "volume_attached",
    "volume_detached",
    "volume_update",
    "volumes_update",
    reason="Several services write these rows concurrently; on MySQL the second one waits for the first.",
)

PORT.install(__name__)
