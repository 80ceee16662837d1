"""Distributed locks in the database of an engine."""

from __future__ import annotations

from oslo_config import cfg
from sqlalchemy.engine import Engine

from rome.forks import call_in_child
from rome.locks import Lock, LockManager
from rome_discovery.options import read_settings

_managers: dict[str, LockManager] = {}
"""Database URL → the lock manager of this process."""


def distributed_lock(engine: Engine, name: str) -> Lock:
    """Return the lock of this name, for a `with` statement, with the TTL and timeout of `[discovery]`.

    Acquiring it raises LockTimeout if another process holds it for longer than the timeout.
    """
    settings = read_settings(cfg.CONF)
    (url,), _ = engine.dialect.create_connect_args(engine.url)
    manager = _managers.get(url)
    if manager is None:
        opened = LockManager(url)
        manager = _managers.setdefault(url, opened)
        if manager is not opened:  # another thread was faster
            opened.close()
    return manager.lock(name, ttl=settings.lock_ttl, timeout=settings.lock_timeout)


@call_in_child
def _begin_child() -> None:
    """Forget the lock managers in a forked child, which must not share connections with its parent."""
    _managers.clear()
