"""What a forked child makes anew: every lock, and whatever belongs to the parent's threads and connections.

A thread of the parent may hold a lock at the moment of the fork. That thread does not exist in the child, so the child
would wait for the lock for ever. All locks of ROME are made here, and are free in a child.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Protocol, TypeVar


class _BeginsChild(Protocol):
    def begin_child(self) -> None:
        """Forget what belongs to the parent."""


_T = TypeVar("_T", bound=_BeginsChild)

_locks: weakref.WeakSet[Any] = weakref.WeakSet()
_objects: weakref.WeakSet[_BeginsChild] = weakref.WeakSet()


def new_lock() -> threading.Lock:
    """Return a lock."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def new_rlock() -> threading.RLock:
    """Return a lock that its owner can take again."""
    lock = threading.RLock()
    _locks.add(lock)
    return lock


def tell_in_child(each: _BeginsChild) -> None:
    """Let an object's `begin_child` be called in a forked child, when all locks are free. It is referenced weakly."""
    _objects.add(each)


def _begin_child() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()
    for each in list(_objects):
        each.begin_child()


os.register_at_fork(after_in_child=_begin_child)
