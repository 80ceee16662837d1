"""Retry transactions after a conflict.

ROME's transactions do not wait for each other. Of two that write the same row, the second to commit gets
`rome.errors.Conflict`, and nothing of it is stored. When it is run again, it reads what the first one wrote. (The same
holds for `SnapshotTooOld`: the transaction took so long that its snapshot is gone.) SQLAlchemy wraps both in
`sqlalchemy.exc.OperationalError`, oslo.db in DBDeadlock; the retry recognizes both, and the unwrapped errors.

The whole transaction must be run again, including its reads, because what it read is stale:

* `run_transaction(session_factory, fn)` creates a session for each attempt.
* `@retry_on_conflict` is for a function that opens its own session, or gets one that is not in a transaction.
* Neither repeats a part of a transaction. Inside another retried function, or with a session that is in a transaction,
  the function runs once, and its conflict propagates to the owner of the transaction, who can repeat all of it.
* The function's side effects outside the database happen once for each attempt.

The pause between attempts is random, so that competing transactions do not meet again. It is at most `base_ms` before
the second attempt; the maximum doubles with each attempt, up to `cap_ms`.
"""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, overload

from sqlalchemy import orm
from sqlalchemy.exc import InvalidRequestError

from rome import events, waits
from rome.errors import Conflict, IntegrityError, SnapshotTooOld

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound=orm.Session)

ATTEMPTS = 50
BASE_MS = 2.0
CAP_MS = 200.0

_retrying: ContextVar[bool] = ContextVar("rome_retrying", default=False)
"""True inside a retried function, in this thread or task."""


def is_conflict(error: BaseException | None) -> bool:
    """Return True if this error, or one that SQLAlchemy or oslo.db wrapped in it, means: run the transaction again.

    >>> is_conflict(Conflict("servers 7 was written by another commit"))
    True
    >>> is_conflict(ValueError("no"))
    False
    """
    while error is not None:
        if isinstance(error, Conflict | SnapshotTooOld) or (isinstance(error, IntegrityError) and error.is_race):
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
    """Decorate a function that is a whole transaction, to run it again as long as it ends in a conflict.

    If none of the sessions among its arguments is in a transaction, they are rolled back after a failed attempt.
    Otherwise the function runs once, as explained above.

    >>> tries = []
    >>> @retry_on_conflict(attempts=3, base_ms=0)
    ... def reserve():
    ...     tries.append("try")
    ...     if len(tries) < 3:
    ...         raise Conflict("quotas 1 was written by another commit")
    ...     return "reserved"
    >>> reserve(), len(tries)
    ('reserved', 3)

    If the last attempt fails, too, its error is raised with a note that has the number of attempts.
    """
    if function is None:
        return functools.partial(retry_on_conflict, attempts=attempts, base_ms=base_ms, cap_ms=cap_ms)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function.__qualname__} can't be run again: it is a coroutine or generator function")
    _check_arguments(attempts, base_ms, cap_ms)

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
    """Call `fn(session)` in a new session and commit; repeat that after a conflict. Return what `fn` returned.

    `session_factory` is `rome.orm.Session`, a sessionmaker, or any other function that creates sessions. The session is
    closed at the end, so `fn` should return values; objects stay readable if the factory has `expire_on_commit=False`.

    >>> from functools import partial
    >>> from sqlalchemy import text
    >>> from rome.orm import Session
    >>> run_transaction(partial(Session, url="rome+memory:///retry"), lambda session: session.scalar(text("SELECT 1")))
    1

    Raises InvalidRequestError if the factory returns a session that is in a transaction: only the owner of a
    transaction can run it again.
    """
    _check_arguments(attempts, base_ms, cap_ms)

    def attempt() -> _R:
        session = session_factory()
        if session.in_transaction():
            raise InvalidRequestError("run_transaction needs a new session; this one is in a transaction")
        with session, session.begin():
            return fn(session)

    return _repeat(attempt, attempts, base_ms, cap_ms)


def _sessions(values: Iterable[object]) -> Iterator[orm.Session]:
    """Yield the sessions among these values; for a scoped_session, that of the current scope."""
    for value in values:
        if isinstance(value, orm.scoped_session):
            yield value()
        elif isinstance(value, orm.Session):
            yield value


def _check_arguments(attempts: int, base_ms: float, cap_ms: float) -> None:
    if attempts < 1 or base_ms < 0 or cap_ms < 0:
        raise ValueError(f"attempts={attempts} must be at least 1, base_ms={base_ms} and cap_ms={cap_ms} at least 0")


def _repeat(attempt: Callable[[], _R], attempts: int, base_ms: float, cap_ms: float) -> _R:
    if _retrying.get():
        return attempt()
    for done, limit_ms in enumerate(_pauses(base_ms, cap_ms), start=1):
        try:
            with _inside_retry():
                return attempt()
        except Exception as error:
            if not is_conflict(error):
                raise
            if done >= attempts:
                error.add_note(f"rome.orm.retry gave up after {done} attempt{'s' if done > 1 else ''}")
                raise
        events.report(events.Retried())
        _sleep(random.uniform(0, limit_ms) / 1000)  # noqa: S311 - no secret
    raise AssertionError("pauses do not end")


def _pauses(base_ms: float, cap_ms: float) -> Iterator[float]:
    """Yield the longest pause after each attempt, in milliseconds: doubling, up to the cap."""
    limit = min(base_ms, cap_ms)
    while True:
        yield limit
        limit = min(limit * 2, cap_ms)


@contextmanager
def _inside_retry() -> Iterator[None]:
    token = _retrying.set(True)
    try:
        yield
    finally:
        _retrying.reset(token)


_sleep = waits.sleep
