"""Make a fork wait until no other thread is inside of SQLite.

SQLite has locks of its own for the whole process, for example that of its memory. A child that is forked while another
thread holds one waits for it for ever, at its first use of SQLite. SQLite runs without Python's global lock, so this is
not rare: while two other threads ran statements, 7 of 17 children waited.

A thread is inside of SQLite only if its innermost function is one of those that call SQLite. Between the last look and
the fork no other thread runs, because a thread takes the global lock from another one only after 5 ms. The connections
of a file are closed before (`rome.storage.file.connections`).
"""

from __future__ import annotations

import time
from threading import get_ident
from types import FrameType

from rome.forks import hold_forks
from rome.waits import thread_frames

_CALLERS = ("rome.sqlite.", "rome.transaction.index_entries")
"""The beginnings of the names of the modules that call SQLite."""


class _Inside:
    """The other threads that are inside of SQLite."""

    def begin_fork(self, deadline: float) -> None:
        """Wait until there is none."""
        while _others_inside() and time.monotonic() < deadline:
            time.sleep(0.0005)

    def end_fork(self) -> None:
        """Do nothing: they do not wait for this."""


def _others_inside() -> bool:
    this = get_ident()
    return any(thread != this and _may_call_sqlite(frame) for thread, frame in thread_frames().items())


def _may_call_sqlite(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(_CALLERS)


_inside = _Inside()
hold_forks(_inside)
