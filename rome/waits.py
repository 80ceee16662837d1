"""How the caller waits: a thread blocks; a task of an event loop lets other tasks run meanwhile.

ROME has one implementation, which is synchronous. A task runs it in a greenlet: SQLAlchemy's asyncio extension starts
one for each call. Where the code has to wait, the greenlet switches to the task's coroutine, which awaits; then the
code goes on where it was. So each place that may wait calls a function of this module:

    wait_for   wait for an awaitable; only a task can
    sleep      pause
    poll       pause until a condition holds
    call       call a function that may block: in a thread, if the caller is a task

A lock of `rome.forks` must not be held over any of them: the next task that wants it would block the thread that all
tasks share, and the holder could never go on.

    in_task         whether the caller is a task
    current         who the caller is: a thread, or the greenlet of a task
    frame_of        the innermost frame of somebody else
    current_task    the task itself, which has one greenlet after the other

A coroutine calls such code by `spawn`, which starts a greenlet for it.

The module knows neither greenlets nor event loops. `use_tasks` is called by the dialect for asyncio.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from threading import get_ident
from types import FrameType
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")

_SHORTEST_PAUSE = 0.001
_LONGEST_PAUSE = 0.02


class Tasks(Protocol):
    """The tasks of event loops that call ROME."""

    def greenlet(self) -> Any:
        """Return the greenlet in which a task calls; None if the caller is a thread."""

    def task(self) -> object:
        """Return the task of the greenlet that calls."""

    async def spawn(self, function: Callable[..., _T], arguments: tuple[Any, ...]) -> _T:
        """Call a function in a greenlet of the task that awaits this; return its result."""

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Let the task that calls wait for an awaitable; return its result."""

    def sleep(self, seconds: float) -> None:
        """Let the task that calls pause."""

    def call(self, function: Callable[..., _T], arguments: tuple[Any, ...], discard: Callable[[_T], object]) -> _T:
        """Call a function in a thread, and let the task that calls wait for it (see `call` of this module)."""


tasks: Tasks | None = None
"""The tasks that call ROME; None if threads only do. Read it as an attribute of this module."""

current: Callable[[], Any] = get_ident
"""Return who the caller is: the number of a thread, or a task's greenlet. Read it as an attribute of this module."""


def use_tasks(these: Tasks) -> None:
    """Let callers that are tasks wait as `these` do."""
    global tasks, current
    tasks = these
    current = lambda: these.greenlet() or get_ident()  # noqa: E731 - without tasks it is a function of C


def in_task() -> bool:
    """Return True if the caller is a task, whose event loop must not be blocked."""
    return tasks is not None and tasks.greenlet() is not None


def current_task() -> object | None:
    """Return the task that calls; None if the caller is a thread."""
    return tasks.task() if tasks is not None and tasks.greenlet() is not None else None


async def spawn(function: Callable[..., _T], *arguments: Any) -> _T:
    """Call a function that may wait, in the task that awaits this; return its result, or raise its exception."""
    if tasks is None:
        import_module("rome.dialect.tasks")
    assert tasks is not None
    return await tasks.spawn(function, arguments)


def thread_frames() -> dict[int, FrameType]:
    """Return the innermost frame of each thread, by the number of the thread.

    No garbage is collected meanwhile. Before Python 3.11.8 and 3.12.2 the interpreter lets it be collected while it
    holds the lock of its list of threads: if another thread then wants this lock, both wait for ever (CPython 106883).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        if collects:
            gc.enable()


def frame_of(other: Any) -> FrameType | None:
    """Return the innermost frame of a thread or greenlet, as `current` names it; None if it has ended."""
    frame: FrameType | None = thread_frames().get(other) if isinstance(other, int) else other.gr_frame
    return frame


def wait_for(awaitable: Awaitable[_T]) -> _T:
    """Wait for an awaitable, in a task; return its result, or raise its exception."""
    assert tasks is not None
    return tasks.wait_for(awaitable)


def sleep(seconds: float) -> None:
    """Pause."""
    if tasks is not None and tasks.greenlet() is not None:
        tasks.sleep(seconds)
    else:
        time.sleep(seconds)


def poll(holds: Callable[[], bool], seconds: float) -> None:
    """Return when a condition holds, at the latest after `seconds`. Ask after 1 ms, and later every 20 ms."""
    end = time.monotonic() + seconds
    pause = _SHORTEST_PAUSE
    while not holds():
        left = end - time.monotonic()
        if left <= 0:
            return
        sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _keep(_result: object) -> None:
    """Leave the result of a call that nobody waits for."""


def call(function: Callable[..., _T], *arguments: Any, discard: Callable[[_T], object] = _keep) -> _T:
    """Call a function that may block; return its result, or raise its exception.

    A task that is cancelled does not wait for the end of the call, which goes on. `discard` then gets its result.
    """
    if tasks is not None and tasks.greenlet() is not None:
        return tasks.call(function, arguments, discard)
    return function(*arguments)
