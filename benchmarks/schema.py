"""The database of the benchmarks: servers with tags and addresses, as SQLAlchemy models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, ForeignKey, String, create_engine, insert, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

import rome
from rome.testing.servers import own_valkey_server


class Base(DeclarativeBase):
    """The models of the benchmarks."""


class Server(Base):
    """A row about as wide as those of services."""

    __tablename__ = "servers"
    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    project: Mapped[str] = mapped_column(String(36), index=True)
    host: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[str | None] = mapped_column(String(20))
    memory: Mapped[int] = mapped_column(default=2048)
    rank: Mapped[int] = mapped_column(index=True)
    note: Mapped[str | None] = mapped_column(String(255))
    tags: Mapped[list[Tag]] = relationship()
    addresses: Mapped[list[Address]] = relationship()


class Tag(Base):
    """A tag; each server has ten."""

    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[int] = mapped_column(ForeignKey("servers.id"))
    name: Mapped[str] = mapped_column(String(60))


class Address(Base):
    """An address; each server has two."""

    __tablename__ = "addresses"
    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[int] = mapped_column(ForeignKey("servers.id"))
    address: Mapped[str] = mapped_column(String(40))


class Event(Base):
    """A row of a long table, which the cases with 10,000 rows fill."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), index=True)
    stamp: Mapped[int] = mapped_column(index=True)
    size: Mapped[int]


def fill(engine: Engine, servers: int, *, children: bool = True, per_project: int = 100) -> None:
    """Create and fill the tables."""
    Base.metadata.create_all(engine)
    for first in range(1, servers + 1, 5000):
        numbers = range(first, min(first + 5000, servers + 1))
        with engine.begin() as connection:
            connection.execute(insert(Server), [_server(number, per_project) for number in numbers])
            if children:
                tags = [{"server_id": number, "name": f"tag {at}"} for number in numbers for at in range(10)]
                connection.execute(insert(Tag), tags)
                addresses = [{"server_id": number, "address": f"10.0.{at}.1"} for number in numbers for at in range(2)]
                connection.execute(insert(Address), addresses)
    if engine.dialect.name == "postgresql":  # its sequences do not follow ids that are given
        with engine.begin() as connection:
            connection.execute(text(f"SELECT setval('servers_id_seq', {servers})"))


def _server(number: int, per_project: int) -> dict[str, object]:
    return {
        "id": number,
        "uuid": f"{number:08d}-0000-0000-0000-000000000000",
        "project": f"project {number // per_project}",
        "host": f"host {number % 50}",
        "state": "active" if number % 3 else "error",
        "rank": number,
        "memory": 2048,
        "note": "x" * 60,
    }


@contextmanager
def database(url: str | None, servers: int, *, children: bool = True) -> Iterator[Engine]:
    """Yield an engine on a filled database: that of the URL, else one on a temporary Valkey server."""
    if url is None:
        with own_valkey_server() as server, database(server.url("benchmark"), servers, children=children) as engine:
            yield engine
        return
    engine = create_engine(url)
    fill(engine, servers, children=children)
    try:
        yield engine
    finally:
        engine.dispose()
        rome.drop_database(url)
