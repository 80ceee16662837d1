"""A task that is cancelled at any of its waits leaves a transaction whole, and the engine usable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import count
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util import await_only

from rome.dialect import tasks
from rome.orm.retry import is_conflict
from tests.asyncio.conftest import Counter, Note, Run


class Cancelling:
    """Waits as ROME does, and cancels the task at one of its waits."""

    def __init__(self) -> None:
        self._left: dict[object, int] = {}
        self.cancelled = 0

    def cancel_at(self, wait: int) -> None:
        """Cancel the present task at one of its next waits, 1 being the first; at none for 0."""
        self._left[asyncio.current_task()] = wait

    def __call__(self, awaitable: Awaitable[Any]) -> Any:
        task = asyncio.current_task()
        self._left[task] = self._left.get(task, 0) - 1
        if self._left[task] == 0 and task is not None:
            self.cancelled += 1
            task.cancel()
        return await_only(awaitable)


@pytest.fixture
def cancelling(monkeypatch: pytest.MonkeyPatch) -> Cancelling:
    waits = Cancelling()
    monkeypatch.setattr(tasks, "await_only", waits)
    return waits


async def transact(engine: AsyncEngine, *, locking: bool) -> None:
    """Count, and note it, in one transaction."""
    async with AsyncSession(engine) as session, session.begin():
        statement = select(Counter).where(Counter.id == 1)
        counter = (await session.scalars(statement.with_for_update() if locking else statement)).one()
        counter.n += 1
        session.add(Note())


async def transact_again_and_again(engine: AsyncEngine, *, locking: bool) -> None:
    """Count, also if the commit of a task that was cancelled is still under way and comes between."""
    while True:
        try:
            return await transact(engine, locking=locking)
        except OperationalError as error:
            if not is_conflict(error):
                raise


async def state(engine: AsyncEngine) -> tuple[int, int]:
    """Return the count and the number of notes."""
    async with AsyncSession(engine) as session:
        row = await session.execute(
            select(select(Counter.n).where(Counter.id == 1).scalar_subquery(), func.count(Note.id))
        )
        counted, noted = row.one()
        return counted, noted


@pytest.mark.parametrize("locking", [False, True])
def test_a_transaction_is_committed_once_or_not_at_all(run: Run, cancelling: Cancelling, locking: bool) -> None:
    async def cancel(engine: AsyncEngine, wait: int) -> bool:
        """Return True if the transaction was cancelled at one of its waits."""
        cancelling.cancel_at(wait)
        before = cancelling.cancelled
        try:
            await transact(engine, locking=locking)
        except asyncio.CancelledError:
            return True
        return cancelling.cancelled > before

    async def work(engine: AsyncEngine) -> None:
        done = cancelled = 0
        for wait in count(1):
            was_cancelled = await asyncio.create_task(cancel(engine, wait))
            assert engine.sync_engine.pool.checkedout() == 0
            await asyncio.create_task(transact_again_and_again(engine, locking=locking))
            done, cancelled = done + 2 - was_cancelled, cancelled + was_cancelled
            counted, noted = await state(engine)
            assert counted == noted
            assert done <= counted <= done + cancelled
            if not was_cancelled:
                break
        assert wait > 3

    run(work)


def test_a_connection_goes_on_or_says_that_it_is_lost(run: Run, cancelling: Cancelling) -> None:
    async def use(engine: AsyncEngine, wait: int) -> bool:
        async with engine.connect() as connection:
            cancelling.cancel_at(wait)
            was_cancelled = False
            try:
                await connection.execute(Note.__table__.insert())
                await connection.commit()
            except asyncio.CancelledError:
                was_cancelled = True
            cancelling.cancel_at(0)
            try:
                await connection.rollback()
                await connection.execute(Note.__table__.insert())
                await connection.commit()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            return was_cancelled

    async def work(engine: AsyncEngine) -> None:
        for wait in count(1):
            if not await asyncio.create_task(use(engine, wait)):
                break
        assert wait > 2
        await asyncio.create_task(transact(engine, locking=False))
        assert (await state(engine))[0] == 1

    run(work)


def test_many_tasks_are_cancelled_at_random(run: Run, cancelling: Cancelling) -> None:
    async def client(engine: AsyncEngine, number: int) -> None:
        cancelling.cancel_at(1 + number % 12)
        try:
            await transact(engine, locking=number % 3 == 0)
        except (asyncio.CancelledError, DBAPIError):
            return

    async def work(engine: AsyncEngine) -> None:
        await asyncio.gather(*(client(engine, number) for number in range(60)))
        await asyncio.create_task(transact_again_and_again(engine, locking=True))
        counted, noted = await state(engine)
        assert counted == noted > 0

    run(work)
