"""Relationships, values that change in place, and soft deletion; directly and by RPC."""

import copy

import pytest
import sqlalchemy as sa
from oslo_versionedobjects.exception import ObjectActionError

from rome_objects import database, errors
from rome_objects.remoting import remotable
from rome_objects.testing.suite import Objects, ObjectSuite
from tests.adapters.objects.racks import (
    Label,
    Rack,
    RackList,
    RackModel,
    Room,
    RoomList,
    Slot,
    SlotList,
    SlotModel,
    rack_labels,
)

CONTEXT = {"user": "anna"}


def create(cls, **values):
    obj = cls(CONTEXT, **values)
    obj.create()
    return obj


@pytest.fixture
def rack(place):
    """A rack in a room within a building, with three slots and a label."""
    building = Room(CONTEXT, name="building")
    return create(
        Rack,
        name="r1",
        extra={"count": 1, "list": [{}]},
        room=Room(CONTEXT, name="room", parent=building),
        slots=SlotList(CONTEXT, objects=[Slot(CONTEXT, place=place) for place in (1, 2, 3)]),
        labels=[Label(CONTEXT, id="fast")],
    )


def again(rack, *load):
    return Rack.get(CONTEXT, rack.id, load=load)


def rows(table):
    with database.engine().connect() as connection:
        return connection.execute(sa.select(table)).all()


def places(rack):
    return [slot.place for slot in rack.slots]


def test_create_saves_what_is_assigned(rack):
    assert rack.obj_what_changed() == set()
    read = again(rack, "room.parent", "slots", "labels")
    assert (read.room.name, read.room.parent.name, read.room_id) == ("room", "building", rack.room.id)
    assert isinstance(read.slots, SlotList)
    assert places(read) == [3, 2, 1]
    assert [label.id for label in read.labels] == ["fast"]
    assert read.obj_what_changed() == set()


def test_assigned_objects_are_saved(rack):
    read = again(rack, "slots", "labels", "room")
    kept = read.slots[1]
    kept.note = "kept"
    read.slots = SlotList(CONTEXT, objects=[kept, Slot(CONTEXT, place=7)])
    read.labels = [Label(CONTEXT, id="new"), *read.labels]
    read.room.name = "renamed"
    read.save()
    assert read.obj_what_changed() == set()
    read = again(rack, "slots", "labels", "room")
    assert [(slot.place, slot.note) for slot in read.slots] == [(7, None), (2, "kept")]
    assert sorted(label.id for label in read.labels) == ["fast", "new"]
    assert read.room.name == "renamed"
    assert len(rows(SlotModel)) == 4  # removed slots are marked as deleted
    read.labels, read.room = [], None
    read.save()
    assert rows(rack_labels) == []
    assert (read.room_id, again(rack, "room").room) == (None, None)


def test_lists_that_change_in_place_are_saved(rack):
    read = again(rack, "slots", "labels")
    read.slots.objects.remove(read.slots[0])
    read.labels.append(Label(CONTEXT, id="new"))
    assert read.obj_what_changed() == {"slots", "labels"}
    read.save()
    read = again(rack, "slots", "labels")
    assert places(read) == [2, 1]
    assert len(read.labels) == 2


def test_a_removed_child_keeps_its_row_without_a_parent(rack):
    room = Room.get(CONTEXT, rack.room.id, load=["racks"])
    room.racks.objects.clear()
    room.save()
    assert again(rack).room_id is None
    room.racks = RackList(CONTEXT, objects=[again(rack)])
    room.save()
    assert again(rack).room_id == room.id


def test_a_page_with_relationships(rack):
    for number in range(2, 6):
        create(Rack, name=f"r{number}", room=Room.get(CONTEXT, 1), slots=SlotList(CONTEXT, objects=[]))
    page = RackList.list(CONTEXT, sort=["-name"], limit=4, load=["slots", "room.parent", "labels"])
    assert [(found.name, found.room.name, found.room.parent, places(found)) for found in page] == [
        (f"r{number}", "building", None, []) for number in (5, 4, 3, 2)
    ]
    rooms = RoomList.list(CONTEXT, load=["racks.slots", "children", "parent"])
    assert [[child.name for child in room.children] for room in rooms] == [["room"], []]
    assert [[found.name for found in room.racks] for room in rooms] == [["r2", "r3", "r4", "r5"], ["r1"]]
    assert places(rooms[1].racks[0]) == [3, 2, 1]
    assert rooms[1].parent.id == rooms[0].id


@pytest.mark.parametrize("name", ["room.nothing", "nothing", "name"])
def test_what_can_not_be_loaded(rack, name):
    with pytest.raises(errors.InvalidQuery, match=rf"query of R\w+: '{name.split('.')[-1]}' is no relationship"):
        again(rack, name)
    with pytest.raises(errors.InvalidQuery, match="not the text 'room'"):
        RackList.list(CONTEXT, load="room")


def test_fields_are_never_loaded_silently(rack):
    read = again(rack)
    with pytest.raises(errors.NotLoaded, match=r"field slots of Rack is not loaded: call load\('slots'\), or set it"):
        _ = read.slots
    assert "slots" not in read.obj_to_primitive()["versioned_object.data"]
    read.load("slots", "room.parent")
    assert (places(read), read.room.parent.name) == ([3, 2, 1], "building")


def test_a_viewonly_relationship_is_not_saved(place):
    from tests.adapters.objects.models import Server, Tag

    create(Server, name="web")
    tag = create(Tag, server_id=1, tag="x")
    tag.server = create(Server, name="db")
    with pytest.raises(ObjectActionError, match=r"Tag\.server: the relationship is viewonly"):
        tag.save()


def test_a_list_in_related_that_is_not_an_object(local_registry):
    from rome_objects.base import Object
    from rome_objects.fields import StringField
    from rome_objects.versioned import VersionedBase

    class Plain(VersionedBase):
        fields = {"name": StringField()}

    class Other(Object):
        model = RackModel
        related = {"labels": "Plain"}

    with pytest.raises(errors.DefinitionError, match="`related` labels leads to a class without a model"):
        Other.get({}, 1, load=["labels"])


def test_json_that_changes_in_place_is_saved(rack):
    read = again(rack)
    assert read.obj_what_changed() == set()
    read.extra["list"][0]["new"] = True
    assert read.obj_what_changed() == {"extra"}
    assert read.obj_to_primitive()["versioned_object.changes"] == ["extra"]
    copied = copy.deepcopy(read)
    assert copied.obj_what_changed() == {"extra"}
    read.save()
    assert read.obj_what_changed() == set()
    assert again(rack).extra == {"count": 1, "list": [{"new": True}]}
    read.extra["list"][0]["new"] = 1  # not the same in JSON
    assert read.obj_what_changed() == {"extra"}
    read.refresh()
    assert read.obj_what_changed() == set()
    read.extra.clear()
    assert Rack.obj_from_primitive(read.obj_to_primitive()).obj_what_changed() == {"extra"}
    read.save()
    assert (again(rack).extra, copied.extra["count"]) == ({}, 1)


def test_a_method_changes_values_in_place(rack):
    """A failed method leaves them as they were; one that succeeds in a conductor returns them."""
    read = again(rack, "slots")
    with pytest.raises(RuntimeError):
        read.count_up(fail=True)
    assert (read.extra["count"], places(read), read.obj_what_changed()) == (1, [3, 2, 1], set())
    read.count_up()
    assert (read.extra["count"], places(read), read.obj_what_changed()) == (2, [3, 2, 1, 99], set())
    assert again(rack).extra["count"] == 2


def test_unsaved_changes_of_nested_objects_outlive_a_call(rack):
    read = again(rack, "room")
    read.room.name = "renamed"
    Slot.get(CONTEXT, rack.id, 1)
    read.load("slots")
    assert read.obj_what_changed() == {"room"}
    assert read.room.obj_what_changed() == {"name"}
    read.save()
    assert again(rack, "room").room.name == "renamed"


def test_a_retried_method_begins_with_the_values_it_was_called_with(store, local_registry):
    attempts = []

    class Retried(Rack, name="Retried"):
        @remotable
        def count(self):
            self.extra["count"] += 1
            Rack.get(self.obj_context, self.id)
            self.save()
            attempts.append(self.extra["count"])
            if len(attempts) < 3:
                with database.engine().begin() as other:  # a conflicting commit
                    other.execute(sa.update(RackModel).values(room_id=None, name=f"r{len(attempts)}"))

    create(Rack, name="r", extra={"count": 1})
    Retried.get(CONTEXT, 1).count()
    assert attempts == [2, 2, 2]
    assert again(Rack.get(CONTEXT, 1)).extra == {"count": 2}


def test_soft_deletion(rack):
    rack.destroy()
    assert rack.deleted == rack.id
    assert rack.deleted_at.tzinfo is not None
    for find in (lambda: again(rack), lambda: Rack.get_by(CONTEXT, name="r1"), lambda: Rack.get_by_name(CONTEXT, "r1")):
        with pytest.raises(errors.NotFound):
            find()
    assert len(RackList.list(CONTEXT)) == RackList.count(CONTEXT) == 0
    assert len(RackList.list(CONTEXT, with_deleted=True)) == RackList.count(CONTEXT, with_deleted=True) == 1
    read = Rack.get(CONTEXT, rack.id, with_deleted=True, load=["slots"])
    assert (read.deleted, places(read)) == (rack.id, [3, 2, 1])
    read.name = "other"
    for use in (read.save, read.destroy, read.refresh):
        with pytest.raises(errors.ObjectGone, match="Rack id = 1 was destroyed"):
            use()
    assert create(Rack, name="r1").id != rack.id  # the name is free again
    with pytest.raises(errors.ConstraintViolated):
        create(Rack, name="r1")


def test_marked_rows_are_not_loaded(rack):
    read = again(rack, "slots", "labels")
    read.slots[0].destroy()
    read.labels[0].destroy()
    assert (read.labels[0].deleted, len(rows(SlotModel))) == ("fast", 3)
    assert places(again(rack, "slots", "labels")) == [2, 1]
    assert again(rack, "slots", "labels").labels == []
    room = Room.get(CONTEXT, rack.room.id, load=["racks"])
    assert len(room.racks) == 1
    rack.destroy()
    assert len(Room.get(CONTEXT, rack.room.id, load=["racks"]).racks) == 0


def test_round_trips(store, stats):
    create(Rack, name="r1", room=Room(CONTEXT, name="room"), slots=SlotList(CONTEXT, objects=[Slot(CONTEXT, place=1)]))

    def rounds(call):
        call()
        before = stats.rounds
        call()
        return stats.rounds - before

    assert rounds(lambda: Rack.get(CONTEXT, 1, load=["slots"])) == 1
    assert rounds(lambda: Rack.get(CONTEXT, 1, load=["room"])) == 2  # the room's key is in the rack's row
    assert rounds(lambda: RackList.list(CONTEXT, load=["room"])) <= 2
    assert rounds(lambda: RackList.list(CONTEXT, load=["room", "slots"])) <= 3


class TestSoftDeletion(ObjectSuite):
    """The public suite, with objects that are marked as deleted."""

    @pytest.fixture
    def objects(self, place):
        return Objects(
            Rack, RackList, lambda number: {"name": f"r{number}", "extra": {"number": number}}, "height", (1, 2)
        )
