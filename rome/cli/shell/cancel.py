"""Run a statement so that Ctrl-C stops it and the session goes on.

The statement runs in a thread, as a signal reaches only the main one. Ctrl-C first interrupts SQLite, which undoes the
statement, or its wait for row locks. If that does not end it (it waits for the store, or a compiled function runs), the
thread gets a KeyboardInterrupt; the transaction is then rolled back, as nobody knows how far the statement came.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from rome.cli.failures import Terminated

T = TypeVar("T")

_PATIENCE = 0.5


class Cancelled(Exception):
    """The statement was stopped. `is_undone` is False if its transaction must be rolled back."""

    def __init__(self, is_undone: bool) -> None:
        super().__init__("cancelled")
        self.is_undone = is_undone


def run_cancellable(function: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """Return what `function` returns, which runs in a thread. Raise Cancelled after Ctrl-C, else its exceptions."""
    outcome: list[Any] = []
    failure: list[BaseException] = []
    ended = threading.Event()  # a join that Ctrl-C interrupts takes the thread for ended (Python 3.11)

    def work() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # it is raised in the main thread
            failure.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=work, name="rome-shell", daemon=True)
    thread.start()
    try:
        while not ended.wait(_PATIENCE):
            pass
    except KeyboardInterrupt:
        raise Cancelled(_stop(thread, ended, interrupt)) from None
    except Terminated:
        _stop(thread, ended, interrupt)
        raise
    if failure:
        raise failure[0]
    return outcome[0]  # type: ignore[no-any-return]


def _stop(thread: threading.Thread, ended: threading.Event, interrupt: Callable[[], None]) -> bool:
    """Stop the thread's statement. Return True if it is undone."""
    interrupt()
    if ended.wait(_PATIENCE):
        return True
    assert thread.ident is not None
    while not ended.is_set():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))
        ended.wait(_PATIENCE)
        interrupt()
    return False
