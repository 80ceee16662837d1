"""Compare the compiled evaluator with SQLite: the hot paths of services, and a join of 1521 by 39 rows.

    python -m benchmarks.plans [URL]

Both evaluators run in turn on the same data, so that the ratio is stable on a noisy machine.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from unittest import mock

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session, joinedload

from benchmarks.schema import Server, Tag, database
from rome.compiled.compile import NotCompiled
from rome.plan.plan import DefinitionCache

SERVERS = 1000
TURNS = 7

Work = Callable[[Session], object]
_numbers = count(10_000_000)


def get(session: Session) -> object:
    return session.get(Server, 17)


def by_unique_column(session: Session) -> object:
    statement = select(Server).where(Server.uuid == "00000018-0000-0000-0000-000000000000")
    return session.scalars(statement).one()


def hundred_by_index(session: Session) -> object:
    return session.scalars(select(Server).where(Server.project == "project 3")).all()


def joined_collections(session: Session) -> object:
    return session.get(Server, 19, options=[joinedload(Server.tags), joinedload(Server.addresses)])


def insert_and_commit(session: Session) -> None:
    session.add(Tag(server_id=17, name=f"new {next(_numbers)}"))
    session.commit()


def update_and_commit(session: Session) -> None:
    server = session.get(Server, 23)
    assert server is not None
    server.note = f"changed {next(_numbers)}"
    session.commit()


def large_join(session: Session) -> object:
    return session.execute(text("SELECT a.id, b.id FROM left_side a JOIN right_side b ON a.k = b.k")).all()


WORK: dict[str, tuple[Work, int]] = {
    "session.get": (get, 100),
    "select by unique column": (by_unique_column, 100),
    "100 rows by index": (hundred_by_index, 20),
    "joinedload of two collections": (joined_collections, 50),
    "insert + commit": (insert_and_commit, 50),
    "get + update + commit": (update_and_commit, 50),
    "join of 1521 by 39 rows": (large_join, 3),
}


@contextmanager
def workspace_only(engine: Engine) -> Iterator[None]:
    """Inside, all statements run in the workspace."""
    nothing = mock.Mock(return_value=NotCompiled("switched off"))
    with mock.patch.multiple(
        "rome.plan.prepare", compile_select=nothing, _plans=DefinitionCache(), _shapes=DefinitionCache()
    ):
        _forget_plans(engine)
        yield
    _forget_plans(engine)


def _forget_plans(engine: Engine) -> None:
    connection = engine.raw_connection()
    driver = connection.driver_connection
    assert driver is not None
    driver.database.plans.clear()
    connection.close()


def measure(engine: Engine, work: Work, times: int) -> float:
    """Return the microseconds of one execution."""
    began = time.perf_counter()
    for _ in range(times):
        with Session(engine) as session:
            work(session)
    return (time.perf_counter() - began) / times * 1e6


def make_sides(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_side (id INTEGER PRIMARY KEY, k INT)"))
        connection.execute(text("CREATE TABLE right_side (id INTEGER PRIMARY KEY, k INT)"))
        left = [{"id": number, "k": number % 39} for number in range(1521)]
        connection.execute(text("INSERT INTO left_side VALUES (:id, :k)"), left)
        right = [{"id": number, "k": number} for number in range(39)]
        connection.execute(text("INSERT INTO right_side VALUES (:id, :k)"), right)


def main(url: str | None) -> None:
    console = Console()
    with console.status(f"filling {SERVERS} servers"), database(url, SERVERS) as engine:
        make_sides(engine)
        table = Table("work", "compiled, µs", "workspace, µs", "workspace / compiled")
        for name, (work, times) in WORK.items():
            compiled, workspace = [], []
            measure(engine, work, times)
            for _ in range(TURNS):
                compiled.append(measure(engine, work, times))
                with workspace_only(engine):
                    measure(engine, work, 1)
                    workspace.append(measure(engine, work, times))
                measure(engine, work, 1)
            ratio = statistics.median(two / one for one, two in zip(compiled, workspace, strict=True))
            table.add_row(name, f"{min(compiled):,.0f}", f"{min(workspace):,.0f}", f"{ratio:.2f}")
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
