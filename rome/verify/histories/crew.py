"""Runs workers: processes; or threads, where the database lives in the process (memory).

A worker that is killed is replaced, one that was stopped is woken after a while. The number of transactions is shared
out evenly, and each slot of the crew goes on until its share is committed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from typing import Any

from rome.dbapi import connect
from rome.errors import InternalError
from rome.verify.histories.records import Record, read_logs
from rome.verify.histories.worker import Task, work

_LOOK = 0.05
_PAUSE = 0.4
"""Seconds after which stopped workers are woken."""

Progress = Callable[[int], None]
"""Is told how many transactions have been committed."""


@dataclass(slots=True)
class Crew:
    """Workers on one task. `killed` counts those that had to be replaced."""

    task: Task
    size: int
    transactions: int
    killed: int = 0
    running: list[BaseProcess] = field(default_factory=list)
    _tasks: list[Task] = field(default_factory=list)

    def work_in_threads(self, progress: Progress) -> list[Record]:
        """Work with threads of this process, until all is done. Raises what a worker raised."""
        done = [0] * self.size
        # The threads share one store: it is spoilt once.
        keeper = connect(self.task.url)
        self.task.disable_replay(keeper.database.store)
        self.task = replace(self.task, planted=None, hazards=None)
        tasks = [self._next_task(slot) for slot in range(self.size)]
        threads = [threading.Thread(target=work_or_tell, args=(task, done), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(_LOOK)
            progress(sum(done))
        keeper.close()
        return self._records()

    def work_in_processes(self, progress: Progress) -> list[Record]:
        """Work with processes, until all is done. Raises InternalError if a worker fails other than by SIGKILL."""
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "rome.storage.redis"])
        done: MutableSequence[int] = context.RawArray("q", self.size)

        def start(slot: int) -> BaseProcess:
            process: BaseProcess = context.Process(target=work_or_tell, args=(self._next_task(slot), done), daemon=True)
            process.start()
            return process

        self.running = [start(slot) for slot in range(self.size)]
        wake = time.monotonic() + _PAUSE
        while any(process.exitcode != 0 for process in self.running):
            time.sleep(_LOOK)
            progress(sum(done))
            for slot, process in enumerate(self.running):
                if process.exitcode == -signal.SIGKILL:
                    self.killed += 1
                    self.running[slot] = start(slot)
                elif process.exitcode not in (None, 0):
                    self._give_up()
            if time.monotonic() > wake:
                wake = time.monotonic() + _PAUSE
                self._wake()
        progress(sum(done))
        return self._records()

    def _next_task(self, slot: int) -> Task:
        share = self.transactions * (slot + 1) // self.size - self.transactions * slot // self.size
        task = replace(self.task, slot=slot, worker=len(self._tasks) + 1, share=share)
        self._tasks.append(task)
        return task

    def _wake(self) -> None:
        for process in self.running:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, signal.SIGCONT)

    def _give_up(self) -> None:
        for process in self.running:
            process.kill()
        self._records()
        raise InternalError(f"a worker failed: {[process.exitcode for process in self.running]}")

    def _records(self) -> list[Record]:
        """What all workers wrote down. Raises InternalError with the traceback of a worker that failed."""
        _raise_errors(self._tasks)
        return list(read_logs(task.log for task in self._tasks if task.log.exists()))


def work_or_tell(task: Task, done: MutableSequence[int]) -> None:
    """Work; if that fails, write down why."""
    try:
        work(task, done)
    except BaseException:
        task.error.write_text(traceback.format_exc(), encoding="utf-8")
        raise


def _raise_errors(tasks: Sequence[Task]) -> None:
    for task in tasks:
        if task.error.exists():
            raise InternalError(f"worker {task.worker} failed:\n{task.error.read_text(encoding='utf-8')}")
