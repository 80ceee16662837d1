"""Running a transaction again after a conflict.

ROME's transactions do not wait for each other: of two that write the same row, the second to commit is refused with
`rome.errors.Conflict`, and nothing of it is kept. Run again, it starts from what the first one wrote. (The same holds
of `SnapshotTooOld`: the transaction took so long that its read version is gone.) SQLAlchemy hands both on as
`sqlalchemy.exc.OperationalError`, oslo.db as DBDeadlock; both are recognised, and so are the bare errors.

What is run again must be the whole transaction, its reads included: they are what has become stale. Hence

* `run_transaction(session_factory, fn)` makes a session for each attempt;
* `@retry_on_conflict` is for a function that opens its session itself, or is handed one that is in no transaction yet;
* neither repeats a part of a transaction. Within another retried function, or with a session whose transaction has
  begun, the function runs once, and its conflict goes up to the owner of the transaction, who can repeat all of it;
* the function should touch nothing but the database: whatever else it does, it does once for each attempt.

Between attempts there is a pause, random so that rivals do not meet again: of at most `base_ms` before the second
attempt, of at most twice as much before each next one, and never longer than `cap_ms`.
"""

from __future__ import annotations

import functools
import inspect
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, overload

from sqlalchemy import orm
from sqlalchemy.exc import InvalidRequestError

from rome.errors import Conflict, SnapshotTooOld

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound=orm.Session)

ATTEMPTS = 50
BASE_MS = 2.0
CAP_MS = 200.0

_retrying: ContextVar[bool] = ContextVar("rome_retrying", default=False)
"""Whether a retried function is at work further up in this thread or task."""


def is_conflict(error: BaseException | None) -> bool:
    """Whether this error, or the one that SQLAlchemy or oslo.db wrapped in it, says: run the transaction again.

    >>> is_conflict(Conflict("servers 7 was written by another commit"))
    True
    >>> is_conflict(ValueError("no"))
    False
    """
    while error is not None:
        if isinstance(error, Conflict | SnapshotTooOld):
            return True
        error = getattr(error, "inner_exception", None) or getattr(error, "orig", None)
    return False


@overload
def retry_on_conflict(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...


@overload
def retry_on_conflict(
    *, attempts: int = ..., base_ms: float = ..., cap_ms: float = ...
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...


def retry_on_conflict(
    function: Callable[..., Any] | None = None,
    /,
    *,
    attempts: int = ATTEMPTS,
    base_ms: float = BASE_MS,
    cap_ms: float = CAP_MS,
) -> Callable[..., Any]:
    """Decorate a function that is a whole transaction, to be run again while it ends in a conflict.

    Sessions among its arguments that are in no transaction are rolled back after an attempt that failed. With one that
    is in a transaction already, the function runs once: see above.

    >>> tries = []
    >>> @retry_on_conflict(attempts=3, base_ms=0)
    ... def reserve():
    ...     tries.append("try")
    ...     if len(tries) < 3:
    ...         raise Conflict("quotas 1 was written by another commit")
    ...     return "reserved"
    >>> reserve(), len(tries)
    ('reserved', 3)

    When the last attempt fails too, its error surfaces, with a note that counts the attempts.
    """
    if function is None:
        return functools.partial(retry_on_conflict, attempts=attempts, base_ms=base_ms, cap_ms=cap_ms)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function.__qualname__} can't be run again: it is a coroutine or generator function")
    _check(attempts, base_ms, cap_ms)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        sessions = list(_sessions((*args, *kwargs.values())))
        if any(session.in_transaction() for session in sessions):
            return function(*args, **kwargs)

        def attempt() -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if is_conflict(error):
                    for session in sessions:
                        session.rollback()
                raise

        return _repeat(attempt, attempts, base_ms, cap_ms)

    return run


def run_transaction(
    session_factory: Callable[[], _S],
    fn: Callable[[_S], _R],
    *,
    attempts: int = ATTEMPTS,
    base_ms: float = BASE_MS,
    cap_ms: float = CAP_MS,
) -> _R:
    """Call `fn(session)` in a new session and commit; after a conflict, do it again. Answers what `fn` answered.

    `session_factory` is `rome.orm.Session`, a sessionmaker, or whatever else makes sessions. The session is closed in
    the end, so let `fn` answer values; objects remain readable where the factory says `expire_on_commit=False`.

    >>> from functools import partial
    >>> from sqlalchemy import text
    >>> from rome.orm import Session
    >>> run_transaction(partial(Session, url="rome+memory:///retry"), lambda session: session.scalar(text("SELECT 1")))
    1

    Raises InvalidRequestError when the factory answers a session whose transaction has begun: only the owner of a
    transaction can run it again.
    """
    _check(attempts, base_ms, cap_ms)

    def attempt() -> _R:
        session = session_factory()
        if session.in_transaction():
            raise InvalidRequestError("run_transaction needs a new session: this one's transaction has begun already")
        with session, session.begin():
            return fn(session)

    return _repeat(attempt, attempts, base_ms, cap_ms)


def _sessions(values: Iterable[object]) -> Iterator[orm.Session]:
    """The sessions among these values; of a scoped_session, this scope's."""
    for value in values:
        if isinstance(value, orm.scoped_session):
            yield value()
        elif isinstance(value, orm.Session):
            yield value


def _check(attempts: int, base_ms: float, cap_ms: float) -> None:
    if attempts < 1 or base_ms < 0 or cap_ms < 0:
        raise ValueError(f"attempts={attempts} is at least 1, base_ms={base_ms} and cap_ms={cap_ms} at least 0")


def _repeat(attempt: Callable[[], _R], attempts: int, base_ms: float, cap_ms: float) -> _R:
    if _retrying.get():
        return attempt()
    for done, limit_ms in enumerate(_pauses(base_ms, cap_ms), start=1):
        try:
            with _marked():
                return attempt()
        except Exception as error:
            if not is_conflict(error):
                raise
            if done >= attempts:
                error.add_note(f"rome.orm.retry gave up after {done} attempt{'s' if done > 1 else ''}")
                raise
        _sleep(random.uniform(0, limit_ms) / 1000)  # noqa: S311 - spreads rivals, guards nothing
    raise AssertionError("pauses do not end")


def _pauses(base_ms: float, cap_ms: float) -> Iterator[float]:
    """The longest pause after each attempt, in milliseconds: doubling, up to the cap."""
    limit = min(base_ms, cap_ms)
    while True:
        yield limit
        limit = min(limit * 2, cap_ms)


@contextmanager
def _marked() -> Iterator[None]:
    token = _retrying.set(True)
    try:
        yield
    finally:
        _retrying.reset(token)


_sleep = time.sleep
