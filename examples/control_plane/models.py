"""The models of the control plane, in plain SQLAlchemy 2.0. Nothing here depends on ROME."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The root of the models."""


class Service(Base):
    """A process of the control plane. It reports regularly to show that it is alive."""

    __tablename__ = "services"
    __table_args__ = (UniqueConstraint("host", "binary"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    binary: Mapped[str] = mapped_column(String(255))
    report_count: Mapped[int] = mapped_column(default=0)
    last_seen_up: Mapped[datetime | None]
    disabled: Mapped[bool] = mapped_column(default=False)


class Quota(Base):
    """A project's limit for a resource, and its usage."""

    __tablename__ = "quotas"
    __table_args__ = (UniqueConstraint("project", "resource"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(String(255))
    resource: Mapped[str] = mapped_column(String(255))
    hard_limit: Mapped[int]
    in_use: Mapped[int] = mapped_column(default=0)


class Network(Base):
    """A network with its assignable addresses."""

    __tablename__ = "networks"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    cidr: Mapped[str] = mapped_column(String(43))
    fixed_ips: Mapped[list[FixedIp]] = relationship(back_populates="network", cascade="all, delete-orphan")


class FixedIp(Base):
    """An address of a network. It is free if it has no instance."""

    __tablename__ = "fixed_ips"
    __table_args__ = (Index("fixed_ips_instance", "instance_id"),)

    address: Mapped[str] = mapped_column(String(39), primary_key=True)
    network_id: Mapped[int] = mapped_column(ForeignKey("networks.id"))
    instance_id: Mapped[int | None] = mapped_column(ForeignKey("instances.id"))
    network: Mapped[Network] = relationship(back_populates="fixed_ips")
    instance: Mapped[Instance | None] = relationship(back_populates="fixed_ips")


class Instance(Base):
    """A virtual machine."""

    __tablename__ = "instances"
    __table_args__ = (Index("instances_project_state", "project", "state"), Index("instances_host", "host"))

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    project: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(32), default="building")
    host: Mapped[str | None] = mapped_column(String(255))
    vcpus: Mapped[int]
    memory_mb: Mapped[int]
    created_at: Mapped[datetime]
    details: Mapped[list[InstanceMetadata]] = relationship(
        cascade="all, delete-orphan", order_by="InstanceMetadata.key"
    )
    tags: Mapped[list[Tag]] = relationship(cascade="all, delete-orphan", order_by="Tag.tag")
    fixed_ips: Mapped[list[FixedIp]] = relationship(back_populates="instance", order_by="FixedIp.address")


class InstanceMetadata(Base):
    """A key and a value that the owner has assigned to an instance."""

    __tablename__ = "instance_metadata"
    __table_args__ = (UniqueConstraint("instance_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"))
    key: Mapped[str] = mapped_column(String(255))
    value: Mapped[str] = mapped_column(String(255))


class Tag(Base):
    """A word to find an instance by."""

    __tablename__ = "tags"
    __table_args__ = (Index("tags_tag", "tag"),)

    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(80), primary_key=True)
