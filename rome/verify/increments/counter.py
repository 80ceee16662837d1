"""The row that is incremented, and the clients that increment it."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import MutableSequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from sqlalchemy import create_engine, orm, update

from rome.orm import run_transaction
from rome.testing.child_processes import exit_with_parent, guarded
from rome.url import parse_url


class _Base(orm.DeclarativeBase):
    pass


class CounterRow(_Base):
    """The row that is incremented."""

    __tablename__ = "counters"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    value: orm.Mapped[int]


class IncrementCounts(NamedTuple):
    """Increments requested, in the final value, attempted (with retries), and failed; replayed commits; seconds."""

    requested: int
    applied: int
    attempts: int
    failed: int
    replays: int
    seconds: float


def run_increments(url: str, processes: int, times: int, *, in_sql: bool = False) -> IncrementCounts:
    """Add 1 to a row `times` times in each of some processes, or threads if the store is in memory.

    With `in_sql`, use UPDATE … SET value = value + 1 instead of reading the value and writing it back.
    """
    engine = create_engine(url)
    _Base.metadata.create_all(engine)
    try:
        with orm.Session(engine) as session, session.begin():
            session.merge(CounterRow(id=1, value=0))
        begin = time.monotonic()
        run = _in_threads if parse_url(url).store == "memory" else _in_processes
        attempts, failed, replays = run(url, processes, times, in_sql)
        seconds = time.monotonic() - begin
        with orm.Session(engine) as session:
            value = session.get_one(CounterRow, 1).value
        return IncrementCounts(processes * times, value, attempts, failed, replays, seconds)
    finally:
        _Base.metadata.drop_all(engine)
        engine.dispose()


def _in_threads(url: str, size: int, times: int, in_sql: bool) -> tuple[int, int, int]:
    counts = [0] * size, [0] * size, [0] * size
    threads = [threading.Thread(target=_increment, args=(url, slot, times, in_sql, *counts)) for slot in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    attempts, failed, replays = counts
    return sum(attempts), sum(failed), max(replays)  # threads share one database object, and so its count


def _in_processes(url: str, size: int, times: int, in_sql: bool) -> tuple[int, int, int]:
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "rome.storage.redis", "rome.dialect"])
    counts = tuple(context.RawArray("q", size) for _ in range(3))
    processes = [context.Process(target=_run_process, args=(url, slot, times, in_sql, *counts)) for slot in range(size)]
    with ExitStack() as stack:
        for process in processes:
            stack.enter_context(guarded(process))
        for process in processes:
            process.join()
    attempts, failed, replays = map(sum, counts)
    return attempts, failed, replays


def _run_process(*arguments: Any) -> None:
    exit_with_parent()
    _increment(*arguments)


def _increment(
    url: str,
    slot: int,
    times: int,
    in_sql: bool,
    attempts: MutableSequence[int],
    failed: MutableSequence[int],
    replays: MutableSequence[int],
) -> None:
    engine = create_engine(url)

    def add_one(session: orm.Session) -> None:
        attempts[slot] += 1
        if in_sql:
            session.execute(update(CounterRow).values(value=CounterRow.value + 1))
        else:
            session.get_one(CounterRow, 1).value += 1

    for _ in range(times):
        try:
            run_transaction(orm.sessionmaker(engine), add_one)
        except Exception:  # count it, and go on with the next increment
            failed[slot] += 1
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        replays[slot] = driver.database.replays
    engine.dispose()
