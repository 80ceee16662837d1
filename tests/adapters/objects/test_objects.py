"""Objects as rows: the same tests run directly and by RPC."""

import datetime as dt
import decimal
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from oslo_versionedobjects.exception import ObjectActionError, OrphanedObjectError

from rome_objects import errors
from tests.adapters.objects.models import (
    LONG_AGO,
    EveryType,
    Group,
    Power,
    Server,
    ServerList,
    Service,
    ServiceList,
    Tag,
    links,
)

CONTEXT = {"user": "anna"}


def make(name="web", **values):
    server = Server(CONTEXT, name=name, **values)
    server.create()
    return server


def test_create_sets_what_the_database_chose(place):
    server = make(host="h1")
    assert (server.id, server.power, server.cores, server.started_at) == (1, Power.OFF, 1, None)
    assert server.obj_what_changed() == set()
    assert "tags" not in server


def test_every_type(place):
    values = {
        "key": uuid.uuid4(), "whole": 2**60, "real": 1.5, "yes": True, "text": "häh", "data": b"\0\xff",
        "price": decimal.Decimal("9.90"), "at": dt.datetime(2020, 1, 1, 3, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "day": dt.date(2020, 2, 29), "clock": dt.time(1, 2, 3), "color": "blue", "power": Power.ON,
        "extra": {"a": [1, None]},
    }  # fmt: skip
    EveryType(CONTEXT, **values).create()
    read = EveryType.get(CONTEXT, values["key"])
    assert dict(read) == values
    assert read.at.tzinfo is dt.UTC
    assert EveryType.get_by(CONTEXT, at=values["at"], price=values["price"]).key == values["key"]


def test_get(place):
    server = make(host="h1")
    assert dict(Server.get(CONTEXT, server.id)) == dict(server)
    assert dict(Server.get_by_name(CONTEXT, "web")) == dict(server)
    assert dict(Server.get_by(CONTEXT, host="h1", cores=1)) == dict(server)
    with pytest.raises(errors.NotFound, match="no Server with id = 7") as caught:
        Server.get(CONTEXT, 7)
    assert type(caught.value) is errors.NotFound
    with pytest.raises(TypeError, match="the primary key of Server is id"):
        Server.get(CONTEXT, 7, 8)


def test_save_writes_only_changes(place):
    server, other = make(), Server.get(CONTEXT, 1)
    server.host = "h1"
    assert server.obj_what_changed() == {"host"}
    server.save()
    assert server.obj_what_changed() == set()
    assert server.updated_at == LONG_AGO
    other.cores = 4
    other.save()
    server.refresh()
    assert (server.host, server.cores) == ("h1", 4)


def test_save_with_an_expected_state(place):
    server = make(power=Power.OFF)
    server.host = "h1"
    with pytest.raises(errors.StateConflict, match="Server id = 1 is not in the expected state cores = 5") as caught:
        server.save(expected={"cores": 5})
    assert type(caught.value) is errors.StateConflict
    assert server.obj_what_changed() == {"host"}
    server.save(expected={"cores": [1, 2], "host": None})
    assert Server.get(CONTEXT, 1).host == "h1"
    with pytest.raises(errors.StateConflict):
        server.destroy(expected={"host": "h2"})


def test_a_destroyed_object(place):
    server, other = make(), Server.get(CONTEXT, 1)
    server.destroy()
    other.host = "h1"
    for use in (other.save, other.destroy, other.refresh):
        with pytest.raises(errors.ObjectGone, match="Server id = 1 was destroyed"):
            use()
    assert other.obj_what_changed() == {"host"}


def test_constraints(place):
    make()
    with pytest.raises(errors.ConstraintViolated, match=r"Server: UNIQUE constraint failed: servers\.name"):
        make()
    with pytest.raises(errors.ConstraintViolated, match="FOREIGN KEY"):
        Tag(CONTEXT, server_id=7, tag="x").create()


def test_relationships_are_loaded_by_name(place):
    server = make()
    for tag in ("b", "a"):
        Tag(CONTEXT, server_id=server.id, tag=tag).create()
    with pytest.raises(errors.NotLoaded, match=r"field tags of Server is not loaded: call load\('tags'\)"):
        _ = server.tags
    server.load("tags", "groups")
    assert [tag.tag for tag in server.tags] == ["a", "b"]
    assert server.groups == []
    tag = Tag.get(CONTEXT, 1, load=["server"])
    assert tag.server.name == "web"
    with pytest.raises(errors.InvalidQuery, match="'name' is no relationship"):
        ServerList.list(CONTEXT, load=["name"])


def test_a_relationship_over_a_secondary_table(place, store):
    from rome_objects import database

    make("web")
    make("db")
    for name in ("x", "y"):
        Group(CONTEXT, name=name).create()
    with database.engine().begin() as connection:
        rows = [{"server_id": 1, "group_id": 2}, {"server_id": 1, "group_id": 1}, {"server_id": 2, "group_id": 2}]
        connection.execute(links.insert(), rows)
    page = ServerList.list(CONTEXT, load=["groups"])
    assert [[group.name for group in server.groups] for server in page] == [["x", "y"], ["y"]]


def test_changed_objects_in_fields_are_saved(place):
    server = make()
    Tag(CONTEXT, server_id=1, tag="old").create()
    server.load("tags")
    server.tags[0].tag = "new"
    assert server.obj_what_changed() == {"tags"}
    server.save()
    assert server.obj_what_changed() == set()
    assert Tag.get(CONTEXT, 1).tag == "new"
    server.tags = []
    with pytest.raises(
        ObjectActionError, match=r"Server\.tags: Tag\.server_id can't be NULL: destroy what you remove, or"
    ):
        server.save()


def test_a_method_is_one_transaction(place):
    server = make()
    result = server.rename("db")
    assert (server.name, result["renamed"].name, result["at"]) == ("db", "db", LONG_AGO)
    with pytest.raises(RuntimeError, match="mail is not wanted") as caught:
        server.rename("mail", fail=True)
    assert caught.value.args == ("mail is not wanted",)
    assert server.name == "db"
    server.load("tags")
    assert [tag.tag for tag in server.tags] == ["web"]
    assert Server.total_cores(CONTEXT) == 1


def test_a_conflict_is_retried_where_the_method_runs(place):
    make()

    def grow(_):
        for _ in range(5):
            Server.get(CONTEXT, 1).grow()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(grow, range(4)))
    assert Server.get(CONTEXT, 1).cores == 21


def test_a_ported_object_keeps_its_namespace(place):
    for host, version in (("h1", 66), ("h2", 64)):
        Service(CONTEXT, host=host, binary="nova-compute", version=version).create()
    service = Service.get_by_compute_host(CONTEXT, "h2")
    service.report_count += 1
    service.save()
    assert Service.get_minimum_version(CONTEXT, "nova-compute") == 64
    assert [found.report_count for found in ServiceList.list(CONTEXT)] == [0, 1]
    primitive = service.obj_to_primitive()
    assert (primitive["nova_object.namespace"], primitive["nova_object.version"]) == ("nova", "1.22")


def test_dictionaries(place):
    server = make(host="h1")
    assert server["host"] == server.get("host") == "h1"
    assert server.get("tags", None) is None
    assert "host" in server
    server.update({"host": "h2"})
    assert server.obj_what_changed() == {"host"}


def test_a_primary_key_can_not_change(place):
    server = make()
    with pytest.raises(Exception, match="readonly field id"):
        server.id = 7


def test_an_object_without_context():
    with pytest.raises(OrphanedObjectError):
        Server(name="web").create()


def test_round_trips(store, stats):
    make()
    rounds = stats.rounds
    server = Server.get(CONTEXT, 1)
    assert stats.rounds - rounds == 1
    server.host = "h1"
    rounds = stats.rounds
    server.save()
    assert stats.rounds - rounds == 2


def test_round_trips_by_rpc(conductor, stats, monkeypatch):
    import oslo_messaging

    make()
    calls, call = [], oslo_messaging.RPCClient.call
    monkeypatch.setattr(
        oslo_messaging.RPCClient, "call", lambda *args, **kwargs: calls.append(1) or call(*args, **kwargs)
    )
    rounds = stats.rounds
    server = Server.get(CONTEXT, 1)
    assert (stats.rounds - rounds, len(calls)) == (1, 1)
    server.host = "h1"
    rounds = stats.rounds
    server.save()
    assert (stats.rounds - rounds, len(calls)) == (2, 2)
