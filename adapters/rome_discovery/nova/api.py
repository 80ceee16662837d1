"""Nova's main database API on ROME: `nova.db.main.api`, or `nova.db.sqlalchemy.api` as it was called before.

Nova has its module hard-coded: add `import rome_discovery.nova.api` at its end. Nova's other databases are configured
as usual, each with a ROME URL: the API database by `[api_database] connection`, cells by their cell mappings.

Heartbeats need no change: Nova's `service_update` sets `last_seen_up` when `report_count` grows, and retries itself.
"""

from __future__ import annotations

from typing import Any

from rome.integrations import nova_regexp
from rome_discovery.port import Port

PORT = Port("nova", ("nova.db.main.api", "nova.db.sqlalchemy.api"), ("context_manager", "main_context_manager"))

PORT.once(
    "service_create",
    lambda context, values: (values.get("host"), values.get("binary"), values.get("topic")),
    reason="Workers of one host start at the same time. The second caller gets Nova's ServiceBinaryExists instead of a "
    "conflict that is not retried.",
)
PORT.once(
    "security_group_ensure_default",
    lambda context: (context.project_id,),
    reason="All first instances of a new project call it concurrently; after a conflict the whole creation would "
    "have to be repeated.",
    independent=True,
)


def _network(context: Any, network_id: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
    return (network_id,)


def _pool(context: Any, project_id: Any, pool: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
    return (pool,)


_POOLS = (
    "Each caller takes the first free row of a pool: concurrent callers take the same one, and all but one get a "
    "conflict. (Releases that still have nova-network.)"
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
    reason="Several services write these rows of one instance; on MySQL the second one waits for the first.",
)


# nova.db.utils has the function under its public name, older releases the API's module under a private one.
PORT.replaces("_get_regexp_ops", nova_regexp.REASON)(nova_regexp.sqlite_regexp_ops)
PORT.replaces("get_regexp_ops", nova_regexp.REASON, module=getattr(PORT.module, "db_utils", None))(
    nova_regexp.sqlite_regexp_ops
)

PORT.install(__name__)
