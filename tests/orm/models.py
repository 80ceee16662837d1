"""Models of the tests: one for each kind of soft deletion."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from rome.orm import Entity

LONG_AGO = datetime(2001, 2, 3)


class Base(Entity, DeclarativeBase):
    pass


class Server(Base):
    """Soft-deleted by its id; with timestamps."""

    __tablename__ = "servers"
    __table_args__ = (UniqueConstraint("name", "deleted"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    state: Mapped[str | None]
    memory: Mapped[int] = mapped_column(default=512)
    deleted: Mapped[int] = mapped_column(default=0)
    deleted_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=lambda: datetime(2030, 1, 1))
    disks: Mapped[list["Disk"]] = relationship(back_populates="server", cascade="all, delete-orphan")

    @property
    def label(self):
        return f"server {self.name}"

    @property
    def _extra_keys(self):
        return ("label",)


class Disk(Base):
    """Without soft deletion."""

    __tablename__ = "disks"

    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[int] = mapped_column(ForeignKey("servers.id"))
    size: Mapped[int]
    server: Mapped[Server] = relationship(back_populates="disks")


class Image(Base):
    """Soft-deleted by a boolean, without updated_at, with a text key."""

    __tablename__ = "images"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    deleted: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None]


class Share(Base):
    """Soft-deleted by its id as text."""

    __tablename__ = "shares"

    id: Mapped[int] = mapped_column(primary_key=True)
    deleted: Mapped[str] = mapped_column(String(36), default="False")
    deleted_at: Mapped[datetime | None]


class Ticket(Base):
    """With `deleted` but not `deleted_at`, and with a server default."""

    __tablename__ = "tickets"

    id: Mapped[int] = mapped_column(primary_key=True)
    deleted: Mapped[int] = mapped_column(default=0)
    number: Mapped[int] = mapped_column(server_default="7")
