"""A lock that processes and threads share: a `flock` on a file beside the database, which the kernel queues."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import TypeVar

from rome.errors import StoreUnavailable
from rome.forks import new_lock, tell_in_child

_T = TypeVar("_T")


class FileLock:
    """The lock of one file. The kernel releases the lock of a process that dies."""

    def __init__(self, path: str) -> None:
        """The file is opened when the lock is first taken, and created if it is missing."""
        self._path = path
        self._file: int | None = None
        self._threads = new_lock()
        """The threads of a process share the open file, so `flock` does not exclude them."""
        tell_in_child(self)

    def hold(self, use: Callable[[int], _T]) -> _T:
        """Call a function with the file descriptor while the lock is held. Raise StoreUnavailable.

        No context manager: a signal handler that raises where one begins to exit would leave the lock taken.
        """
        with self._threads:
            file = self._open() if self._file is None else self._file
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                return use(file)
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    _close_file = staticmethod(os.close)
    """Kept here, because `os` may be gone when the interpreter ends and deletes the lock."""

    def __del__(self) -> None:
        self.begin_child()

    def close(self) -> None:
        """Close the file. A lock that is used again opens it again."""
        with self._threads:
            self.begin_child()

    def begin_child(self) -> None:
        """Close the file of the parent, whose lock parent and child would share."""
        if self._file is not None:
            self._close_file(self._file)
            self._file = None

    def _open(self) -> int:
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StoreUnavailable(f"the file {self._path} can't be written, nor its database: {error}") from error
        return self._file
