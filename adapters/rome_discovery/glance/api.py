"""Glance's database API on ROME: `glance.db.sqlalchemy.api`.

Up to 19, Glance is told by `data_api = rome_discovery.glance.api`; later ones have their module hard-coded: append
`import rome_discovery.glance.api` to it.
"""

from __future__ import annotations

from typing import Any

from rome_discovery.binding import legacy_facade
from rome_discovery.port import Port

PORT = Port("glance", ("glance.db.sqlalchemy.api",), ("_get_main_context_manager",))

PORT.again(
    "image_delete_property_atomic",
    "image_set_property_atomic",
    reason="Compare and swap: who comes second runs again, sees what the first did, and gets Duplicate or NotFound.",
)
PORT.again(
    "image_member_update",
    "image_tag_set_all",
    "insert_cache_details",
    "node_reference_create",
    "task_update",
    "update_hit_count",
    reason="Several API servers write these rows at once; on MySQL the second waits for the first.",
)


def _bind_legacy_facade() -> None:
    """Glance up to 19 keeps an EngineFacade in a global, made when it is first asked for."""
    glance: Any = PORT.module

    def create_facade_lazily() -> object:
        if glance._FACADE is None:
            with glance._LOCK:
                if glance._FACADE is None:
                    glance._FACADE = legacy_facade()
        return glance._FACADE

    glance._create_facade_lazily = create_facade_lazily


PORT.install(__name__, binding=_bind_legacy_facade if hasattr(PORT.module, "_create_facade_lazily") else None)
