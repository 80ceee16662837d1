"""SQL has the same results in tasks as in threads, also where the tasks of one thread take turns at each wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

import rome
from rome import waits
from rome.dialect.tasks import AsyncioTasks
from rome.verify.sql.trial import Played, case, race
from tests.dbapi.reference import Reference
from tests.dbapi.test_against_sqlite import SCRIPTS, outcome, statements

SEEDS = range(12)


def _in_task(play: Callable[..., Played], *arguments: object) -> Played:
    assert waits.in_task()
    return play(*arguments)


async def _all(play: Callable[..., Played], *arguments: object) -> list[Played]:
    waits.use_tasks(AsyncioTasks())
    return await asyncio.gather(*(greenlet_spawn(_in_task, play, seed, *arguments) for seed in SEEDS))


def _store(url: str) -> str:
    """Return the URL of a store, without a database's name, as the SQL fuzzer takes it."""
    return url[: url.rindex("/") + 1]


@pytest.mark.slow
def test_random_scripts_against_sqlite(url: str) -> None:
    found = asyncio.run(_all(case, 40, _store(url), None))
    assert [str(difference) for *_, difference in found if difference is not None] == []


@pytest.mark.slow
def test_random_races(url: str) -> None:
    found = asyncio.run(_all(race, _store(url)))
    assert [str(difference) for *_, difference in found if difference is not None] == []


@pytest.mark.parametrize("name", sorted(SCRIPTS.keys() - {"savepoints"}))
def test_script(name: str) -> None:
    url = f"rome+memory:///in_tasks {name}"

    async def play() -> None:
        engine = create_async_engine(url)
        theirs = Reference()
        theirs.execute("BEGIN")
        async with engine.connect() as connection:
            for number, sql in enumerate(statements(name)):
                ours = await connection.run_sync(lambda sync, sql=sql: outcome(sync.connection.cursor(), sql))  # type: ignore[misc]
                assert ours == outcome(theirs, sql), sql
                if number % 3 == 0:
                    await connection.commit()
                    theirs.execute("COMMIT")
                    theirs.execute("BEGIN")
        await engine.dispose()

    asyncio.run(play())
    rome.drop_database(url)
