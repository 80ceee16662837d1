"""Fields are strict, on assignment and on the wire."""

import datetime as dt
import decimal
import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rome_objects import errors, fields
from rome_objects.base import Object
from tests.adapters.objects.models import EveryType, Power, Server

NOON = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("whole", "7x"), ("whole", "7"), ("whole", 7.0), ("whole", True), ("whole", 2**63), ("whole", None),
        ("real", "1.5"), ("real", True), ("yes", 1), ("yes", "yes"), ("text", 5), ("text", "longer"), ("text", b"x"),
        ("data", "text"), ("price", 1.5), ("price", "1.5"), ("at", dt.datetime(2020, 1, 1)), ("at", "2020-01-01"),
        ("day", NOON), ("clock", "12:00"), ("color", "green"), ("color", None), ("power", "ON"), ("power", 1),
        ("key", "7"), ("extra", {1: 2}), ("extra", {"a": NOON}), ("extra", [[]] * 3 + [{1, 2}]),
    ],
)  # fmt: skip
def test_values_of_other_types_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        setattr(EveryType(), name, value)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("real", 2, 2.0), ("price", 2, decimal.Decimal(2)), ("extra", None, None), ("power", Power.ON, Power.ON),
        ("at", NOON.astimezone(dt.timezone(dt.timedelta(hours=5))), NOON), ("key", uuid.UUID(int=1), uuid.UUID(int=1)),
    ],
)  # fmt: skip
def test_values_that_are_accepted(name, value, kept):
    obj = EveryType(**{name: value})
    assert obj[name] == kept
    assert type(obj[name]) is type(kept)
    again = EveryType.obj_from_primitive(obj.obj_to_primitive())
    assert again[name] == kept
    assert again.obj_what_changed() == {name}


def test_json_that_is_too_deep():
    value = []
    for _ in range(100):
        value = [value]
    with pytest.raises(ValueError, match="at most 32 levels"):
        EveryType(extra=value)


def test_fields_by_hand_and_fields_without_columns(local_registry):
    class Base(DeclarativeBase):
        pass

    class Model(Base):
        __tablename__ = "machines"
        id: Mapped[int] = mapped_column(primary_key=True)
        span: Mapped[dt.timedelta] = mapped_column(sa.Interval)

    with pytest.raises(errors.DefinitionError, match="column span has the type"):

        class Machine(Object):
            model = Model

    class Computer(Object):
        model = Model
        excluded = ("span",)
        fields = {"id": fields.IntegerField(minimum=1), "note": fields.StringField(default="?")}

    assert list(Computer.fields) == ["id", "note"]
    with pytest.raises(ValueError, match="takes 1 to"):
        Computer(id=0)


def test_derived_fields_say_what_they_are():
    assert (
        repr(Server.fields["name"]) == "Text(default=<class 'oslo_versionedobjects.fields.UnspecifiedDefault'>,"
        "nullable=False)[20]"
    )
    assert "secret" not in Server.fields
