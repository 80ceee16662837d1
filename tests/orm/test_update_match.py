"""Compare and swap."""

import pytest
from sqlalchemy.exc import InvalidRequestError

from rome.orm import MultiRowsMatched, NoRowsMatched, Query, Session
from tests.orm.models import Disk, Server


@pytest.fixture
def session(url):
    with Session() as session:
        session.add_all([Server(name="web", state="active"), Server(name="db"), Server(name="cache", state="off")])
        session.commit()
        yield session


def test_the_row_that_matches_is_updated(session):
    query = session.query(Server)
    server = query.update_on_match(Server(name="web", state="active"), "name", {"state": "stopped"})
    assert server in session
    assert (server.id, server.state, server.memory) == (1, "stopped", 512)
    session.commit()
    assert {one.name: one.state for one in Query(Server)} == {"web": "stopped", "db": None, "cache": "off"}


def test_an_object_of_the_session_is_refreshed(session):
    known = session.query(Server).filter_by(name="web").one()
    updated = session.query(Server).update_on_match(Server(id=1, state="active"), "id", {"state": "x"}, attempts=1)
    assert updated is known
    assert known.state == "x"
    assert known.updated_at is not None


@pytest.mark.parametrize("state", [None, (None, "active"), ["off", None], {None}])
def test_none_and_choices_are_compared(session, state):
    query = session.query(Server)
    assert query.update_on_match(Server(name="db", state=state), "name", {"memory": 1}).memory == 1


def test_a_row_that_does_not_match_is_not_changed(session):
    with pytest.raises(NoRowsMatched, match="no row of Server matched after 3 attempts: name, state"):
        session.query(Server).update_on_match(Server(name="web", state=("off", None)), "name", {"state": "x"})
    with pytest.raises(NoRowsMatched):
        session.query(Server).update_on_match(Server(name="web", state=()), "name", {"state": "x"})
    assert session.query(Server).filter_by(state="x").count() == 0


def test_the_conditions_of_the_query_apply(session):
    query = session.query(Server).filter(Server.memory > 1000)
    with pytest.raises(NoRowsMatched):
        query.update_on_match(Server(name="web"), "name", {"state": "x"})


def test_include_only_leaves_attributes_out(session):
    specimen = Server(name="web", state="wrong", memory=512)
    updated = session.query(Server).update_on_match(specimen, "name", {"state": "x"}, include_only=["memory"])
    assert updated.state == "x"


def test_several_keys(session):
    updated = session.query(Server).update_on_match(Server(name="web", deleted=0), ("name", "deleted"), {"state": "x"})
    assert updated.name == "web"


def test_more_rows_than_one(session):
    with pytest.raises(MultiRowsMatched, match="3 rows of Server match: memory"):
        session.query(Server).update_on_match(Server(memory=512), "memory", {"state": "x"})


def test_stand_alone_rolls_back_if_several_rows_match(session):
    with pytest.raises(MultiRowsMatched):
        Query(Server).update_on_match(Server(memory=512), "memory", {"state": "x"})
    assert Query(Server).filter_by(state="x").count() == 0
    assert Query(Server).update_on_match(Server(name="db"), "name", {"state": "x"}).state == "x"
    assert Query(Server).filter_by(state="x").count() == 1


def test_process_query_adds_conditions(session):
    def never(query):
        return query.filter(Server.memory == 0)

    with pytest.raises(NoRowsMatched):
        session.query(Server).update_on_match(Server(name="web"), "name", {"state": "x"}, process_query=never)


def test_the_failure_handler_decides(session):
    seen = []

    def nothing_to_do(query):
        seen.append(query.count())
        return True

    specimen = Server(name="web", state="off")
    answer = session.query(Server).update_on_match(specimen, "name", {"state": "on"}, handle_failure=nothing_to_do)
    assert (answer.name, answer.state, seen) == ("web", "active", [0])

    def repair(query):
        session.query(Server).filter_by(name="web").update({"state": "off"})

    answer = session.query(Server).update_on_match(specimen, "name", {"state": "on"}, handle_failure=repair)
    assert answer.state == "on"

    def complain(query):
        raise LookupError("in use")

    with pytest.raises(LookupError, match="in use"):
        session.query(Server).update_on_match(specimen, "name", {"state": "on"}, handle_failure=complain)


def test_unsuitable_queries_are_refused(session):
    with pytest.raises(InvalidRequestError, match="needs a query of Server alone"):
        session.query(Disk).update_on_match(Server(name="web"), "name", {"state": "x"})
    with pytest.raises(InvalidRequestError, match="needs a query of Server alone"):
        session.query(Server, Disk).update_on_match(Server(name="web"), "name", {"state": "x"})
    with pytest.raises(InvalidRequestError, match="servers alone"):
        session.query(Server).join(Disk).update_on_match(Server(name="web"), "name", {"state": "x"})
    with pytest.raises(InvalidRequestError, match="the specimen has no name, which must identify the row"):
        session.query(Server).update_on_match(Server(state="off"), "name", {"state": "x"})
    with pytest.raises(InvalidRequestError, match="LIMIT"):
        session.query(Server).limit(1).update_on_match(Server(name="web"), "name", {"state": "x"})
