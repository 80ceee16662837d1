"""Soft deletion by id, boolean and text."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import aliased

from rome.orm import Query, Session, model_query
from tests.orm.models import LONG_AGO, Disk, Image, Server, Share, Ticket


@pytest.fixture
def session(url):
    with Session() as session:
        session.add_all([Server(name="web", updated_at=LONG_AGO), Server(name="db", updated_at=LONG_AGO)])
        session.add_all([Image(id="a"), Image(id="b"), Share(), Share(), Disk(server_id=1, size=1)])
        session.commit()
        yield session


def is_now(time):
    return abs(datetime.now(UTC).replace(tzinfo=None) - time) < timedelta(minutes=1)


def test_integer_takes_the_id(session):
    web = session.query(Server).filter_by(name="web").one()
    assert session.query(Server).filter_by(name="web").soft_delete() == 1
    assert web.deleted == web.id
    session.commit()
    assert web.deleted == web.id
    assert is_now(web.deleted_at)
    assert web.updated_at == LONG_AGO
    session.add(Server(name="web"))
    session.commit()


def test_boolean_becomes_true(session):
    assert session.query(Image).filter_by(id="a").soft_delete() == 1
    session.commit()
    a, b = session.get(Image, "a"), session.get(Image, "b")
    assert (a.deleted, b.deleted) == (True, False)
    assert is_now(a.deleted_at)


def test_text_takes_the_id_as_text(session):
    assert session.query(Share).filter_by(id=2).soft_delete(synchronize_session=False) == 1
    session.commit()
    assert session.query(Share.deleted).order_by(Share.id).all() == [("False",), ("2",)]


def test_stand_alone(session):
    assert Query(Server).filter_by(name="web").soft_delete() == 1
    assert [server.name for server in Query(Server).read_deleted("no")] == ["db"]


@pytest.mark.parametrize("model", [Server, Image, Share])
def test_read_deleted(session, model):
    first = session.query(model).order_by(model.id).first()
    first.soft_delete()
    query = session.query(model)
    assert first not in query.read_deleted("no").all()
    assert query.read_deleted("no").count() == 1
    assert query.read_deleted("only").all() == [first]
    assert query.read_deleted("yes").count() == 2
    other = aliased(model)
    assert session.query(other).read_deleted("only").one() is first


def test_read_deleted_applies_to_the_first_entity(session):
    assert session.query(Server.name, Disk).join(Disk).read_deleted("no").count() == 1
    assert session.query(Disk, Server).join(Server).read_deleted("no").count() == 1


def test_models_without_soft_deletion_have_live_rows(session):
    assert session.query(Disk).read_deleted("no").count() == 1
    assert session.query(Disk).read_deleted("yes").count() == 1
    with pytest.raises(InvalidRequestError, match="Disk has no deleted rows: it has no column `deleted`"):
        session.query(Disk).read_deleted("only")


def test_models_without_the_columns_are_refused(session):
    with pytest.raises(InvalidRequestError, match="Disk can't be soft-deleted: it has no column deleted and no"):
        session.query(Disk).soft_delete()
    with pytest.raises(InvalidRequestError, match="Ticket can't be soft-deleted: it has no column deleted_at"):
        session.query(Ticket).soft_delete()
    with pytest.raises(InvalidRequestError, match="no mapped class"):
        session.query(Disk.__table__.c.size).soft_delete()


def test_an_unknown_value_is_refused(session):
    with pytest.raises(ValueError, match="read_deleted must be one of no, yes, only; not 'maybe'"):
        session.query(Server).read_deleted("maybe")


def test_model_query(session):
    session.query(Server).filter_by(name="web").soft_delete()
    session.commit()
    assert [server.name for server in model_query(session, Server)] == ["db"]
    assert model_query(session, Server, read_deleted="yes").count() == 2
    assert model_query(session, Server, (Server.name,)).all() == [("db",)]
    assert model_query(None, Server, read_deleted="only").one().name == "web"
    context = SimpleNamespace(session=session, read_deleted="only")
    assert model_query(context, Server).one() in session
    assert model_query(context, Server, read_deleted="no").one().name == "db"
    assert model_query(SimpleNamespace(session=session), Disk).count() == 1
