"""The tables of the first release."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.fleet.clock import now


class Base(DeclarativeBase):
    """The tables."""


class InstanceModel(Base):
    """A row of `instances`."""

    __tablename__ = "instances"
    uuid: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(80))
    size: Mapped[str] = mapped_column(sa.String(20))
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    host: Mapped[str | None] = mapped_column(sa.String(80), index=True)


class EventModel(Base):
    """A row of `events`."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(sa.ForeignKey("instances.uuid", ondelete="CASCADE"), index=True)
    at: Mapped[dt.datetime] = mapped_column(default=now)
    text: Mapped[str] = mapped_column(sa.String(80))
