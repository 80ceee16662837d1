"""A pool of workers: processes, or threads if the database is in memory and so in this process.

The transactions are divided evenly among the slots of the pool. A worker that is killed is replaced by another one in
its slot; stopped workers are continued after a while. The pool kills its processes when it is left by an exception, and
`rome.testing.child_processes` kills them when this process is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from typing import Any

from rome.dbapi import connect
from rome.errors import InternalError
from rome.forks import new_lock
from rome.testing.child_processes import exit_with_parent, forget, kill_at_exit
from rome.verify.histories.worker import Tallies, Task, run_worker
from rome.verify.histories.workload import Record, read_logs

_POLL = 0.05
_STOPPED = 0.4
"""Seconds after which stopped workers are continued."""

Progress = Callable[[int], None]
"""Called with the number of transactions that are committed."""


@dataclass(slots=True)
class WorkerPool:
    """Workers on one task. `killed` counts those that were replaced, `committed` the transactions so far."""

    task: Task
    size: int
    transactions: int
    killed: int = 0
    running: list[BaseProcess] = field(default_factory=list)
    _tasks: list[Task] = field(default_factory=list)
    _asking: threading.Lock = field(default_factory=new_lock)
    _tallies: Tallies = field(default_factory=lambda: Tallies([], []))

    @property
    def committed(self) -> int:
        """The number of transactions that are committed so far."""
        return sum(self._tallies.committed)

    @property
    def interrupted(self) -> int:
        """The number of statements and commits that a signal handler has interrupted so far."""
        return sum(self._tallies.interrupted)

    def run_threads(self, progress: Progress) -> list[Record]:
        """Run the task in threads of this process and return the records. Raises InternalError if a worker fails."""
        tallies = self._tallies = Tallies([0] * self.size, [0] * self.size)
        # The threads share one store, so it is modified once and stays open meanwhile.
        connection = connect(self.task.url)
        self.task.modify(connection.database.store, connection.database.cached)
        self.task = replace(self.task, defect=None, faults=None)
        tasks = [self._next_task(slot) for slot in range(self.size)]
        threads = [threading.Thread(target=record_errors, args=(task, tallies), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(_POLL)
            progress(self.committed)
        connection.close()
        return self._records()

    def run_processes(self, progress: Progress) -> list[Record]:
        """Run the task in processes and return the records.

        Raises InternalError if a worker fails other than by SIGKILL.
        """
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "rome.storage.redis"])
        self._tallies = Tallies(context.RawArray("q", self.size), context.RawArray("q", self.size))
        try:
            for slot in range(self.size):
                self.running.append(self._start(context, slot))
            self._supervise(context, progress)
        finally:
            for process in self.running:
                process.kill()  # also if it is stopped
                process.join()
                self._forget(process)
        progress(self.committed)
        return self._records()

    def _start(self, context: Any, slot: int) -> BaseProcess:
        process: BaseProcess = context.Process(target=run_process, args=(self._next_task(slot), self._tallies))
        process.daemon = True
        with self._asking:  # `start` asks for the exit codes of all processes
            process.start()
        assert process.pid is not None
        kill_at_exit(process.pid)
        return process

    def _supervise(self, context: Any, progress: Progress) -> None:
        """Replace killed workers and continue stopped ones until all have ended."""
        wake = time.monotonic() + _STOPPED
        codes = self._exit_codes()
        while any(code != 0 for code in codes):
            time.sleep(_POLL)
            progress(self.committed)
            for slot, process in enumerate(self.running):
                if codes[slot] == -signal.SIGKILL:
                    self.killed += 1
                    self._forget(process)
                    self.running[slot] = self._start(context, slot)
                elif codes[slot] not in (None, 0):
                    self._records()
                    raise InternalError(f"a worker failed: {codes}")
            if time.monotonic() > wake:
                wake = time.monotonic() + _STOPPED
                self._continue_stopped()
            codes = self._exit_codes()

    def _continue_stopped(self) -> None:
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def alive(self) -> list[int]:
        """Return the numbers of the processes that run."""
        codes = zip(self.running, self._exit_codes(), strict=False)
        return [process.pid for process, code in codes if code is None and process.pid is not None]

    def _exit_codes(self) -> list[int | None]:
        # Of two threads that ask for the exit code of a process at the same time, one gets a wrong one.
        with self._asking:
            return [process.exitcode for process in self.running]

    @staticmethod
    def _forget(process: BaseProcess) -> None:
        if process.pid is not None:
            forget(process.pid)

    def _next_task(self, slot: int) -> Task:
        share = self.transactions * (slot + 1) // self.size - self.transactions * slot // self.size
        task = replace(self.task, slot=slot, worker=len(self._tasks) + 1, share=share)
        self._tasks.append(task)
        return task

    def _records(self) -> list[Record]:
        """Return the records of all workers. Raises InternalError with the traceback of a worker that failed."""
        _raise_errors(self._tasks)
        return list(read_logs(task.log for task in self._tasks if task.log.exists()))


def run_process(task: Task, tallies: Tallies) -> None:
    """Run a worker in a process of its own."""
    exit_with_parent()
    record_errors(task, tallies)


def record_errors(task: Task, tallies: Tallies) -> None:
    """Run a worker; write the traceback to the task's error file if it fails."""
    try:
        run_worker(task, tallies)
    except BaseException:
        task.error.write_text(traceback.format_exc(), encoding="utf-8")
        raise


def _raise_errors(tasks: Sequence[Task]) -> None:
    for task in tasks:
        if task.error.exists():
            raise InternalError(f"worker {task.worker} failed:\n{task.error.read_text(encoding='utf-8')}")
