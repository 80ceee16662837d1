"""The row that all increment, and the processes that do."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import MutableSequence
from typing import Any, NamedTuple

from sqlalchemy import create_engine, orm, update

from rome.orm import run_transaction
from rome.url import parse_url


class _Base(orm.DeclarativeBase):
    pass


class Tally(_Base):
    """The row that all increment."""

    __tablename__ = "tallies"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    value: orm.Mapped[int]


class Count(NamedTuple):
    """What came of it: increments asked for, counted, transactions begun for them, those that gave up, seconds.

    `replays`: commits after a conflict that nobody could tell.
    """

    wanted: int
    counted: int
    attempts: int
    gave_up: int
    replays: int
    seconds: float


def count(url: str, processes: int, times: int, *, in_sql: bool = False) -> Count:
    """Have each of some processes (threads, if the store is memory) add 1 as often as is said.

    `in_sql`: by UPDATE … SET value = value + 1, instead of reading the value and writing it back.
    """
    engine = create_engine(url)
    _Base.metadata.create_all(engine)
    try:
        with orm.Session(engine) as session, session.begin():
            session.merge(Tally(id=1, value=0))
        begin = time.monotonic()
        attempts, gave_up, replays = (_in_threads if _in_memory(url) else _in_processes)(url, processes, times, in_sql)
        seconds = time.monotonic() - begin
        with orm.Session(engine) as session:
            tally = session.get_one(Tally, 1)
        return Count(processes * times, tally.value, attempts, gave_up, replays, seconds)
    finally:
        _Base.metadata.drop_all(engine)
        engine.dispose()


def _in_memory(url: str) -> bool:
    return parse_url(url).store == "memory"


def _in_threads(url: str, size: int, times: int, in_sql: bool) -> tuple[int, int, int]:
    counts = [0] * size, [0] * size, [0] * size
    crew = [threading.Thread(target=_increment, args=(url, slot, times, in_sql, *counts)) for slot in range(size)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    attempts, gave_up, replays = counts
    return sum(attempts), sum(gave_up), max(replays)  # which they count together


def _in_processes(url: str, size: int, times: int, in_sql: bool) -> tuple[int, int, int]:
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "rome.storage.redis", "rome.dialect"])
    counts = tuple(context.RawArray("q", size) for _ in range(3))
    crew = [context.Process(target=_increment, args=(url, slot, times, in_sql, *counts)) for slot in range(size)]
    for process in crew:
        process.start()
    for process in crew:
        process.join()
    attempts, gave_up, replays = map(sum, counts)
    return attempts, gave_up, replays


def _increment(
    url: str,
    slot: int,
    times: int,
    in_sql: bool,
    attempts: MutableSequence[int],
    gave_up: MutableSequence[int],
    replays: MutableSequence[int],
) -> None:
    engine = create_engine(url)

    def add_one(session: orm.Session) -> None:
        attempts[slot] += 1
        if in_sql:
            session.execute(update(Tally).values(value=Tally.value + 1))
        else:
            session.get_one(Tally, 1).value += 1

    for _ in range(times):
        try:
            run_transaction(orm.sessionmaker(engine), add_one)
        except Exception:  # a process that ends by an error is one that gave up; the others go on
            gave_up[slot] += 1
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        replays[slot] = driver.database.replays
    engine.dispose()
