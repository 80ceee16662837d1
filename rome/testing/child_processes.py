"""Kill helper processes when this process ends, however it ends.

A `finally` block stops servers and workers after an exception. It does not run when the process itself is killed
(SIGKILL, a crash, a timeout that calls `os._exit`). Therefore a small shell process watches this one: it reads the list
of helper processes from a pipe. The pipe closes when this process ends, and the shell then kills the processes on the
last list that it read. SIGKILL also ends helpers that are stopped (SIGSTOP).

    kill_at_exit(pid)    add a process to the list
    forget(pid)          remove a process that has ended, before its number is used again
    guarded(process)     start a process of `multiprocessing`, kill it at the end of a `with` block or of this process
    exit_with_parent()   in a worker of `multiprocessing`: end when the parent ends

`exit_with_parent` also covers a worker whose parent is interrupted while it starts the worker, so that it does not know
the worker's number. It may be the initializer of a pool. The list belongs to a process: a forked child starts with an
empty one.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

from rome.forks import call_in_child, new_lock

_SCRIPT = 'pids=; while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -KILL $pids 2>/dev/null'


class _Watchdog:
    """The shell that watches this process, and the processes that it is to kill."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._pids: set[int] = set()
        self._shell: subprocess.Popen[bytes] | None = None

    def update(self, *, add: int | None = None, remove: int | None = None) -> None:
        """Change the list and send it to the shell, which is started for the first process."""
        with self._lock:
            if add is not None:
                self._pids.add(add)
            if remove is not None:
                self._pids.discard(remove)
            if self._shell is None:
                if not self._pids:
                    return
                # A session of its own, so that Ctrl-C does not end the shell before the processes that it watches.
                command = ["/bin/sh", "-c", _SCRIPT]
                self._shell = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - fixed
                atexit.register(self.close)
            assert self._shell.stdin is not None
            self._shell.stdin.write(" ".join(map(str, self._pids)).encode() + b"\n")
            self._shell.stdin.flush()

    def close(self) -> None:
        """End the shell, which kills what is still on the list."""
        with self._lock:
            if self._shell is not None and self._shell.stdin is not None:
                self._shell.stdin.close()
                self._shell.wait()
                self._shell = None


_watchdog = _Watchdog()


def kill_at_exit(pid: int) -> None:
    """Have a process killed when this process ends."""
    _watchdog.update(add=pid)


def forget(pid: int) -> None:
    """Remove a process from the list; do nothing if it is not on it."""
    _watchdog.update(remove=pid)


@contextmanager
def guarded(process: BaseProcess) -> Iterator[BaseProcess]:
    """Start a process, and kill it at the end of the block or when this process ends, also if it is stopped."""
    process.start()
    assert process.pid is not None
    kill_at_exit(process.pid)
    try:
        yield process
    finally:
        process.kill()
        process.join()
        forget(process.pid)


def exit_with_parent() -> None:
    """End this process, a worker of `multiprocessing`, as soon as its parent has ended."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@call_in_child
def _begin_child() -> None:
    """Start with an empty list in a forked child; the parent's shell watches the parent."""
    global _watchdog
    atexit.unregister(_watchdog.close)
    _watchdog = _Watchdog()
