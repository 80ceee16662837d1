"""Tables with soft deletion and with relationships that are saved, and the objects on them."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from rome_objects.base import Object
from rome_objects.lists import ObjectList
from rome_objects.remoting import remotable
from tests.adapters.objects.models import Base


class RoomModel(Base):
    __tablename__ = "rooms"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("rooms.id"))
    parent: Mapped[RoomModel | None] = relationship(remote_side="RoomModel.id", back_populates="children")
    children: Mapped[list[RoomModel]] = relationship(back_populates="parent")
    racks: Mapped[list[RackModel]] = relationship(back_populates="room", order_by="RackModel.name")


rack_labels = sa.Table(
    "rack_labels",
    Base.metadata,
    sa.Column("rack_id", sa.ForeignKey("racks.id"), primary_key=True),
    sa.Column("label_id", sa.ForeignKey("labels.id"), primary_key=True),
)


class RackModel(Base):
    __tablename__ = "racks"
    __table_args__ = (sa.UniqueConstraint("name", "deleted"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))
    extra: Mapped[dict | None] = mapped_column(sa.JSON)
    height: Mapped[int | None]
    room_id: Mapped[int | None] = mapped_column(sa.ForeignKey("rooms.id"))
    deleted: Mapped[int] = mapped_column(default=0)
    deleted_at: Mapped[dt.datetime | None]
    room: Mapped[RoomModel | None] = relationship(back_populates="racks")
    slots: Mapped[list[SlotModel]] = relationship(cascade="all, delete-orphan", order_by="SlotModel.place.desc()")
    labels: Mapped[list[LabelModel]] = relationship(secondary=rack_labels)


class SlotModel(Base):
    __tablename__ = "slots"
    rack_id: Mapped[int] = mapped_column(sa.ForeignKey("racks.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str | None]
    deleted: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))


class LabelModel(Base):
    __tablename__ = "labels"
    id: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    deleted: Mapped[str] = mapped_column(sa.String(10))  # without a default
    deleted_at: Mapped[dt.datetime | None]


class Slot(Object):
    model = SlotModel
    excluded = ("deleted", "deleted_at")


class SlotList(ObjectList, of=Slot):
    pass


class Label(Object):
    model = LabelModel


class Rack(Object):
    model = RackModel
    related = {"room": "Room", "slots": SlotList, "labels": "Label"}

    @remotable
    def count_up(self, fail=False):
        """Change a JSON value in place, and save it."""
        self.extra["count"] += 1
        self.slots.objects.append(Slot(self.obj_context, place=99))
        if fail:
            raise RuntimeError("not wanted")
        self.save()


class RackList(ObjectList, of=Rack):
    pass


class Room(Object):
    model = RoomModel
    related = {"parent": "Room", "children": "Room", "racks": RackList}


class RoomList(ObjectList, of=Room):
    pass
