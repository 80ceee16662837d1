"""Syncs of a file's write-ahead log, shared by all threads that have written to it (group commit).

Processes sync by themselves, at the same time: the kernel makes one flush of the disk for those that wait. A sync that
8 processes shared by a lock was measured: they committed a quarter as often, since one flush began after the other.
"""

from __future__ import annotations

import os

from rome.errors import StoreUnavailable
from rome.forks import new_lock


class LogSync:
    """Syncs the write-ahead log `NAME-wal` of one file.

    SQLite syncs the log itself before it copies the log's pages into the file and begins the log anew, or removes it.
    So what a transaction has written is in the log that has the name now, or it is safe already.
    """

    def __init__(self, path: str) -> None:
        self._path = f"{path}-wal"
        self._lock = new_lock()
        self._synced = 0
        self.written = 0
        """Transactions that this process has committed. The caller counts them, one thread at a time."""

    def sync(self, written: int) -> None:
        """Return when the first `written` transactions are on the disk. Raise StoreUnavailable.

        A thread that has waited for the sync of another one finds its own transaction synced, unless that sync had
        begun before.
        """
        with self._lock:
            if self._synced >= written:
                return
            begin = self.written
            try:
                log = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                pass  # the last connection was closed, and the file has everything
            except OSError as error:
                raise self._failure(error) from error
            else:
                try:
                    os.fdatasync(log)
                except OSError as error:
                    raise self._failure(error) from error
                finally:
                    os.close(log)
            self._synced = begin

    def _failure(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"the commit was written, but {self._path} can't be synced to the disk: {error}")
