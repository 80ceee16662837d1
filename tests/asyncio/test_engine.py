"""`create_async_engine` on each store: sessions, streaming, the pool, and tasks that do not wait for each other."""

from __future__ import annotations

import asyncio
import re

import pytest
from sqlalchemy import Connection, func, inspect, select, text, update
from sqlalchemy.exc import MissingGreenlet, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

import rome
from rome import waits
from rome.locks import LockManager
from rome.orm import retry_on_conflict
from rome.orm.retry import is_conflict
from tests.asyncio.conftest import COUNTERS, Base, Counter, Note, Run

CLIENTS = 64


def test_a_session_reads_and_writes(run: Run) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session, session.begin():
            session.add(Note(text="one"))
            counter = await session.get_one(Counter, 1)
            counter.n = 5
        async with AsyncSession(engine) as session:
            assert (await session.scalars(select(Note.text))).all() == ["one"]
            assert await session.scalar(select(func.sum(Counter.n))) == 5
            await session.execute(update(Counter).values(n=7))
            await session.rollback()
            assert await session.scalar(select(func.max(Counter.n))) == 5

    run(work)


def test_rows_are_streamed_while_other_statements_run(run: Run) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            async with connection.stream(select(Counter.id).order_by(Counter.id)) as rows:
                async for (number,) in rows:
                    await connection.execute(update(Counter).where(Counter.id == number).values(n=number))
            parts = await connection.stream(select(Counter.n).order_by(Counter.id))
            assert [len(part) async for part in parts.partitions(4)] == [4, 4, 2]
        async with AsyncSession(engine) as session:
            assert [n async for n in await session.stream_scalars(select(Counter.n))] == [*range(1, COUNTERS + 1)]

    run(work)


def test_the_schema_is_changed_and_reflected(run: Run) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        async with engine.connect() as connection:
            assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["counters", "notes"]

    run(work)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rome+memory:///names", "rome"),
        ("sqlite+rome:///names?store=memory", "sqlite"),
        ("rome+memory:///names?dialect=sqlite", "sqlite"),
    ],
)
def test_the_url_is_that_of_create_engine(url: str, name: str) -> None:
    async def work() -> None:
        engine = create_async_engine(url)
        assert engine.dialect.name == name
        assert isinstance(engine.pool, AsyncAdaptedQueuePool)
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
            raw = await connection.get_raw_connection()
            assert isinstance(raw.driver_connection, rome.Connection)
        await engine.dispose()

    asyncio.run(work())


def test_an_engine_outlives_its_event_loop(database: str) -> None:
    engine = create_async_engine(database)

    async def count() -> int:
        async with AsyncSession(engine) as session:
            session.add(Note())
            await session.commit()
            return await session.scalar(select(func.count()).select_from(Note)) or 0

    assert [asyncio.run(count()), asyncio.run(count())] == [1, 2]
    asyncio.run(engine.dispose())


def test_no_transaction_of_many_clients_is_lost(run: Run) -> None:
    async def client(engine: AsyncEngine, number: int) -> None:
        for _ in range(3):
            while True:
                try:
                    async with AsyncSession(engine) as session, session.begin():
                        counter = await session.get_one(Counter, number % 5 + 1)
                        counter.n += 1
                        session.add(Note(text=str(number)))
                    break
                except OperationalError as error:
                    if not is_conflict(error):
                        raise

    async def work(engine: AsyncEngine) -> None:
        await asyncio.gather(*(client(engine, number) for number in range(CLIENTS)))
        async with AsyncSession(engine) as session:
            assert await session.scalar(select(func.sum(Counter.n))) == 3 * CLIENTS
            assert await session.scalar(select(func.count()).select_from(Note)) == 3 * CLIENTS

    run(work)


def test_a_retry_within_a_task_lets_other_tasks_run(run: Run) -> None:
    @retry_on_conflict(attempts=1000)
    def add(session: object) -> None:
        counter = session.get(Counter, 1)  # type: ignore[attr-defined]
        counter.n += 1
        session.commit()  # type: ignore[attr-defined]

    async def client(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            await session.run_sync(add)

    async def work(engine: AsyncEngine) -> None:
        await asyncio.gather(*(client(engine) for _ in range(8)))
        async with AsyncSession(engine) as session:
            assert (await session.get_one(Counter, 1)).n == 8

    run(work)


def locked(number: int) -> object:
    return select(Counter).where(Counter.id == number).with_for_update()


def test_a_task_that_waits_for_a_row_lock_lets_others_run(run: Run) -> None:
    async def add(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session, session.begin():
            counter = (await session.scalars(locked(1))).one()  # type: ignore[call-overload]
            counter.n += 1

    async def update_unlocked(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(update(Counter).where(Counter.id == 1).values(n=Counter.n + 100))

    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as holder, holder.begin():
            (await holder.scalars(locked(1))).one().n += 1  # type: ignore[call-overload]
            waiters = [asyncio.create_task(add(engine)) for _ in range(3)]
            waiters.append(asyncio.create_task(update_unlocked(engine)))
            for _ in range(20):
                async with AsyncSession(engine) as other:
                    assert (await other.get_one(Counter, 1)).n == 0
            assert not any(waiter.done() for waiter in waiters)
        await asyncio.gather(*waiters)
        async with AsyncSession(engine) as session:
            assert (await session.get_one(Counter, 1)).n == 104

    run(work)


def test_a_timeout_ends_the_wait_for_a_row_lock(run: Run) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as holder, holder.begin():
            (await holder.scalars(locked(1))).one()  # type: ignore[call-overload]
            async with AsyncSession(engine) as waiter:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await waiter.execute(locked(1))  # type: ignore[call-overload]
        async with AsyncSession(engine) as session, session.begin():
            nowait = select(Counter).where(Counter.id == 1).with_for_update(nowait=True)
            (await session.scalars(nowait)).one().n += 1

    run(work)


def test_a_connection_serves_one_task_at_a_time(run: Run) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as holder, engine.connect() as shared:
            await holder.execute(locked(1))  # type: ignore[call-overload]
            waiting = asyncio.create_task(shared.execute(locked(1)))  # type: ignore[call-overload]
            for _ in range(10):
                await asyncio.sleep(0)
            with pytest.raises(ProgrammingError, match="used by another task now; open one for each task"):
                await shared.execute(text("SELECT 1"))
            await holder.rollback()
            assert len((await waiting).all()) == 1

    run(work)


def test_a_caller_that_is_no_task_is_refused(run: Run) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            counter = await session.get_one(Counter, 1)
            await session.commit()
            with pytest.raises(MissingGreenlet):
                counter.n  # noqa: B018 - it is loaded again
        with pytest.raises(MissingGreenlet), engine.sync_engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    run(work)


def test_the_tasks_of_uvloop(database: str) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def work() -> None:
        engine = create_async_engine(database)

        async def add(number: int) -> None:
            async with AsyncSession(engine) as session, session.begin():
                session.add(Note(text="x" * 1000 * number))

        await asyncio.gather(*(add(number) for number in range(CLIENTS)))
        async with AsyncSession(engine) as session:
            assert await session.scalar(select(func.count()).select_from(Note)) == CLIENTS
        await engine.dispose()

    uvloop.run(work())


def test_a_round_to_the_server_takes_no_thread(redis_server: object) -> None:
    async def work() -> None:
        engine = create_async_engine(redis_server.url("no_thread"))  # type: ignore[attr-defined]
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        asyncio.get_running_loop().run_in_executor = None  # type: ignore[assignment,method-assign]
        async with AsyncSession(engine) as session, session.begin():
            session.add(Note(text="x" * 10_000_000))
        async with AsyncSession(engine) as session:
            assert len((await session.scalars(select(Note.text))).one()) == 10_000_000
        await engine.dispose()

    asyncio.run(work())
    rome.drop_database(redis_server.url("no_thread"))  # type: ignore[attr-defined]


def test_a_named_lock_is_entered_by_one_task_at_a_time(database: str) -> None:
    inside: list[int] = []

    def enter(manager: LockManager, number: int) -> None:
        with manager.lock("door", timeout=30), manager.lock("door"):
            inside.append(number)
            waits.sleep(0.01)
            assert inside.pop() == number

    async def work() -> None:
        engine = create_async_engine(database)
        manager = LockManager(database)
        async with engine.connect() as connection:
            await asyncio.gather(*(connection.run_sync(lambda _, n=number: enter(manager, n)) for number in range(5)))  # type: ignore[misc]
        manager.close()
        await engine.dispose()

    asyncio.run(work())


def test_statements_of_tasks_count_their_own_round_trips(run: Run) -> None:
    def analyze(sync: Connection) -> str:
        return rome.explain(select(Counter).where(Counter.id == 1), sync, analyze=True)

    async def explain(engine: AsyncEngine) -> str:
        async with engine.connect() as connection:
            await connection.rollback()
            return await connection.run_sync(analyze)

    async def work(engine: AsyncEngine) -> None:
        alone = re.findall(r"round trips: \d+", await explain(engine))
        together = await asyncio.gather(*(explain(engine) for _ in range(5)))
        assert alone
        assert [re.findall(r"round trips: \d+", plan) for plan in together] == [alone] * 5

    run(work)
