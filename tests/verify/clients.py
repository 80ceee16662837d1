"""Functions that the tests run in other processes."""

from __future__ import annotations

import os
import signal
from typing import Any

import rome
from rome.errors import Conflict
from rome.testing.child_processes import exit_with_parent
from rome.verify.faults.commits import call_at_each_step


def commit_with_signal(url: str, step: str, number: int, answers: Any) -> None:
    """Add 1 to both rows in one transaction; the process sends itself a signal at a step of the commit."""
    exit_with_parent()
    connection = rome.connect(url)
    for row in (1, 2):
        # Read and write back: ROME would replay a mere increment after a conflict.
        ((value,),) = connection.execute("SELECT v FROM t WHERE id = ?", (row,)).fetchall()
        connection.execute("UPDATE t SET v = ? WHERE id = ?", (value + 1, row))

    def send_signal(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), number)

    store: Any = connection.database.store
    call_at_each_step(store, send_signal)
    try:
        connection.commit()
    except Conflict:
        answers.put("conflict")
    else:
        answers.put("committed")


KILL, STOP, CONTINUE = signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT
