"""APScheduler: jobs that are stored, run, changed and found again by another scheduler."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path
from typing import Any

from apscheduler.jobstores.base import ConflictingIdError, JobLookupError
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

RAN: list[str] = []
DONE = threading.Event()
FAR = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)


def job(name: str) -> None:
    """Note that a job ran."""
    RAN.append(name)
    if name == "last":
        DONE.set()


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return what two schedulers, one after the other, have and do."""
    scheduler = _scheduler(url)
    for number in range(3):
        scheduler.add_job(
            job, "date", run_date=FAR + dt.timedelta(days=number), args=[f"far{number}"], id=f"far{number}"
        )
    scheduler.add_job(job, "interval", hours=1, args=["hourly"], id="hourly", next_run_time=None)
    seen: dict[str, Any] = {}
    try:
        scheduler.add_job(job, "date", run_date=FAR, args=["x"], id="far1")
    except ConflictingIdError as error:
        seen["conflict"] = str(error)
    scheduler.shutdown()
    second = _scheduler(url)
    seen["found again"] = [(each.id, str(each.next_run_time)) for each in second.get_jobs() if each.id != "hourly"]
    second.modify_job("far1", args=["changed"])
    second.reschedule_job("far2", trigger="date", run_date=FAR - dt.timedelta(days=1))
    second.remove_job("far0")
    try:
        second.remove_job("far0")
    except JobLookupError as error:
        seen["no such job"] = str(error)
    seen["changed"] = [(each.id, list(each.args)) for each in second.get_jobs()]
    now = dt.datetime.now(dt.UTC)
    for number, name in enumerate(("first", "last")):
        second.add_job(
            job, "date", run_date=now + dt.timedelta(seconds=1 + number), args=[name], misfire_grace_time=None
        )
    seen["ran"] = [DONE.wait(120), sorted(RAN)]
    second.shutdown()
    seen["left"] = sorted(
        each.id for each in SQLAlchemyJobStore(url=url).get_all_jobs() if each.id in ("far1", "far2", "hourly")
    )
    return seen


def _scheduler(url: str) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(jobstores={"default": SQLAlchemyJobStore(url=url)}, timezone=dt.UTC)
    scheduler.start()
    return scheduler
