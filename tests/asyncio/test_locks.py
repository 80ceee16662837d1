"""Named locks in tasks: `async with`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import rome.orm
from rome.locks import LockManager, LockTimeout
from tests.asyncio.conftest import Run


@pytest.fixture
def manager(database: str) -> Iterator[LockManager]:
    manager = LockManager(database)
    yield manager
    manager.close()


def test_one_task_holds_a_lock_while_others_run(run: Run, manager: LockManager) -> None:
    inside, most, ran = 0, 0, 0

    async def work() -> None:
        nonlocal inside, most, ran
        async with manager.lock("a") as lock:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            async with manager.lock("a"):  # the task may take it again
                lock.check()
            inside -= 1
            ran += 1

    async def main(_engine: AsyncEngine) -> None:
        await asyncio.gather(*(work() for _ in range(10)))

    run(main)
    assert (most, ran) == (1, 10)


def test_a_waiter_times_out_or_is_cancelled_and_leaves_nothing(run: Run, manager: LockManager) -> None:
    async def main(_engine: AsyncEngine) -> None:
        async def take(seconds: float | None) -> None:
            async with manager.lock("a", timeout=seconds):
                pytest.fail("two tasks hold it")

        async with manager.lock("a"):
            with pytest.raises(LockTimeout):
                await asyncio.create_task(take(0))
            waiter = asyncio.create_task(take(None))
            await asyncio.sleep(0.01)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
        async with manager.lock("a", timeout=0):
            pass

    run(main)


def test_a_lock_guards_the_commit_of_a_session(run: Run, manager: LockManager) -> None:
    async def main(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            async with manager.lock("a") as lock:
                await session.run_sync(rome.orm.fence, lock)
                await session.execute(text("UPDATE counters SET n = 1 WHERE id = 1"))
                await session.commit()
            await session.execute(text("UPDATE counters SET n = 2 WHERE id = 1"))
            async with manager.lock("a") as lock:
                await session.run_sync(rome.orm.fence, lock)
            with pytest.raises(OperationalError, match="LockLost"):
                await session.commit()
            await session.rollback()
            assert await session.scalar(text("SELECT n FROM counters WHERE id = 1")) == 1

    run(main)
