"""Celery: a worker stores its results in the database, and clients wait for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery, chord, group
from celery.contrib.testing.worker import start_worker
from celery.exceptions import TimeoutError as NoResult

TIMEOUT = 120


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return the results of tasks, of groups and of failures."""
    app = Celery("judge", broker="memory://", backend=f"db+{url}")
    app.conf.update(result_extended=True, task_track_started=True, worker_hijack_root_logger=False)

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task
    def fail() -> None:
        raise ValueError("not today")

    with start_worker(app, perform_ping_check=False, pool="solo", loglevel="ERROR"):
        result = add.delay(2, 3)
        seen: dict[str, Any] = {"result": result.get(timeout=TIMEOUT), "state": result.state, "name": result.name}
        failed = fail.delay()
        seen["failure"] = repr(failed.get(timeout=TIMEOUT, propagate=False))
        seen["traceback"] = "not today" in (failed.traceback or "")
        sums = group(add.s(number, number) for number in range(20)).apply_async()
        sums.save()
        seen["group"] = sums.get(timeout=TIMEOUT)
        seen["restored"] = app.GroupResult.restore(sums.id).get(timeout=TIMEOUT)
        seen["chain"] = (add.s(1, 1) | add.s(5)).apply_async().get(timeout=TIMEOUT)
        seen["chord"] = chord((add.s(number, 1) for number in range(5)), total.s()).apply_async().get(timeout=TIMEOUT)
        result.forget()
        seen["forgotten"] = app.AsyncResult(result.id).state
        try:
            app.AsyncResult("no-such-task").get(timeout=0.2)
        except NoResult:
            seen["no such task"] = "no result"
    return seen
