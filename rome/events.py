"""Events: what happens in this process, for observers such as metrics and traces.

There is one seam. Whoever runs a statement, sends a commit, replays a transaction, retries one or waits for a lock
calls `report` if there are observers; without any, that is one test of an empty tuple.

    event            reported by
    StatementEnded   `rome.session.control`: statements about rows and the schema, not BEGIN, COMMIT, ROLLBACK
    CommitEnded      `rome.transaction.transaction`: commits that write
    ReplayEnded      `rome.session.replay`
    Retried          `rome.orm.retry`
    LockWaited       `rome.locks.manager`: named locks and row locks that were not free

Observers are called by the thread that did the work, after the work. They must be quick and raise nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rome.forks import new_lock
from rome.url import URL


class StatementEnded(NamedTuple):
    """A statement has returned, or failed with one of the class `error`. Under AUTOCOMMIT with its commit."""

    url: URL
    verb: str
    """The first word, in lower case."""
    sql: str
    seconds: float
    rounds: int
    """The round trips to the store."""
    rows: int
    """The rows that it has returned or changed."""
    error: type[BaseException] | None


class CommitEnded(NamedTuple):
    """A commit was sent to the store."""

    url: URL
    seconds: float
    keys: int
    """The keys that it writes: rows and index entries."""
    size: int
    """The bytes of these keys and their values."""
    error: type[BaseException] | None
    """Conflict, or another reason why it was not applied; None if it was."""


class ReplayEnded(NamedTuple):
    """A transaction was run again after a conflict. `is_committed`: the application has not noticed."""

    url: URL
    is_committed: bool


class Retried(NamedTuple):
    """`rome.orm.retry` runs a transaction again after a conflict."""


class LockWaited(NamedTuple):
    """A thread has waited for locks. `seconds`: how long, whether it got them or not."""

    seconds: float


Event = StatementEnded | CommitEnded | ReplayEnded | Retried | LockWaited
Observer = Callable[[Event], None]

observers: tuple[Observer, ...] = ()
"""The observers of this process. Read it as an attribute of this module."""

_lock = new_lock()


def _tell_all(event: Event) -> None:
    for observer in observers:
        observer(event)


report: Observer = _tell_all
"""Call the observers. Read it as an attribute of this module: a single observer is called without a detour."""


def add_observer(observer: Observer) -> None:
    """Let an observer be called for each event from now on."""
    with _lock:
        _observe((*observers, observer))


def remove_observer(observer: Observer) -> None:
    """Do not call an observer any more."""
    with _lock:
        _observe(tuple(each for each in observers if each != observer))


def _observe(chosen: tuple[Observer, ...]) -> None:
    global observers, report
    observers, report = chosen, chosen[0] if len(chosen) == 1 else _tell_all
