"""Two implementations of the same objects, chosen by configuration."""

from importlib.metadata import EntryPoint

import pytest

from rome_objects import errors
from rome_objects.implementations import Implementations
from rome_objects.options import GROUP
from rome_objects.testing.suite import Objects, ObjectSuite
from tests.adapters.objects import in_memory, models


@pytest.fixture
def configured(conf):
    def use(*places):
        conf.set_override("implementation", list(places), GROUP)
        return Implementations(models.__name__)

    yield use
    in_memory.Server.rows.clear()


@pytest.mark.parametrize("implementation", [[], [in_memory.__name__]], ids=["default", "memory"])
class TestImplementations(ObjectSuite):
    @pytest.fixture
    def objects(self, place, configured, implementation):
        found = configured(*implementation)
        return Objects(found.Server, found.ServerList, lambda number: {"name": f"s{number}"}, "host", ("h1", "h2"))


def test_one_class_is_replaced(configured):
    objects = configured(f"{in_memory.__name__}:Server")
    assert objects.Server is in_memory.Server
    assert objects.ServerList is models.ServerList
    assert objects.Server.obj_name() == "Server"
    assert configured().Server is models.Server


def test_an_entry_point(configured, monkeypatch):
    def entry_points(group, name):
        found = EntryPoint("memory", in_memory.__name__, group)
        return [found] if (group, name) == ("rome_objects.implementations", "memory") else []

    monkeypatch.setattr("rome_objects.implementations.entry_points", entry_points)
    assert configured("memory").ServerList is in_memory.ServerList


@pytest.mark.parametrize("place", ["no.such.module", f"{in_memory.__name__}:Nothing"])
def test_an_implementation_that_does_not_exist(configured, place):
    with pytest.raises(errors.NotConfigured, match=rf"\[objects\] implementation = {place}: "):
        _ = configured(place).Server
