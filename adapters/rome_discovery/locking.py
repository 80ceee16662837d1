"""Distributed locks in the database of an engine."""

from __future__ import annotations

import os
import threading

from oslo_config import cfg
from sqlalchemy.engine import Engine

from rome.locks import Lock, LockManager
from rome_discovery.options import read_settings

_guard = threading.Lock()
_managers: dict[str, LockManager] = {}
"""Database URL → the lock manager of this process. Guarded by `_guard`."""


def distributed_lock(engine: Engine, name: str) -> Lock:
    """Return the lock of this name, for a `with` statement, with the TTL and timeout of `[discovery]`.

    Acquiring it raises LockTimeout if another process holds it for longer than the timeout.
    """
    settings = read_settings(cfg.CONF)
    (url,), _ = engine.dialect.create_connect_args(engine.url)
    with _guard:
        manager = _managers.get(url)
        if manager is None:
            manager = _managers[url] = LockManager(url)
    return manager.lock(name, ttl=settings.lock_ttl, timeout=settings.lock_timeout)


def _begin_child() -> None:
    """Forget the lock managers in a forked child, which must not share connections with its parent."""
    global _guard
    _guard = threading.Lock()
    _managers.clear()


os.register_at_fork(after_in_child=_begin_child)
