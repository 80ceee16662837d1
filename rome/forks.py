"""Fork: what waits for it, and what a forked child makes anew. No other module has a handler of forks or makes locks.

A thread of the parent may hold a lock at the moment of the fork. That thread does not exist in the child, so the child
would wait for the lock for ever. All locks of ROME are made here, and are free in a child.

    new_lock, new_rlock    make a lock
    tell_in_child          lets an object forget what belongs to the parent
    call_in_child          does the same for a module
    hold_forks             lets an object make a fork wait while something is under way that a child can't inherit
    fork_is_under_way      asked where a statement or a connection begins, so that what a fork waits for comes to an end
    import_module          imports a module, and forks wait: Python does not free the lock of a module in the child
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - as logging
import importlib
import itertools
import logging  # noqa: F401 - its handler of forks takes a lock, and must come after ours, which wait
import os
import threading
import time
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol, TypeVar


class _BeginsChild(Protocol):
    def begin_child(self) -> None:
        """Forget what belongs to the parent. In a child, when all locks are free."""


class _HoldsForks(Protocol):
    def begin_fork(self, deadline: float) -> None:
        """Return when the process may fork, or when `time.monotonic()` is past the deadline."""

    def end_fork(self) -> None:
        """Go on after the fork: in the parent only, because in a child all locks are new."""


_Function = TypeVar("_Function", bound=Callable[[], None])

_locks: weakref.WeakSet[Any] = weakref.WeakSet()
_objects: weakref.WeakSet[_BeginsChild] = weakref.WeakSet()
_functions: list[Callable[[], None]] = []
_holders: weakref.WeakValueDictionary[int, _HoldsForks] = weakref.WeakValueDictionary()
"""By number, in the order of `hold_forks`."""
_numbers = itertools.count()
_held: list[_HoldsForks] = []
"""The holders that have begun the fork that is under way."""

_LONGEST_WAIT = 30.0
"""Seconds that a fork waits for what other threads do."""

fork_is_under_way = False
"""True while a fork waits for other threads. Read it as an attribute of this module."""


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


def call_in_child(function: _Function) -> _Function:
    """Let a function of a module be called in a forked child, when all locks are free: a decorator."""
    _functions.append(function)
    return function


def hold_forks(each: _HoldsForks) -> None:
    """Let an object's `begin_fork` be called before each fork, and `end_fork` after it. It is referenced weakly.

    The object that came last is called first.
    """
    _holders[next(_numbers)] = each


def import_module(name: str) -> ModuleType:
    """Import a module, with every module that it imports, before the process forks."""
    with _forking:
        return importlib.import_module(name)


_forking = new_rlock()
"""Held during a fork, and by threads that must not be interrupted by one."""
_is_held: list[bool] = []
"""Of the fork that is under way: True unless it has waited for too long."""


def wait_for_fork() -> None:
    """Return when no fork of another thread is under way."""
    with _forking:
        return


def _begin_fork() -> None:
    global fork_is_under_way
    deadline = time.monotonic() + _LONGEST_WAIT
    _is_held.append(_forking.acquire(timeout=_LONGEST_WAIT))
    fork_is_under_way = True
    for each in reversed(list(_holders.values())):
        _held.append(each)
        each.begin_fork(deadline)


def _end_fork() -> None:
    global fork_is_under_way
    fork_is_under_way = False
    for each in _held:
        each.end_fork()
    _held.clear()
    if _is_held.pop():
        _forking.release()


def _begin_child() -> None:
    global fork_is_under_way
    fork_is_under_way = False
    _held.clear()
    _is_held.clear()
    for lock in list(_locks):
        lock._at_fork_reinit()
    for each in list(_objects):
        each.begin_child()
    for function in _functions:
        function()


os.register_at_fork(before=_begin_fork, after_in_parent=_end_fork, after_in_child=_begin_child)
