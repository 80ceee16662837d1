"""JSON, msgpack and messages; hostile primitives; how fast it is."""

import datetime as dt
import decimal
import sys
import uuid

import oslo_versionedobjects.base
import oslo_versionedobjects.fields
import pytest

from rome_objects import errors, fields
from rome_objects.serializer import Serializer, from_json, from_msgpack, to_json, to_msgpack
from rome_objects.versioned import VersionedBase
from tests.adapters.objects.models import Power, Server, Tag

NOW = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.UTC)


def server():
    return Server(id=1, name="web", power=Power.ON, started_at=NOW, tags=[Tag(id=1, tag="a")])


@pytest.mark.parametrize(("dump", "load"), [(to_json, from_json), (to_msgpack, from_msgpack)])
def test_text_and_bytes(dump, load):
    again = load(dump(server()), {"user": "anna"})
    assert again.obj_to_primitive() == server().obj_to_primitive()
    assert again.obj_context == {"user": "anna"}
    assert again.started_at == NOW


def test_arguments_and_results():
    values = {
        "at": NOW, "day": NOW.date(), "price": decimal.Decimal("1.10"), "id": uuid.UUID(int=5), "data": b"\0",
        "list": [NOW, {"deep": b"x"}], "none": None, "number": 1.5,
    }  # fmt: skip
    sent = Serializer().serialize_entity({}, {**values, "server": server()})
    received = Serializer().deserialize_entity({}, sent)
    assert received.pop("server").obj_to_primitive() == server().obj_to_primitive()
    assert received == values


def test_contexts():
    class Context:
        def to_dict(self):
            return {"user": "anna"}

    assert Serializer().serialize_context(Context()) == Serializer().serialize_context({"user": "anna"})
    assert Serializer().deserialize_context({"user": "anna"}) == {"user": "anna"}


def hostile(**changes):
    primitive = server().obj_to_primitive()
    for name, value in changes.items():
        if value is KeyError:
            del primitive[f"versioned_object.{name}"]
        else:
            primitive[f"versioned_object.{name}"] = value
    return primitive


def nested(levels):
    primitive = Server(id=1).obj_to_primitive()
    for _ in range(levels):
        tag = Tag(id=1).obj_to_primitive()
        tag["versioned_object.data"]["server"] = primitive
        primitive = Server(id=1).obj_to_primitive()
        primitive["versioned_object.data"]["tags"] = [tag]
    return primitive


@pytest.mark.parametrize(
    "primitive",
    [
        hostile(name=KeyError), hostile(name=5), hostile(version=None), hostile(version="one"), hostile(data=KeyError),
        hostile(data=[1]), hostile(data="text"), hostile(changes="name"), hostile(changes=[{}]),
        hostile(data={"name": 5}), hostile(data={"name": "x" * 21}), hostile(data={"id": "1"}),
        hostile(data={"id": None}), hostile(data={"power": "BROKEN"}), hostile(data={"power": []}),
        hostile(data={"started_at": "yesterday"}), hostile(data={"started_at": 5}),
        hostile(data={"tags": "ab"}), hostile(data={"tags": [1]}), hostile(data={"tags": [None]}),
        hostile(data={"tags": [server().obj_to_primitive()]}), hostile(data={"tags": {}}),
        hostile(data={"tags": [Tag().obj_to_primitive()] * 100_001}), nested(20),
        None, 5, "text", [], {},
    ],
    ids=range(29),
)  # fmt: skip
def test_hostile_primitives(primitive):
    with pytest.raises(errors.InvalidPrimitive):
        VersionedBase.obj_from_primitive(primitive)


def test_nested_objects_within_the_limit():
    assert VersionedBase.obj_from_primitive(nested(10)).tags[0].server.id == 1


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", '{"versioned_object.name": 1}'])
def test_hostile_text(text):
    with pytest.raises(errors.InvalidPrimitive):
        from_json(text)
    with pytest.raises(errors.InvalidPrimitive):
        from_msgpack(text.encode())


@pytest.mark.parametrize("value", [[None] * 100_001, {"rome_objects.type": "os"}, {"rome_objects.type": "uuid"}])
def test_hostile_messages(value):
    with pytest.raises(errors.InvalidPrimitive):
        Serializer().deserialize_entity({}, value)
    deep = value = []
    for _ in range(100):
        value.append([])
        value = value[0]
    with pytest.raises(errors.InvalidPrimitive):
        Serializer().deserialize_entity({}, deep)


NAMES = [("Integer", range(5)), ("String", range(5)), ("Boolean", range(3)), ("DateTime", range(2))]
VALUES = {"Integer": 7, "String": "some text", "Boolean": True, "DateTime": NOW}


def test_half_the_calls_of_the_library(local_registry):
    """15 fields to a primitive and back. The time is measured by benchmarks/objects.py."""

    def define(module):
        return {f"{kind}{number}": getattr(module, f"{kind}Field")() for kind, numbers in NAMES for number in numbers}

    class Ours(VersionedBase):
        fields = define(fields)

    @oslo_versionedobjects.base.VersionedObjectRegistry.register
    class Theirs(oslo_versionedobjects.base.VersionedObject):
        fields = define(oslo_versionedobjects.fields)

    assert calls(Ours) * 2 < calls(Theirs)


def calls(cls):
    """Return the number of calls, of Python's and of C's functions, for an object's way there and back."""
    obj = cls(**{name: VALUES[name[:-1]] for name in cls.fields})
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        cls.obj_from_primitive(obj.obj_to_primitive())
    finally:
        sys.setprofile(None)
    return count
