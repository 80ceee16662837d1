"""Calls that change something, made again when no answer came: a conductor was killed, for example.

The call may have been executed. So `is_done` reads whether it was, before it is made again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from rome_objects.errors import BrokerUnavailable, ConductorUnavailable, ObjectError

ATTEMPTS = 10

_LOG = logging.getLogger(__name__)


def surely(call: Callable[[], object], is_done: Callable[[], bool]) -> None:
    """Make a call, up to ATTEMPTS times, until it or a look at its result succeeds."""
    for left in reversed(range(ATTEMPTS)):
        try:
            call()
        except (ConductorUnavailable, BrokerUnavailable) as error:
            _LOG.info("no answer: %s", error)
            if not left:
                raise
            if _look(is_done):
                return
        else:
            return


def _look(is_done: Callable[[], bool]) -> bool:
    try:
        return is_done()
    except (ConductorUnavailable, BrokerUnavailable):
        return False


def repeat(work: Callable[[], None], interval: float, stop: threading.Event) -> None:
    """Call a function every `interval` seconds, until `stop` is set. An error is logged; the next call tries again."""
    while not stop.wait(interval):
        try:
            work()
        except ObjectError as error:
            _LOG.warning("tried again later: %s", error)
