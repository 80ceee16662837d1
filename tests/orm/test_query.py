"""Sessions and queries without an engine argument."""

import threading

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import scoped_session, selectinload, sessionmaker
from sqlalchemy.orm.exc import DetachedInstanceError

from rome.orm import Query, Session, engine_for
from tests.orm.models import Disk, Server


@pytest.fixture
def servers(url):
    with Session() as session, session.begin():
        session.add(Server(name="web", state="active", disks=[Disk(size=10), Disk(size=20)]))
        session.add(Server(name="db", state="paused"))


def test_stand_alone_reads(servers):
    assert [server.name for server in Query(Server).filter(Server.state == "active").all()] == ["web"]
    assert [server.name for server in Query(Server).order_by(Server.name)] == ["db", "web"]
    assert Query(Server).filter_by(name="web").one().state == "active"
    assert Query(Server).filter_by(name="none").one_or_none() is None
    assert Query(Server).filter_by(name="none").first() is None
    assert Query(Server).order_by(Server.name).first().name == "db"
    assert Query(Server).count() == 2
    assert Query(func.max(Disk.size)).scalar() == 20
    assert Query(Server).order_by(Server.name)[1].name == "web"
    with pytest.warns(DeprecationWarning, match="get"):
        assert Query(Server).get(1).id == 1


def test_stand_alone_rows(servers):
    joined = Query(Server, Disk).filter(Server.id == Disk.server_id).order_by(Disk.size).all()
    assert [(server.name, disk.size) for server, disk in joined] == [("web", 10), ("web", 20)]
    grouped = Query(Server.name, func.count(Disk.id)).outerjoin(Disk).group_by(Server.name).order_by(Server.name)
    assert grouped.all() == [("db", 0), ("web", 2)]


def test_a_query_reads_the_newest_version_each_time(servers):
    query = Query(Server.name).filter(Server.state == "active")
    assert query.all() == [("web",)]
    assert Query(Server).update({"state": "active"}) == 2
    assert sorted(query.all()) == [("db",), ("web",)]
    assert Query(Disk).delete() == 2
    assert Query(Disk).count() == 0


def test_objects_are_detached_and_loaded(servers):
    server = Query(Server).options(selectinload(Server.disks)).filter_by(name="web").one()
    assert server not in Session()
    assert [disk.size for disk in server.disks] == [10, 20]
    with pytest.raises(DetachedInstanceError):
        _ = Query(Server).filter_by(name="web").one().disks


def test_a_failed_stand_alone_change_changes_nothing(servers):
    with pytest.raises(Exception, match="UNIQUE"):
        Query(Server).update({"name": "same"})
    assert sorted(Query(Server.name).all()) == [("db",), ("web",)]


def test_no_connection_is_held_between_calls(servers):
    rows = iter(Query(Server))
    next(rows)
    assert engine_for().pool.checkedout() == 0


def test_one_query_in_many_threads(servers):
    query, counts = Query(Server), []
    threads = [threading.Thread(target=lambda: counts.append(query.count())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [2] * 8


def test_with_a_session_it_is_part_of_the_session(servers):
    with Session() as session:
        server = Query(Server, session=session).filter_by(name="web").one()
        assert server in session
        server.state = "stopped"
        assert Query(Server, session=session).filter_by(state="stopped").count() == 1
        assert session.query(Server).filter_by(name="web").one() is server
        assert len(server.disks) == 2
    assert Query(Server).filter_by(state="stopped").count() == 0


def test_sessions_make_these_queries(servers):
    with Session() as session:
        assert type(session.query(Server)) is Query
        assert session.query(Server.name, Server.state).filter_by(name="db").one() == ("db", "paused")
        assert Query([Server.name], session).count() == 2
        assert session.scalars(select(Server.name).order_by(Server.name)).all() == ["db", "web"]


def test_session_factories(servers):
    factory = sessionmaker(class_=Session, expire_on_commit=False)
    with factory.begin() as session:
        assert session.expire_on_commit is False
        assert session.query(Server).count() == 2
    scoped = scoped_session(factory)
    assert Query(Server, session=scoped).filter_by(name="web").one() in scoped()
    scoped.remove()


def test_binds_are_enough():
    engine = engine_for("sqlite://")
    session = Session(binds={Server: engine})
    assert session.get_bind(Server) is engine
