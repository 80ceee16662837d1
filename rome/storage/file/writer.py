"""The writers of a file: one process at a time, and the threads of a process together (group commit).

A thread puts its write into a queue and waits for its turn. The thread whose turn it is applies all writes that are in
the queue by then in one transaction of SQLite; the others find theirs done. A write that is refused has changed nothing
yet, so it does not disturb the others.

SQLite does not sync the write-ahead log at a commit: the writer syncs it when it has released its locks, before the
write returns (`LogSync`). So the next writer, of this process or of another one, does not wait for the disk, and its
sync may be over as soon as the one before: the disk writes the log in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw

from rome import waits
from rome.errors import Error
from rome.forks import new_lock, tell_in_child
from rome.storage.file.connections import Connections, end_transaction
from rome.storage.file.failures import error_of
from rome.storage.file.file_lock import FileLock
from rome.storage.file.log_sync import LogSync
from rome.storage.file.tables import connect, create

_T = TypeVar("_T")


class _Job:
    """A write in the queue, and what became of it."""

    __slots__ = ("apply", "done", "durable", "error", "result")

    def __init__(self, apply: Callable[[apsw.Connection], Any], durable: bool) -> None:
        self.apply = apply
        self.durable = durable
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """Runs the writes of one file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = FileLock(f"{path}-lock")
        self.connections = Connections(path, self.connect)
        """For readers too: what a connection has written it need not read again."""
        self._queue: deque[_Job] = deque()
        self._turn = new_lock()
        self._log = LogSync(path)
        tell_in_child(self)

    def run(self, apply: Callable[[apsw.Connection], _T], durable: bool) -> _T:
        """Call `apply` in a transaction, and return its result when it is committed (`durable`: and synced).

        `apply` raises an error of ROME only before it has written anything, and may be called again if the transaction
        fails. Raise its error; StoreUnavailable, FormatError.
        """
        job = _Job(apply, durable)
        self._queue.append(job)
        try:
            waits.call(self._take_turn, job)  # it waits for other writers and for the disk
        except BaseException:
            # If the task was cancelled, a write that has not begun must not be done later.
            with suppress(ValueError):
                self._queue.remove(job)
            raise
        if job.error is not None:
            raise job.error
        return cast("_T", job.result)

    def _take_turn(self, job: _Job) -> None:
        """Do what is in the queue, unless another thread has done this job when it is our turn."""
        try:
            with self._turn:
                if not job.done:
                    self._run_queue()
                written = self._log.written
            if job.durable and job.error is None:
                self._log.sync(written)
        except BaseException:
            # A signal handler has raised. The caller goes on, so the write must be over by now, applied or not.
            with self._turn, suppress(ValueError):
                self._queue.remove(job)
            raise

    def connect(self) -> apsw.Connection:
        """Open the file; create it if it is missing. Raise FormatError, apsw.Error."""
        if not Path(self._path).exists():
            self._lock.hold(lambda _: create(self._path))
        return connect(self._path)

    def shrink(self) -> None:
        """Give free pages back to the file system, unless somebody is reading; readers do not wait."""
        connection = self.connections.take()
        try:
            with suppress(apsw.BusyError, apsw.LockedError):
                self._lock.hold(lambda _: connection.execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        finally:
            self.connections.idle.append(connection)

    def close(self) -> None:
        """Close the files."""
        self.connections.close()
        self._lock.close()

    def begin_child(self) -> None:
        """Forget the queue of the parent's threads."""
        self._queue.clear()

    def _run_queue(self) -> None:
        jobs = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            self._run_jobs(jobs)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].error, jobs[0].done = error, True
                return
            # One of them made all of them fail.
            for job in jobs:
                try:
                    self._run_jobs([job])
                except Exception as own:
                    job.error, job.done = own, True
        except BaseException:
            self._queue.extendleft(job for job in reversed(jobs) if not job.done)
            raise

    def _run_jobs(self, jobs: Sequence[_Job]) -> None:
        """Apply writes in one transaction. If this raises an error, none of them was applied."""
        connections = self.connections
        try:
            connection = connections.take()
            try:
                self._lock.hold(lambda _: self._apply(connection, jobs))
                self._log.written += 1
            finally:
                connections.idle.append(connection)
        except apsw.Error as error:
            raise error_of(self._path, error) from error
        for job in jobs:
            job.done = True

    def _apply(self, connection: apsw.Connection, jobs: Sequence[_Job]) -> None:
        end_transaction(connection)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                job.error = None
                try:
                    job.result = job.apply(connection)
                except Error as error:
                    job.error = error
            connection.execute("COMMIT")
        except BaseException:
            end_transaction(connection)  # some errors of SQLite have ended it already
            raise
