"""Conflicts between transactions, as ROME and SQLAlchemy report them."""

import threading

import pytest
from sqlalchemy import exc

from rome.errors import Conflict
from rome.orm import Query, Session, is_conflict, retry_on_conflict, run_transaction
from tests.orm.models import Server


@pytest.fixture
def server(rome_url):
    return Server(name="web", memory=0).save()


def grow(session):
    server = session.query(Server).filter_by(name="web").one()
    server.memory += 1
    return server.memory


def test_the_second_commit_is_a_conflict(server):
    with Session() as first, Session() as second:
        grow(first)
        grow(second)
        first.commit()
        with pytest.raises(exc.OperationalError) as raised:
            second.commit()
    assert isinstance(raised.value.orig, Conflict)
    assert is_conflict(raised.value)
    assert Query(Server.memory).scalar() == 1


def test_a_retry_reads_what_the_first_commit_wrote(server):
    seen = []

    @retry_on_conflict
    def conflict_once():
        with Session() as session, session.begin():
            seen.append(grow(session))
            if len(seen) == 1:
                run_in_thread(lambda: run_transaction(Session, grow))

    conflict_once()
    assert seen == [1, 2]
    assert Query(Server.memory).scalar() == 2


def test_a_session_argument_begins_a_new_transaction(server):
    seen = []

    @retry_on_conflict
    def conflict_once(session):
        seen.append(grow(session))
        if len(seen) == 1:
            run_in_thread(lambda: run_transaction(Session, grow))
        session.commit()

    with Session() as session:
        conflict_once(session)
    assert seen == [1, 2]


def test_no_increment_is_lost(server):
    def increment():
        for _ in range(10):
            run_transaction(Session, grow, attempts=100)

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Query(Server.memory).scalar() == 40


def test_stand_alone_changes_are_validated_too(server):
    """A compare and swap that loses against another commit gets a conflict and can be repeated."""

    @retry_on_conflict(attempts=100)
    def swap():
        memory = Query(Server.memory).scalar()
        return Query(Server).update_on_match(Server(id=1, memory=memory), "id", {"memory": memory + 1}, attempts=1)

    assert swap().memory == 1


def run_in_thread(function):
    """Run a function in a thread of its own, outside of the retried function."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
