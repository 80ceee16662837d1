"""What the processes of the tests do; they import it by name."""

from __future__ import annotations

import os
import signal
from typing import Any

import rome
from rome.errors import Conflict
from rome.verify.faults.commits import at_each_step


def commit_with_trouble(url: str, step: str, number: int, answers: Any) -> None:
    """Add 1 to both rows in one transaction; at a step of the commit the process gets a signal."""
    connection = rome.connect(url)
    for row in (1, 2):
        # Read and written back: what is only incremented would be replayed after a conflict.
        ((value,),) = connection.execute("SELECT v FROM t WHERE id = ?", (row,)).fetchall()
        connection.execute("UPDATE t SET v = ? WHERE id = ?", (value + 1, row))

    def at(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), number)

    store: Any = connection.database.store
    at_each_step(store, at)
    try:
        connection.commit()
    except Conflict:
        answers.put("conflict")
    else:
        answers.put("committed")


KILL, STOP, GO_ON = signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT
