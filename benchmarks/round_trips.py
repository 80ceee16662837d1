"""Count the round trips of workloads on ROME, and compare them with SQL drivers.

    python -m benchmarks.round_trips [URL] [--staleness SECONDS] [--constraints deferred]

For PostgreSQL's and MariaDB's drivers the table counts BEGIN, each statement, and COMMIT or ROLLBACK as one round trip
each. (psycopg sends BEGIN together with the first statement; the table counts these as one.) With `--staleness`, the
process has read before what a workload reads, and may read it again without asking.
"""

from __future__ import annotations

import argparse
import time

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, func, select, update
from sqlalchemy.orm import Session

from benchmarks import cases
from benchmarks.cases import Work
from benchmarks.schema import Server, Tag, database

SERVERS = 400


def count(session: Session) -> None:
    session.scalar(select(func.count()).select_from(Server))
    session.rollback()


def insert(session: Session) -> None:
    session.add(Server(uuid="new", project="project 1", rank=1))
    session.commit()


def parent_and_children(session: Session) -> None:
    session.add(Server(uuid="parent", project="p", rank=1, tags=[Tag(name="a"), Tag(name="b")]))
    session.commit()


def bulk(session: Session) -> None:
    session.execute(update(Server).where(Server.project == "project 3").values(state="gone"))
    session.commit()


WORKLOADS: list[tuple[str, str, Work]] = [
    ("get by primary key, and end the transaction", "3", cases.get),
    ("get by unique column, and end the transaction", "3", cases.by_unique_column),
    ("index lookup of 100 rows", "3", cases.hundred_by_index),
    ("parent with two joined collections, key known", "3", cases.joined_collections),
    ("count of all rows", "3", count),
    ("get, change, commit", "4", cases.update_and_commit),
    ("insert with unique columns, commit", "3", insert),
    ("parent and its children in one commit", "5", parent_and_children),
    ("bulk UPDATE of 100 rows, commit", "3", bulk),
]


def rounds(engine: Engine, workload: Work) -> int:
    """Return the number of round trips with an open connection and cached plans."""
    connection = engine.raw_connection()
    driver = connection.driver_connection
    assert driver is not None
    stats = driver.stats
    connection.close()
    with Session(engine) as session:
        session.add_all([Server(uuid=f"warm {workload}", project="p", rank=1, tags=[Tag(name="a"), Tag(name="b")])])
        session.commit()
    if driver.database.cached is not None:
        _read_before(engine)
    before = stats.rounds
    with Session(engine) as session:
        workload(session)
    return int(stats.rounds - before)


def _read_before(engine: Engine) -> None:
    """Let the process keep what the workloads read: also that there are no servers yet that they make."""
    for workload in (
        cases.get,
        cases.by_unique_column,
        cases.hundred_by_index,
        cases.joined_collections,
        count,
        cases.get,
        cases.update_and_commit,
        lambda session: _get(session, "new"),
        lambda session: _get(session, "parent"),
    ):
        with Session(engine) as session:
            workload(session)
        time.sleep(0.1)  # the cache's follower begins with the first read


def _get(session: Session, uuid: str) -> None:
    session.scalars(select(Server).where(Server.uuid == uuid)).one_or_none()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.round_trips", description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", help="of an empty database (default: on a temporary Valkey server)")
    parser.add_argument("--staleness", type=float, help="seconds that reads may be behind")
    parser.add_argument("--constraints", choices=("immediate", "deferred"), default="immediate", help="the URL option")
    options = parser.parse_args()
    table = Table("workload", "SQL drivers", "ROME")
    with database(options.url, SERVERS) as filled:
        query = {"constraints": options.constraints}
        if options.staleness:
            query["staleness"] = str(options.staleness)
        engine = create_engine(filled.url.update_query_dict(query))
        for name, drivers, workload in WORKLOADS:
            table.add_row(name, drivers, str(rounds(engine, workload)))
        engine.dispose()
    Console().print(table)


if __name__ == "__main__":
    main()
