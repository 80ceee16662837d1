"""SQL has the same results in tasks as in threads, also where the tasks of one thread take turns at each wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

import rome
from rome import waits
from rome.dialect.tasks import AsyncioTasks
from rome.verify.campaign import Played
from rome.verify.sql.trial import case_or_race
from tests.dbapi.reference import Reference
from tests.dbapi.test_against_sqlite import SCRIPTS, outcome, statements

SEEDS = range(12)


def _in_task(play: Callable[..., Played], seed: int) -> Played:
    assert waits.in_task()
    return play(seed)


async def _all(play: Callable[..., Played]) -> list[Played]:
    waits.use_tasks(AsyncioTasks())
    return await asyncio.gather(*(greenlet_spawn(_in_task, play, seed) for seed in SEEDS))


def _store(url: str) -> str:
    """Return the URL of a store, without a database's name, as the SQL fuzzer takes it."""
    return url[: url.rindex("/") + 1]


@pytest.mark.slow
@pytest.mark.parametrize("only_races", [False, True])
def test_random_scripts_against_sqlite(url: str, only_races: bool) -> None:
    play = partial(case_or_race, store=_store(url), length=40, level=None, only_races=only_races)
    found = asyncio.run(_all(play))
    assert [played.difference for played in found if played.difference is not None] == []


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
