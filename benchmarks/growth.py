"""How cost grows with a table: the time of a few cases, and the bytes that the store keeps for a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from redis import Redis
from sqlalchemy import create_engine, func, insert, make_url, select, text
from sqlalchemy.orm import Session

from benchmarks.backends import Backend, Opened, open_backend
from benchmarks.cases import Case, measure, rows_of_events
from benchmarks.schema import Base, Event, fill

_BATCH = 10_000
_TURNS = 5
_TIMES = 20

_COPY_EVENTS = text(
    "INSERT INTO events (id, kind, stamp, size) "
    "SELECT id + :moved, kind, stamp + :moved, size FROM events WHERE id <= :before"
)
"""Kinds and sizes repeat after 1,000 events, so that the copies have those of their own numbers, too."""

Row = dict[str, Any]


def growth(backends: Sequence[Backend], sizes: Sequence[int], note: Callable[[str], None]) -> list[Row]:
    """Return the microseconds of reads on a table that grows to these sizes: the least of some turns."""
    found = []
    for backend in backends:
        with open_backend(backend) as opened:
            Base.metadata.create_all(opened.engine)
            for before, size in pairwise([0, *sizes]):
                note(f"{backend.name}, {size:,} rows")
                _add_events(opened, before, size)
                for case in _cases(size):
                    measure(opened.engine, case, _TIMES)
                    least = min(measure(opened.engine, case, _TIMES) for _ in range(_TURNS))
                    row = {"case": case.name, "backend": backend.name, "rows": size, "microseconds": least}
                    found.append(row)
    return found


def _add_events(opened: Opened, before: int, size: int) -> None:
    """Add events to a table that has so many, until it has `size`."""
    if opened.backend.kind == "rome" or not before:
        for first in range(before + 1, size + 1, _BATCH):
            with opened.engine.begin() as connection:
                connection.execute(insert(Event), rows_of_events(min(_BATCH, size + 1 - first), first))
        return
    # A SQL server makes the same rows of those that it has; to send a million takes minutes.
    for moved in range(before, size, before):
        with opened.engine.begin() as connection:
            connection.execute(_COPY_EVENTS, {"moved": moved, "before": before})


def _cases(size: int) -> list[Case]:
    middle = size // 2

    def get(session: Session) -> object:
        return session.get(Event, middle)

    def page(session: Session) -> object:
        statement = select(Event).where(Event.stamp > middle).order_by(Event.stamp, Event.id).limit(20)
        return session.scalars(statement).all()

    def count(session: Session) -> object:
        within = Event.stamp.between(middle - 100, middle + 100)
        return session.scalar(select(func.count()).select_from(Event).where(within))

    return [Case("get", "", get, 1), Case("page in the middle", "", page, 1), Case("count of 200", "", count, 1)]


def bytes_of_rows(backends: Sequence[Backend], servers: int, note: Callable[[str], None]) -> list[Row]:
    """Return the bytes that each store keeps for a row of the table of servers, which has a key and three indexes."""
    found = []
    for backend in backends:
        note(f"bytes of a row: {backend.name}")
        with open_backend(backend) as opened:
            fill(opened.engine, 1, children=False)
            before = _size(opened)
            with opened.engine.begin() as connection:
                connection.execute(text("DELETE FROM servers"))
            fill(opened.engine, servers, children=False)
            found.append({"backend": backend.name, "bytes": (_size(opened) - before) / servers})
    return found


def _size(opened: Opened) -> int:
    """Return the bytes that the store has now: memory for Valkey, the table and its indexes, or the file."""
    url = make_url(opened.url)
    if url.get_backend_name() == "rome" and url.drivername == "rome+redis":
        with Redis(url.host or "", url.port or 0) as client:
            memory: Any = client.info("memory")
            return int(memory["used_memory_dataset"])
    if url.get_backend_name() == "postgresql":
        statement = "SELECT pg_total_relation_size('servers')"
    elif url.get_backend_name() == "mysql":
        statement = (
            "SELECT data_length + index_length FROM information_schema.tables "
            "WHERE table_schema = database() AND table_name = 'servers'"
        )
    else:
        folder = Path("/" + (url.database or "").lstrip("/")).parent
        return sum(path.stat().st_size for path in folder.iterdir())
    engine = create_engine(opened.url)
    with engine.connect() as connection:
        if url.get_backend_name() == "mysql":
            connection.execute(text("ANALYZE TABLE servers"))
        size = int(connection.scalar(text(statement)) or 0)
    engine.dispose()
    return size
