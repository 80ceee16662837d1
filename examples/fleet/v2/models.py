"""The tables of the second release."""

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
    display_name: Mapped[str] = mapped_column(sa.String(80))
    cores: Mapped[int]
    memory: Mapped[int]
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    host: Mapped[str | None] = mapped_column(sa.String(80), index=True)


class ActionModel(Base):
    """A row of `actions`."""

    __tablename__ = "actions"
    id: Mapped[int] = mapped_column(primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(sa.ForeignKey("instances.uuid", ondelete="CASCADE"), index=True)
    at: Mapped[dt.datetime] = mapped_column(default=now)
    message: Mapped[str] = mapped_column(sa.String(80))
