"""Glance's database API on ROME: `glance.db.sqlalchemy.api`.

Up to Glance 19, set `data_api = rome_discovery.glance.api`. Later releases have their module hard-coded: add `import
rome_discovery.glance.api` at its end.
"""

from __future__ import annotations

from typing import Any

from rome_discovery.binding import legacy_facade
from rome_discovery.port import Port

PORT = Port("glance", ("glance.db.sqlalchemy.api",), ("_get_main_context_manager",))

PORT.again(
    "image_delete_property_atomic",
    "image_set_property_atomic",
    reason="Compare and swap: the second caller is run again, sees the first one's change, and gets Duplicate or "
    "NotFound.",
)
PORT.again(
    "image_member_update",
    "image_tag_set_all",
    "insert_cache_details",
    "node_reference_create",
    "task_update",
    "update_hit_count",
    reason="Several API servers write these rows concurrently; on MySQL the second one waits for the first.",
)


def _bind_legacy_facade() -> None:
    """Set up the global EngineFacade of Glance up to 19, which is created at its first use."""
    glance: Any = PORT.module

    def create_facade_lazily() -> object:
        if glance._FACADE is None:
            with glance._LOCK:
                if glance._FACADE is None:
                    glance._FACADE = legacy_facade()
        return glance._FACADE

    glance._create_facade_lazily = create_facade_lazily


PORT.install(__name__, binding=_bind_legacy_facade if hasattr(PORT.module, "_create_facade_lazily") else None)
