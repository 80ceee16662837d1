"""Nova's main database API on ROME: `nova.db.main.api`, or `nova.db.sqlalchemy.api` as it was called before.

Nova has its module hard-coded: append `import rome_discovery.nova.api` to it. Nova's other databases are named where
Nova has them, each by a ROME URL: the API database by `[api_database] connection`, cells by their cell mappings.

Heartbeats are Nova's own: `service_update` sets `last_seen_up` when `report_count` grows, and runs again by itself.
"""

from __future__ import annotations

from typing import Any

from rome_discovery.port import Function, Port

PORT = Port("nova", ("nova.db.main.api", "nova.db.sqlalchemy.api"), ("context_manager", "main_context_manager"))

PORT.once(
    "service_create",
    lambda context, values: (values.get("host"), values.get("binary"), values.get("topic")),
    reason="Workers of one host start at the same time. The second finds the first one's row, and gets Nova's "
    "ServiceBinaryExists, not a conflict that nobody runs again.",
)
PORT.once(
    "security_group_ensure_default",
    lambda context: (context.project_id,),
    reason="Every instance of a new project asks for it at once; a loser would have its whole creation to do again.",
    independent=True,
)


def _network(context: Any, network_id: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
    return (network_id,)


def _pool(context: Any, project_id: Any, pool: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
    return (pool,)


_POOLS = (
    "Each caller takes the first free one of a pool: at the same time all take the same, and all but one lose. "
    "(Releases that still have nova-network.)"
)
PORT.once("fixed_ip_associate_pool", _network, reason=_POOLS)
PORT.once("floating_ip_allocate_address", _pool, reason=_POOLS)
PORT.once("network_associate", lambda context, project_id, *_, **__: (), reason=_POOLS)

PORT.again(
    "block_device_mapping_update",
    "instance_extra_update_by_uuid",
    "instance_system_metadata_update",
    "pci_device_update",
    "task_log_end_task",
    "vol_usage_update",
    reason="Several services write these rows of one instance; on MySQL the second waits for the first.",
)


def _regexp_ops(original: Function, connection: Any) -> Any:
    return original("sqlite://")


_REGEXP = (
    "Filters are regular expressions. Nova knows the operator by the name of the database, and takes LIKE for one that "
    "it doesn't know, which finds other instances. ROME has SQLite's REGEXP."
)
PORT.replaces("_get_regexp_ops", _REGEXP)(_regexp_ops)
PORT.replaces("get_regexp_ops", _REGEXP, module=getattr(PORT.module, "db_utils", None))(_regexp_ops)

PORT.install(__name__)
