"""Models of the ORM fuzzer: joined inheritance, a tree, a composite key with an ON DELETE, many to many, a version."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Enum, ForeignKey, Index, String, Table, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The base of all models."""


class Phase(enum.Enum):
    """An enumeration that is stored by name."""

    NEW = 1
    READY = 2
    GONE = 3


node_tags = Table(
    "node_tags",
    Base.metadata,
    Column("node_id", ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", ForeignKey("tags.name"), primary_key=True),
)


class Tag(Base):
    """A tag; its key is a text."""

    __tablename__ = "tags"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    weight: Mapped[int] = mapped_column(default=1)
    nodes: Mapped[list[Node]] = relationship(secondary=node_tags, back_populates="tags", order_by="Node.label")


class Node(Base):
    """A node of a tree, with a version that the ORM checks."""

    __tablename__ = "nodes"
    __table_args__ = (Index("nodes_number_state", "number", "state"), UniqueConstraint("parent_id", "place"))

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(20), unique=True)
    kind: Mapped[str] = mapped_column(String(10))
    number: Mapped[int | None] = mapped_column(index=True)
    ratio: Mapped[float | None] = mapped_column()
    state: Mapped[Phase] = mapped_column(Enum(Phase), default=Phase.NEW)
    data: Mapped[Any] = mapped_column(JSON, nullable=True)
    seen: Mapped[dt.datetime | None] = mapped_column(DateTime)
    place: Mapped[int | None] = mapped_column()
    version: Mapped[int] = mapped_column()
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id"))
    parent: Mapped[Node | None] = relationship(remote_side="Node.id", back_populates="children")
    children: Mapped[list[Node]] = relationship(back_populates="parent", order_by="Node.label")
    notes: Mapped[list[Note]] = relationship(
        back_populates="node", order_by="Note.position", cascade="all, delete-orphan", passive_deletes=True
    )
    tags: Mapped[list[Tag]] = relationship(secondary=node_tags, back_populates="nodes", order_by="Tag.name")

    __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "node", "version_id_col": version}


class Leaf(Node):
    """A node with columns in a table of its own."""

    __tablename__ = "leaves"

    id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True)
    size: Mapped[int] = mapped_column(default=0, index=True)
    owner: Mapped[str | None] = mapped_column(ForeignKey("tags.name", ondelete="SET NULL", onupdate="CASCADE"))

    __mapper_args__ = {"polymorphic_identity": "leaf"}


class Note(Base):
    """A note of a node; its key has two columns."""

    __tablename__ = "notes"

    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(50), default="")
    node: Mapped[Node] = relationship(back_populates="notes")
