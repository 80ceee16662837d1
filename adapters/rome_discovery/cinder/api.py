"""Cinder's database API on ROME: `cinder.db.sqlalchemy.api`, or `cinder.db.api` since there is no other.

Where Cinder loads its API through oslo.db's DBAPI, `[database] backend = rome_discovery.cinder.api` tells it; newer
ones have their module hard-coded: append `import rome_discovery.cinder.api` to it.
"""

from __future__ import annotations

from typing import Any

from rome_discovery.port import Port

PORT = Port("cinder", ("cinder.db.sqlalchemy.api", "cinder.db.api"), ("main_context_manager",))


def _existing_service(context: Any, values: dict[str, Any]) -> Any:
    """The service that these values would make a second row for."""
    host, binary = values.get("host"), values.get("binary")
    if not host or not binary:
        return None
    services = PORT.module.service_get_all(context, host=host, binary=binary)
    return next((service for service in services if service.host == host), None)


PORT.once(
    "service_create",
    lambda context, values: (values.get("host"), values.get("binary")),
    reason="Cinder has no constraint that keeps (host, binary) unique: two processes that start at once, or recreate "
    "a row that was removed, would make two. The second gets the first one's row.",
    existing=_existing_service,
)
PORT.once(
    "cluster_create",
    lambda context, values: (values.get("name"), values.get("binary")),
    reason="The members of a cluster start at the same time. The second gets Cinder's ClusterExists, not a conflict.",
)
PORT.again(
    "conditional_update",
    "transfer_accept",
    reason="Compare and swap: who comes second runs again, sees what the first did, and does nothing.",
)
PORT.again(
    "service_update",
    reason="A heartbeat that meets another update of its row must not be lost. Cinder itself runs the statement again, "
    "but on ROME it is the commit that is refused.",
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
    reason="Several services write these rows at once; on MySQL the second waits for the first.",
)

PORT.install(__name__)
