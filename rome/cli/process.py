"""The process of a command: its standard streams, and the signals that end it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rome.cli.failures import CommandFailure, Terminated

_NOTHING = Path(os.devnull)
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def check_streams() -> None:
    """Put /dev/null in the place of closed standard input and errors. Raise CommandFailure if the output is closed.

    The next file that is opened would otherwise be taken for the stream: a database, for example.
    """
    if sys.stdin is None:
        sys.stdin = _NOTHING.open(encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = _NOTHING.open("w", encoding="utf-8")
    if sys.stdout is None:
        raise CommandFailure("standard output is closed; redirect it to /dev/null if it is not wanted", "OSError")


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block, let SIGTERM and SIGHUP raise Terminated, so that what was begun is cleaned up.

    Those that are ignored (nohup) stay so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    replaced = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


def _terminate(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once
    raise Terminated(number)
