"""Objects that save themselves and behave like dictionaries."""

import pytest
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import declarative_base, mapped_column
from sqlalchemy.types import Integer

from rome.orm import Entity, Query, Session
from tests.orm.models import LONG_AGO, Disk, Server, Ticket


def test_save_inserts_and_updates(url):
    server = Server(name="web").save()
    assert (server.id, server.memory) == (1, 512)
    server.update({"state": "active"}).save()
    found = Query(Server).one()
    assert found.state == "active"
    found["memory"] = 1024
    found.save()
    assert Query(Server.memory).scalar() == 1024


def test_save_cascades(url):
    Server(name="web", disks=[Disk(size=1)]).save()
    assert Query(Disk.size, Server.name).join(Server).all() == [(1, "web")]


def test_values_of_the_database_are_loaded(url):
    assert Ticket().save().number == 7


def test_with_a_session_the_caller_commits(url):
    with Session() as session:
        server = Server(name="web").save(session)
        assert server.id == 1
        server.update({"state": "active"}).save()
        assert Query(Server).count() == 0
        session.commit()
        assert Query(Server.state).scalar() == "active"
        server.delete()
        session.rollback()
    assert Query(Server).count() == 1


def test_delete(url):
    server = Server(name="web", disks=[Disk(size=1)]).save()
    server.delete()
    assert Query(Server).count() == Query(Disk).count() == 0
    with pytest.raises(InvalidRequestError, match="not persisted"):
        Server(name="new").delete()


def test_soft_delete(url):
    server = Server(name="web", updated_at=LONG_AGO).save().soft_delete()
    assert server.deleted == server.id
    found = Query(Server).read_deleted("only").one()
    assert found.deleted_at == server.deleted_at
    assert found.updated_at == LONG_AGO
    with Session() as session:
        pending = Server(name="db")
        session.add(pending)
        assert pending.soft_delete().deleted == 2
    with pytest.raises(InvalidRequestError, match="it was never saved"):
        Server(name="new").soft_delete()
    with pytest.raises(InvalidRequestError, match="no column deleted_at"):
        Ticket().soft_delete()


def test_it_behaves_like_a_dictionary(url):
    server = Server(name="web").save()
    assert server["name"] == "web"
    assert server.get("name") == "web"
    assert server.get("colour") is None
    assert server.get("colour", "red") == "red"
    assert "name" in server
    assert "colour" not in server
    assert list(server)[:2] == [("id", 1), ("name", "web")]
    assert dict(server) == dict(iter(server))
    columns = ["id", "name", "state", "memory", "deleted", "deleted_at", "updated_at"]
    assert server.keys() == [*columns, "label"]
    assert server["label"] == "server web"


def test_loaded_relationships_are_items(url):
    server = Server(name="web", disks=[]).save()
    assert "disks" not in dict(iter(server))
    assert dict(server.items())["disks"] == []
    assert "disks" not in dict(Query(Server).one())


def test_unknown_names_are_refused():
    server = Server(name="web")
    with pytest.raises(KeyError, match="Server has no 'colour'"):
        server["colour"]
    with pytest.raises(KeyError, match="Server has no 'colour'"):
        server.update({"colour": "red"})


def test_it_mixes_into_one_class_after_the_base(url):
    base = declarative_base()

    class Counter(base, Entity):
        __tablename__ = "counters"
        id = mapped_column(Integer, primary_key=True)
        value = mapped_column(Integer)

    base.metadata.create_all(Session().get_bind())
    counter = Counter(value=1).save()
    assert dict(counter) == {"id": 1, "value": 1}
