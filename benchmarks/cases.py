"""The cases of the benchmarks: what services do, as SQLAlchemy code that is the same on every database.

A case runs in a session of its own each time. `often` is how many times it runs in one measured round; a case with
`prepare` runs once a round, after the preparation, which is not measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from sqlalchemy import Engine, delete, func, insert, select, text, tuple_, update
from sqlalchemy.orm import Session, joinedload, selectinload

from benchmarks.schema import Address, Event, Server, Tag

Work = Callable[[Session], object]

BULK = 10_000
"""Rows of the bulk cases."""

_numbers = count(10_000_000)


@dataclass(frozen=True)
class Case:
    """One piece of work. `hot`: one of the hot paths of services, which all comparisons run."""

    name: str
    group: str
    work: Work
    often: int
    hot: bool = False
    commits: bool = False
    prepare: Work | None = None


# ── hot paths ─────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── more of the ORM ───────────────────────────────────────────────────────────────────────────────────────────────


def selected_collections(session: Session) -> object:
    options = [selectinload(Server.tags), selectinload(Server.addresses)]
    return session.scalars(select(Server).where(Server.id == 19).options(*options)).one()


def parent_and_children(session: Session) -> None:
    number = next(_numbers)
    tags = [Tag(name=f"tag {at}") for at in range(10)]
    session.add(Server(uuid=f"parent {number}", project="parents", rank=number, tags=tags))
    session.commit()


def filtered_page(session: Session) -> object:
    statement = select(Server).where(Server.state == "active").order_by(Server.rank.desc(), Server.id).limit(20)
    return session.scalars(statement).all()


# ── Core ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_SERVERS = Server.__table__


def core_get(session: Session) -> object:
    return session.connection().execute(select(_SERVERS).where(_SERVERS.c.id == 17)).one()


def core_hundred(session: Session) -> object:
    return session.connection().execute(select(_SERVERS).where(_SERVERS.c.project == "project 3")).all()


def core_join(session: Session) -> object:
    statement = (
        select(Server.id, Tag.name, Address.address)
        .join(Tag, Tag.server_id == Server.id)
        .join(Address, Address.server_id == Server.id)
        .where(Server.project == "project 4")
    )
    return session.connection().execute(statement).all()


# ── pages, counts, sums ───────────────────────────────────────────────────────────────────────────────────────────


def deep_page(session: Session) -> object:
    """Keyset pagination, far from the beginning."""
    middle = (Event.stamp, Event.id)
    statement = select(Event).where(tuple_(*middle) > (BULK // 2, BULK // 2)).order_by(*middle).limit(20)
    return session.scalars(statement).all()


def count_range(session: Session) -> object:
    return session.scalar(select(func.count()).select_from(Event).where(Event.stamp.between(1000, 1500)))


def count_all(session: Session) -> object:
    return session.scalar(select(func.count()).select_from(Event))


def grouped_sum(session: Session) -> object:
    return session.execute(select(Event.kind, func.sum(Event.size), func.count()).group_by(Event.kind)).all()


# ── bulk ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def rows_of_events(number: int, first: int = 1) -> list[dict[str, object]]:
    """Return so many events."""
    numbers = range(first, first + number)
    return [{"id": at, "kind": f"kind {at % 20}", "stamp": at, "size": at % 1000} for at in numbers]


def bulk_insert(session: Session) -> None:
    session.execute(insert(Event), rows_of_events(BULK))
    session.commit()


def bulk_update(session: Session) -> None:
    session.execute(update(Event).values(size=Event.size + 1))
    session.commit()


def bulk_delete(session: Session) -> None:
    session.execute(delete(Event))
    session.commit()


def with_events(session: Session) -> None:
    """Fill the table of events if it is empty."""
    if session.scalar(select(Event.id).limit(1)) is None:
        bulk_insert(session)


CASES = [
    Case("session.get", "ORM", get, 100, hot=True),
    Case("select by unique column", "ORM", by_unique_column, 100, hot=True),
    Case("100 rows by index", "ORM", hundred_by_index, 20, hot=True),
    Case("joinedload of two collections", "ORM", joined_collections, 50, hot=True),
    Case("selectinload of two collections", "ORM", selected_collections, 30),
    Case("page of 20 with a filter", "ORM", filtered_page, 30),
    Case("insert + commit", "ORM", insert_and_commit, 50, hot=True, commits=True),
    Case("get + update + commit", "ORM", update_and_commit, 50, hot=True, commits=True),
    Case("parent and 10 children + commit", "ORM", parent_and_children, 20, commits=True),
    Case("get", "Core", core_get, 100),
    Case("100 rows by index", "Core", core_hundred, 30),
    Case("join of 100 servers, tags, addresses", "Core", core_join, 3),
    Case("join of 1521 by 39 rows", "Core", large_join, 3, hot=True),
    Case("page deep in 10,000 rows", "10,000 rows", deep_page, 30, prepare=with_events),
    Case("count of a range", "10,000 rows", count_range, 30, prepare=with_events),
    Case("count of all", "10,000 rows", count_all, 30, prepare=with_events),
    Case("grouped sum", "10,000 rows", grouped_sum, 1, prepare=with_events),
    Case("update of all", "10,000 rows", bulk_update, 1, commits=True, prepare=with_events),
    Case("delete of all", "10,000 rows", bulk_delete, 1, commits=True, prepare=with_events),
    Case("insert of all", "10,000 rows", bulk_insert, 1, commits=True, prepare=bulk_delete),
]

COUNTED = [
    case for case in CASES if case.hot or case.work is filtered_page or (case.commits and case.group == "10,000 rows")
]
"""The cases whose instructions are kept (`benchmarks.costs`)."""

HOT = {case.name: case for case in CASES if case.hot}


def repeat(engine: Engine, case: Case, times: int) -> None:
    """Run a case so many times, each in a session of its own."""
    for _ in range(times):
        with Session(engine) as session:
            case.work(session)


def measure(engine: Engine, case: Case, times: int) -> float:
    """Return the microseconds of one execution."""
    began = time.perf_counter()
    repeat(engine, case, times)
    return (time.perf_counter() - began) / times * 1e6


def make_sides(engine: Engine) -> None:
    """Create the tables of the large join."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_side (id INTEGER PRIMARY KEY, k INT)"))
        connection.execute(text("CREATE TABLE right_side (id INTEGER PRIMARY KEY, k INT)"))
        left = [{"id": number, "k": number % 39} for number in range(1521)]
        connection.execute(text("INSERT INTO left_side VALUES (:id, :k)"), left)
        right = [{"id": number, "k": number} for number in range(39)]
        connection.execute(text("INSERT INTO right_side VALUES (:id, :k)"), right)
