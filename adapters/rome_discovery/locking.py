"""The distributed locks of the database behind an engine."""

from __future__ import annotations

import os
import threading

from oslo_config import cfg
from sqlalchemy.engine import Engine

from rome.locks import Lock, LockManager
from rome_discovery.options import read_settings

_guard = threading.Lock()
_managers: dict[str, LockManager] = {}
"""The lock managers of this process, by the URL of the database. Guarded by `_guard`."""


def distributed_lock(engine: Engine, name: str) -> Lock:
    """The lock of this name, to be used in a `with` statement, with the TTL and timeout that `[discovery]` states.

    It raises LockTimeout if another process holds it for too long.
    """
    settings = read_settings(cfg.CONF)
    (url,), _ = engine.dialect.create_connect_args(engine.url)
    with _guard:
        manager = _managers.get(url)
        if manager is None:
            manager = _managers[url] = LockManager(url)
    return manager.lock(name, ttl=settings.lock_ttl, timeout=settings.lock_timeout)


def _begin_child() -> None:
    """In a forked child: connections are not shared with the parent."""
    global _guard
    _guard = threading.Lock()
    _managers.clear()


os.register_at_fork(after_in_child=_begin_child)
