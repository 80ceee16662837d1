"""Count the round trips of workloads on ROME, and compare them with SQL drivers.

    python -m benchmarks.round_trips [URL] [--staleness SECONDS]

For PostgreSQL's and MariaDB's drivers the table counts BEGIN, each statement, and COMMIT or ROLLBACK as one round trip
each. (psycopg sends BEGIN together with the first statement; the table counts these as one.) With `--staleness`, the
process has read before what a workload reads, and may read it again without asking.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, select, update
from sqlalchemy.orm import Session, joinedload

from benchmarks.schema import Server, Tag, database

SERVERS = 200


def get(session: Session) -> None:
    session.get(Server, 3)


def unique(session: Session) -> None:
    session.scalars(select(Server).where(Server.uuid == "00000018-0000-0000-0000-000000000000")).one()


def index(session: Session) -> None:
    session.scalars(select(Server).where(Server.project == "project 1")).all()


def collections(session: Session) -> None:
    session.get(Server, 3, options=[joinedload(Server.tags), joinedload(Server.addresses)])


def change(session: Session) -> None:
    server = session.get(Server, 3)
    assert server is not None
    server.note = "changed"
    session.commit()


def insert(session: Session) -> None:
    session.add(Server(uuid="new", project="project 1", rank=1))
    session.commit()


def parent_and_children(session: Session) -> None:
    session.add(Server(uuid="parent", project="p", rank=1, tags=[Tag(name="a"), Tag(name="b")]))
    session.commit()


def bulk(session: Session) -> None:
    session.execute(update(Server).where(Server.project == "project 1").values(state="gone"))
    session.commit()


WORKLOADS: list[tuple[str, str, Callable[[Session], None]]] = [
    ("get by primary key, and end the transaction", "3", get),
    ("get by unique column, and end the transaction", "3", unique),
    ("index lookup of 100 rows", "3", index),
    ("parent with two joined collections, key known", "3", collections),
    ("get, change, commit", "4", change),
    ("insert with unique columns, commit", "3", insert),
    ("parent and its children in one commit", "5", parent_and_children),
    ("bulk UPDATE of 100 rows, commit", "3", bulk),
]


def rounds(engine: Engine, workload: Callable[[Session], None]) -> int:
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
    """Let the process keep what the workloads read."""
    for workload in (get, unique, index, collections, get):
        with Session(engine) as session:
            workload(session)
        time.sleep(0.1)  # the cache's follower begins with the first read


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.round_trips", description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", help="of an empty database (default: on a temporary Valkey server)")
    parser.add_argument("--staleness", type=float, help="seconds that reads may be behind")
    options = parser.parse_args()
    table = Table("workload", "SQL drivers", "ROME")
    with database(options.url, SERVERS) as filled:
        query = {"staleness": str(options.staleness)} if options.staleness else {}
        engine = create_engine(filled.url.update_query_dict(query))
        for name, drivers, workload in WORKLOADS:
            table.add_row(name, drivers, str(rounds(engine, workload)))
        engine.dispose()
    Console().print(table)


if __name__ == "__main__":
    main()
