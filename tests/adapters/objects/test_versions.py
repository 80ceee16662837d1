"""Two releases of an object: registration, backports, upgrades and fingerprints."""

import oslo_messaging
import pytest
from oslo_versionedobjects.base import obj_tree_get_versions
from oslo_versionedobjects.exception import InvalidTargetVersion

from rome_objects import errors, remoting, serializer
from rome_objects.conductor.endpoint import Endpoint
from rome_objects.fields import IntegerField, ListOfObjectsField, ObjectField, StringField
from rome_objects.registry import fingerprint
from rome_objects.remoting import remotable
from rome_objects.testing import check_fingerprints
from rome_objects.versioned import VersionedBase
from tests.adapters.objects.models import Server

pytestmark = pytest.mark.usefixtures("local_registry")


@pytest.fixture
def releases():
    """Three versions of Part, of which two are registered, and an object with a part in it."""

    class PartV1(VersionedBase, name="Part"):
        VERSION = "1.0"
        fields = {"name": StringField()}

    class PartV2(VersionedBase, name="Part"):
        VERSION = "1.2"
        fields = {"title": StringField(), "size": IntegerField()}
        added = {"size": "1.1"}
        renamed = {"title": ("name", "1.2")}

    class Machine(VersionedBase):
        VERSION = "1.1"
        fields = {"part": ObjectField("Part"), "spares": ListOfObjectsField("Part")}

    return PartV1, PartV2, Machine


def version_of(primitive):
    return primitive["versioned_object.version"]


def data_of(primitive):
    return primitive["versioned_object.data"]


def test_two_versions_side_by_side(releases):
    old, new, _ = releases
    assert type(VersionedBase.obj_from_primitive(old(name="x").obj_to_primitive())) is old
    assert type(VersionedBase.obj_from_primitive(new(title="x").obj_to_primitive())) is new


def test_backports(releases):
    _, new, _ = releases
    part = new(title="x", size=3)
    assert data_of(part.obj_to_primitive("1.1")) == {"name": "x", "size": 3}
    assert data_of(part.obj_to_primitive("1.0")) == {"name": "x"}
    assert part.obj_to_primitive("1.0")["versioned_object.changes"] == ["name"]
    with pytest.raises(InvalidTargetVersion):
        part.obj_to_primitive("1.3")


def test_an_object_of_an_older_version_is_upgraded_and_sent_back_in_its_own(releases):
    _, new, _ = releases
    primitive = new(title="x", size=3).obj_to_primitive("1.1")
    part = VersionedBase.obj_from_primitive(primitive)
    assert (type(part), part.title, part.size) == (new, "x", 3)
    assert part.obj_what_changed() == {"title", "size"}
    part.title = "y"
    again = part.obj_to_primitive()
    assert (version_of(again), data_of(again)) == ("1.1", {"name": "y", "size": 3})


def test_an_object_may_be_sent_as_a_version_of_the_third_number(releases):
    part = releases[1](title="x", size=3)
    part.VERSION = "1.2.1"
    assert version_of(part.obj_to_primitive()) == "1.2.1"


def test_nested_objects_are_backported_by_a_manifest(releases):
    _, new, machine = releases
    whole = machine(part=new(title="x", size=1), spares=[new(title="y", size=2)])
    primitive = data_of(whole.obj_to_primitive("1.1", {"Machine": "1.1", "Part": "1.1"}))
    assert data_of(primitive["part"]) == {"name": "x", "size": 1}
    assert [data_of(spare) for spare in primitive["spares"]] == [{"name": "y", "size": 2}]
    assert obj_tree_get_versions("Machine") == {"Machine": "1.1", "Part": "1.2"}


def test_pinned_objects(releases):
    _, new, machine = releases
    serializer.pin({"Part": "1.1"})
    try:
        whole = machine(part=new(title="x", size=1), spares=[])
        sent = serializer.Serializer().serialize_entity({}, {"machine": whole, "parts": [new(title="z")]})
        assert version_of(data_of(sent["machine"])["part"]) == version_of(sent["parts"][0]) == "1.1"
        assert version_of(sent["machine"]) == "1.1"
        received = serializer.Serializer().deserialize_entity({}, sent)
        assert received["machine"].part.title == "x"
    finally:
        serializer.pin({})
    with pytest.raises(errors.NewerVersion):
        serializer.pin({"Part": "1.9"})


@pytest.mark.parametrize(
    ("name", "version", "error", "message"),
    [
        ("Wheel", "1.0", errors.UnknownObject, "object Wheel is not registered in this process: import the module"),
        ("Part", "1.3", errors.NewerVersion, r"Part 1\.3 is newer than 1\.2.*upgrade it, pin the sender"),
        ("Part", "2.0", errors.OtherMajorVersion, r"Part 2\.0 has another major version than 1\.2"),
    ],
)
def test_versions_that_can_not_be_read(releases, name, version, error, message):
    primitive = releases[1](title="x").obj_to_primitive()
    primitive.update({"versioned_object.name": name, "versioned_object.version": version})
    with pytest.raises(error, match=message):
        VersionedBase.obj_from_primitive(primitive)


def test_the_third_number_of_a_version_is_compatible(releases):
    primitive = releases[1](title="x").obj_to_primitive()
    primitive["versioned_object.version"] = "1.2.4"
    assert VersionedBase.obj_from_primitive(primitive).title == "x"


def test_duplicate_names(releases):
    with pytest.raises(
        errors.DuplicateObject, match=r"Part 1\.2 is registered by .*PartV2 and again by .*Other: rename"
    ):

        class Other(VersionedBase, name="Part"):
            VERSION = "1.2"


def test_only_registered_classes_come_from_the_wire():
    class Base(VersionedBase, abstract=True):
        fields = {"name": StringField()}

    primitive = Server().obj_to_primitive()
    primitive["versioned_object.name"] = "Base"
    with pytest.raises(errors.UnknownObject):
        VersionedBase.obj_from_primitive(primitive)


@pytest.mark.parametrize("change", ["field", "length", "method", "parameter"])
def test_fingerprints(change, tmp_path):
    def define(version, changed=False):
        class Thing(VersionedBase):
            VERSION = version
            fields = {
                "name": StringField(9 if changed and change == "length" else 5),
                **({"size": IntegerField()} if changed and change == "field" else {}),
            }

            @remotable
            def work(self, hours: "int"):
                """Work."""

            if changed and change == "method":
                rest = remotable(lambda self: None)
            if changed and change == "parameter":

                @remotable
                def work(self, hours=8): ...

        return Thing

    file = tmp_path / "fingerprints.json"
    first = define("1.0")
    with pytest.raises(AssertionError, match=r"Thing 1\.0 has no fingerprint"):
        check_fingerprints(file, __name__)
    check_fingerprints(file, __name__, update=True)
    check_fingerprints(file, __name__)
    assert fingerprint(define("1.0")) == fingerprint(first)
    define("1.0", changed=True)
    with pytest.raises(AssertionError, match=r"Thing 1\.0 has changed: increment its VERSION"):
        check_fingerprints(file, __name__)


def test_an_old_caller_of_a_new_conductor(releases):
    """The method changes a field that has another name in the caller's version."""
    _, new, _ = releases

    def grow(self, by):
        self.title += "+"
        self.size += by
        return self.title

    new.grow = remotable(grow)
    endpoint = Endpoint()
    part = VersionedBase.obj_from_primitive(new(title="x", size=3).obj_to_primitive("1.1"), {})
    answer = endpoint.object_action({}, part, "grow", [4], {})
    assert data_of(answer["updates"]) == {"name": "x+", "size": 7}
    assert (version_of(answer["updates"]), answer["result"], sorted(answer["changed"])) == (
        "1.1",
        "x+",
        ["name", "size"],
    )
    backport = endpoint.object_backport_versions({}, new(title="x", size=1), {"Part": "1.0"})
    assert (version_of(backport), data_of(backport)) == ("1.0", {"name": "x"})


@pytest.mark.parametrize("method", ["obj_reset_changes", "__class__", "nothing", "fields"])
def test_only_remotable_methods_are_called(releases, method):
    with pytest.raises(oslo_messaging.ExpectedException) as caught:
        Endpoint().object_action({}, releases[1](title="x"), method, [], {})
    assert caught.value.exc_info[0] is errors.NotRemotable


def test_an_object_that_is_too_new_is_backported_by_a_conductor(releases, monkeypatch):
    _, new, _ = releases
    future = new(title="x", size=1).obj_to_primitive()
    future["versioned_object.version"] = "1.9"

    class Conductor:
        def object_backport_versions(self, context, objinst, object_versions):
            assert (objinst, object_versions) == (future, {"Part": "1.2"})
            return new(title="old")

    with pytest.raises(errors.NewerVersion):
        serializer.Serializer().deserialize_entity({}, future)
    remoting.call_conductor(Conductor())
    try:
        assert serializer.Serializer().deserialize_entity({}, future).title == "old"
    finally:
        remoting.call_directly()


def test_projects_with_the_same_namespace_of_serialized_objects():
    class Bridge(VersionedBase):
        OBJ_PROJECT_NAMESPACE = "other_project"
        fields = {"name": StringField()}

    class Bridge2(VersionedBase):
        OBJ_PROJECT_NAMESPACE = "third_project"
        fields = {"name": StringField()}

    for cls in (Bridge, Bridge2, Server):
        sent = serializer.Serializer().serialize_entity({}, cls(name="x"))
        assert type(serializer.Serializer().deserialize_entity({}, sent)) is cls


def test_the_third_number_of_a_newer_object_is_not_kept(releases):
    primitive = releases[1](title="x").obj_to_primitive()
    primitive["versioned_object.version"] = "1.2.4"
    assert VersionedBase.obj_from_primitive(primitive).VERSION == "1.2"
