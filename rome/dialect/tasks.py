"""How the tasks of asyncio's event loops wait: ROME's code switches from its greenlet to the task's coroutine.

SQLAlchemy's asyncio extension runs each call in a greenlet, whose parent is the task's coroutine. `await_only` hands an
awaitable to the parent, which awaits it and switches back with the result. If the task is cancelled meanwhile,
`CancelledError` is raised where `await_only` was called, as the error of a lost connection would be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.util import await_only, greenlet_spawn

from rome import waits

try:
    from greenlet import getcurrent
except ImportError as error:
    raise ImportError("create_async_engine needs the package greenlet: pip install 'rome-db[asyncio]'") from error

_T = TypeVar("_T")


_waits = 0
"""How often tasks have waited."""


def _wait_for(awaitable: Awaitable[_T]) -> _T:
    global _waits
    _waits += 1
    return await_only(awaitable)


class AsyncioTasks:
    """Tasks whose greenlet was started by SQLAlchemy."""

    def greenlet(self) -> Any:
        """Return the greenlet that calls; None if SQLAlchemy did not start it."""
        caller = getcurrent()
        return caller if getattr(caller, "__sqlalchemy_greenlet_provider__", False) else None

    def task(self) -> object:
        """Return the task that calls."""
        return asyncio.current_task()

    async def spawn(self, function: Callable[..., _T], arguments: tuple[Any, ...]) -> _T:
        """Call a function in a greenlet of the task that awaits this; return its result."""
        return await greenlet_spawn(function, *arguments)

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Let the task that calls await; return the result. Raise CancelledError."""
        return _wait_for(awaitable)

    def sleep(self, seconds: float) -> None:
        """Let the task that calls pause."""
        _wait_for(asyncio.sleep(seconds))

    def call(self, function: Callable[..., _T], arguments: tuple[Any, ...], discard: Callable[[_T], object]) -> _T:
        """Call a function in a thread of the event loop's executor; return its result. Raise CancelledError."""
        return _wait_for(_in_thread(partial(function, *arguments), discard))


async def _in_thread(function: Callable[[], _T], discard: Callable[[_T], object]) -> _T:
    running = asyncio.get_running_loop().run_in_executor(None, function)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        running.add_done_callback(partial(_discard, discard))
        raise


def _discard(discard: Callable[[_T], object], ended: asyncio.Future[_T]) -> None:
    if not ended.cancelled() and ended.exception() is None:
        discard(ended.result())


def run_and_give_way(function: Callable[..., object], *arguments: Any) -> None:
    """Call a function in a task. If it has not waited, let other tasks run, and this one be cancelled.

    Raise sqlalchemy.exc.MissingGreenlet for a caller that is not a task: it would block the event loop.
    """
    if not waits.in_task():
        await_only(asyncio.sleep(0))
    before = _waits
    function(*arguments)
    if before == _waits:  # while others wait, this task does not run
        _wait_for(asyncio.sleep(0))


waits.use_tasks(AsyncioTasks())
