"""An async engine on each store, with a table of counters and one of notes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Counter(Base):
    __tablename__ = "counters"

    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(default=0)


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(default="")


COUNTERS = 10

Run = Callable[[Callable[[AsyncEngine], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def database(url: str) -> str:
    """The URL of a database with ten counters and no notes."""
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(Counter.__table__.insert(), [{"id": number} for number in range(1, COUNTERS + 1)])
    engine.dispose()
    return url


@pytest.fixture
def run(database: str) -> Iterator[Run]:
    """Runs a coroutine function with an async engine, which is disposed of."""

    def run(work: Callable[[AsyncEngine], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            engine = create_async_engine(database, pool_size=16, max_overflow=48)
            try:
                await work(engine)
            finally:
                await engine.dispose()

        asyncio.run(main())

    return run
