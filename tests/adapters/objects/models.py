"""Tables, and the objects on them."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import os
import time
import uuid
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from rome_objects.base import Object
from rome_objects.database import connection
from rome_objects.lists import ObjectList
from rome_objects.remoting import remotable, safe_to_repeat

LONG_AGO = dt.datetime(2001, 2, 3, tzinfo=dt.UTC)


class Base(DeclarativeBase):
    pass


class Power(enum.Enum):
    ON = 1
    OFF = 2


links = sa.Table(
    "links",
    Base.metadata,
    sa.Column("server_id", sa.ForeignKey("servers.id"), primary_key=True),
    sa.Column("group_id", sa.ForeignKey("groups.id"), primary_key=True),
)


class ServerModel(Base):
    __tablename__ = "servers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20), unique=True)
    host: Mapped[str | None] = mapped_column(sa.String(20), index=True)
    power: Mapped[Power] = mapped_column(default=Power.OFF)
    cores: Mapped[int] = mapped_column(default=1)
    started_at: Mapped[dt.datetime | None]
    updated_at: Mapped[dt.datetime | None] = mapped_column(onupdate=lambda: LONG_AGO.replace(tzinfo=None))
    secret: Mapped[str | None]
    tags: Mapped[list[TagModel]] = relationship(order_by="TagModel.tag")
    groups: Mapped[list[GroupModel]] = relationship(secondary=links)


class TagModel(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[int] = mapped_column(sa.ForeignKey("servers.id"))
    tag: Mapped[str] = mapped_column(sa.String(20))
    server: Mapped[ServerModel] = relationship(viewonly=True)


class GroupModel(Base):
    __tablename__ = "groups"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class EveryTypeModel(Base):
    __tablename__ = "every_type"
    key: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    whole: Mapped[int]
    real: Mapped[float]
    yes: Mapped[bool]
    text: Mapped[str] = mapped_column(sa.String(5))
    data: Mapped[bytes]
    price: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2))
    at: Mapped[dt.datetime] = mapped_column(sa.DateTime(timezone=True))
    day: Mapped[dt.date]
    clock: Mapped[dt.time]
    color: Mapped[str] = mapped_column(sa.Enum("red", "blue"))
    power: Mapped[Power]
    extra: Mapped[dict | None] = mapped_column(sa.JSON)


class Tag(Object):
    model = TagModel
    related = {"server": "Server"}


class Group(Object):
    model = GroupModel


class Server(Object):
    VERSION = "1.2"
    model = ServerModel
    excluded = ("secret",)
    related = {"tags": "Tag", "groups": "Group"}

    @remotable
    def rename(self, name, fail=False):
        """Rename the server, and add a tag in the same transaction."""
        Tag(self._context, server_id=self.id, tag=self.name).create()
        self.name = name
        self.save()
        if fail:
            raise RuntimeError(f"{name} is not wanted")
        return {"renamed": self, "at": LONG_AGO}

    @remotable
    def grow(self):
        """Add a core to what the row has now."""
        self.refresh()
        self.cores += 1
        self.save()

    @remotable
    def work(self, begun, finish):
        """Rename the server, tell by a file that this has begun, and end when another file exists."""
        self.rename(f"worked-{self.id}")
        with Path(begun).open("a") as file:
            file.write("begun\n")
        while not Path(finish).exists():
            time.sleep(0.01)
        return os.getpid()

    @classmethod
    @remotable
    @safe_to_repeat
    def read(cls, context, key, begun, finish):
        """Tell by a file that this has begun, and end when another file exists."""
        with Path(begun).open("a") as file:
            file.write(f"{os.getpid()}\n")
        while not Path(finish).exists():
            time.sleep(0.01)
        return cls.get(context, key)

    @classmethod
    @remotable
    def total_cores(cls, context):
        return connection().execute(sa.select(sa.func.sum(cls.model.cores))).scalar()

    def local(self):
        """Not remotable."""


class ServerList(ObjectList, of=Server):
    pass


class EveryType(Object):
    model = EveryTypeModel


class ServiceModel(Base):
    __tablename__ = "services"
    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str | None] = mapped_column(sa.String(255))
    binary: Mapped[str | None] = mapped_column(sa.String(255))
    report_count: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=0)
    deleted: Mapped[int] = mapped_column(default=0)


class Service(Object):
    """Nova's object, with the name of its release on the wire."""

    VERSION = "1.22"
    OBJ_PROJECT_NAMESPACE = "nova"
    OBJ_SERIAL_NAMESPACE = "nova_object"
    model = ServiceModel
    excluded = ("deleted",)

    @classmethod
    @remotable
    def get_by_compute_host(cls, context, host):
        return cls.get_by(context, host=host, binary="nova-compute")

    @classmethod
    @remotable
    def get_minimum_version(cls, context, binary):
        version = sa.func.min(cls.model.version)
        return connection().execute(sa.select(version).where(cls.model.binary == binary)).scalar() or 0


class ServiceList(ObjectList, of=Service):
    OBJ_PROJECT_NAMESPACE = "nova"
    OBJ_SERIAL_NAMESPACE = "nova_object"
